//! Blocked addresses, as they are printed.

use crate::cli::output::Object;
use crate::doctor::blocks::{Answer, BlockedAddress};

/// For people.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Listed(blocks) if blocks.is_empty() => "No address is blocked.".to_owned(),
        Answer::Listed(blocks) => {
            let width = blocks
                .iter()
                .map(|block| block.address.to_string().len())
                .max()
                .unwrap_or(0);
            let mut lines = match blocks.len() {
                1 => "1 address is blocked:".to_owned(),
                count => format!("{count} addresses are blocked:"),
            };
            for block in blocks {
                let BlockedAddress {
                    address,
                    since,
                    until,
                    refused,
                } = block;
                let address = address.to_string();
                lines += &format!(
                    "\n  {address:<width$}  from {since} to {until}, {refused} turned away"
                );
            }
            lines
        }
        Answer::Lifted(blocks) if blocks.is_empty() => "No such address is blocked.".to_owned(),
        Answer::Lifted(blocks) => {
            let addresses: Vec<_> = blocks
                .iter()
                .map(|block| block.address.to_string())
                .collect();
            format!("No longer blocked: {}.", addresses.join(", "))
        }
    }
}

/// For programs.
pub fn objects(answer: &Answer) -> Vec<Object> {
    let (name, blocks) = match answer {
        Answer::Listed(blocks) => ("in_force", blocks),
        Answer::Lifted(blocks) => ("lifted", blocks),
    };
    let object = |block: &BlockedAddress| {
        Object::new("block")
            .with("address", block.address.to_string())
            .with("since", block.since)
            .with("until", block.until)
            .with("refused", block.refused)
            .with("state", name)
    };
    blocks.iter().map(object).collect()
}
