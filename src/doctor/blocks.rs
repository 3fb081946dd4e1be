//! The addresses that are blocked for what they failed to prove: listed, and
//! lifted by the doctor.

use std::net::IpAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::gate::{Block, network_of};
use crate::doctor::shared::Shared;
use crate::store::StoreError;

/// What can be asked about blocked addresses.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which are there?
    List,
    /// Lift the block of this address, or all there are.
    Lift(Option<IpAddr>),
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The blocks there are.
    Listed(Vec<BlockedAddress>),
    /// The blocks that were lifted.
    Lifted(Vec<BlockedAddress>),
}

/// An address that is blocked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct BlockedAddress {
    /// The address; of IPv6 the first of its network of 64 bits.
    pub address: IpAddr,
    /// When the block began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// First messages that were turned away since.
    pub refused: u64,
}

/// Does what is asked.
///
/// # Errors
/// [`StoreError`] if it cannot be logged; nothing is lifted then.
pub(super) fn answer(shared: &Shared, request: &Request) -> Result<Answer, StoreError> {
    let gate = &shared.gate;
    let now = Instant::now();
    let shown = |blocks: &[(IpAddr, Block)]| {
        let shown = blocks
            .iter()
            .map(|block| shown(block, shared.clock.now(), now));
        shown.collect()
    };
    let only = match request {
        Request::List => return Ok(Answer::Listed(shown(&gate.blocks(now)))),
        Request::Lift(only) => *only,
    };
    let is_meant = |address: IpAddr| only.is_none_or(|only| network_of(only) == address);
    let mut blocks = gate.blocks(now).into_iter();
    if !blocks.any(|(address, _)| is_meant(address)) {
        return Ok(Answer::Lifted(Vec::new()));
    }
    let practice = &shared.practice;
    let subject = only.map_or_else(|| "all".to_owned(), |address| address.to_string());
    practice.note(Action::Released, &subject, "lifted by the doctor")?;
    let lifted = gate.lift(only, now);
    shared.released(&lifted, true);
    Ok(Answer::Lifted(shown(&lifted)))
}

/// The instants of a block by the wall clock.
fn shown((address, block): &(IpAddr, Block), wall: Timestamp, now: Instant) -> BlockedAddress {
    BlockedAddress {
        address: *address,
        since: wall.minus(now.saturating_duration_since(block.since)),
        until: wall.plus(block.until.saturating_duration_since(now)),
        refused: block.refused,
    }
}
