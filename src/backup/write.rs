//! Writing a backup, chunk by chunk.

use std::io::{self, Read, Write};

use super::{BackupError, CHUNK, Check, Header, associated};
use crate::aes::SealingKey;
use crate::codec::Writer as Encoder;
use crate::random::{OsRandom, Random};
use crate::secret::SecretBytes;
use crate::vault::Vault;

/// Writes a backup. It is one only once [`Writer::finish`] has returned.
pub struct Writer<W> {
    output: W,
    key: SealingKey,
    check: Check,
    number: u64,
    /// Content that is not sealed yet: its first `len` bytes.
    chunk: SecretBytes,
    len: usize,
}

impl<W: Write> Writer<W> {
    /// Begins a backup with its header.
    ///
    /// # Errors
    /// [`BackupError::Write`] and [`BackupError::NoKey`].
    pub fn new(mut output: W, header: &Header, vault: &Vault) -> Result<Self, BackupError> {
        let (encoded, check) = header.encode();
        output.write_all(&encoded).map_err(BackupError::Write)?;
        Ok(Self {
            output,
            key: vault.backup_key(&header.salt)?,
            check,
            number: 0,
            chunk: SecretBytes::new(vec![0; CHUNK]),
            len: 0,
        })
    }

    /// Adds an entry with `len` bytes from `source`.
    ///
    /// # Errors
    /// [`BackupError::Write`]; [`BackupError::Source`] if `source` cannot be
    /// read or has fewer bytes.
    pub fn entry(
        &mut self,
        name: &str,
        len: u64,
        source: &mut dyn Read,
    ) -> Result<(), BackupError> {
        let front = Encoder::new().lp8(name.as_bytes()).u64(len).finish();
        self.put(&mut &front[..], front.len() as u64)?;
        self.put(source, len)
    }

    /// Ends the backup and gives back where it was written to.
    ///
    /// # Errors
    /// [`BackupError::Write`].
    pub fn finish(mut self) -> Result<W, BackupError> {
        self.put(&mut &[0_u8][..], 1)?;
        self.seal(true)?;
        self.output.flush().map_err(BackupError::Write)?;
        Ok(self.output)
    }

    pub(super) fn put(&mut self, source: &mut dyn Read, mut left: u64) -> Result<(), BackupError> {
        while left > 0 {
            // Sealed only when more follows: the last chunk is marked as such.
            if self.len == CHUNK {
                self.seal(false)?;
            }
            let room = (CHUNK - self.len).min(usize::try_from(left).unwrap_or(CHUNK));
            let room = &mut self.chunk.expose_mut()[self.len..self.len + room];
            match source.read(room) {
                Ok(0) => return Err(BackupError::Source(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    self.len += read;
                    left -= read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BackupError::Source(error)),
            }
        }
        Ok(())
    }

    fn seal(&mut self, is_last: bool) -> Result<(), BackupError> {
        let random: &mut dyn Random = &mut OsRandom;
        let ad = associated(&self.check, self.number, is_last);
        let content = &self.chunk.expose()[..self.len];
        let sealed = self.key.seal(self.number, &[&ad], content, random);
        self.number += 1;
        self.len = 0;
        self.output.write_all(&sealed).map_err(BackupError::Write)
    }
}
