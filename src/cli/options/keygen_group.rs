//! Which group is to be searched for.

use std::path::PathBuf;

use super::super::args::keygen_group::KeygenGroup;
use super::super::exit::Failure;
use super::value::{path, value};

/// What `doctor keygen-group` is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeygenGroupTask {
    /// Bits of the prime: 2048, 3072 or 4096.
    pub bits: usize,
    /// The file to make.
    pub out: PathBuf,
}

impl KeygenGroupTask {
    /// Checks what was typed.
    pub(super) fn new(args: &KeygenGroup) -> Result<Self, Failure> {
        let bits = |text: &str| match text {
            "2048" => Ok(2048),
            "3072" => Ok(3072),
            "4096" => Ok(4096),
            _ => Err("this is 2048, 3072 or 4096".to_owned()),
        };
        Ok(Self {
            bits: value("--bits", &args.bits, bits)?,
            out: value("--out", &args.out, path)?,
        })
    }
}
