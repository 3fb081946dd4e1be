//! Reading a backup, chunk by chunk. Nothing is given out that was not opened
//! before.

use std::io::{self, Read, Write};

use super::{BackupError, CHUNK, Check, Header, associated};
use crate::aes::{SealingKey, sealed_len};
use crate::codec::Reader as Decoder;
use crate::secret::SecretBytes;
use crate::vault::Vault;

/// Reads a backup's header, and its content once it has the key.
pub struct Reader<R> {
    input: R,
    /// What stands at the front.
    header: Header,
    check: Check,
    /// Bytes of the file before the next chunk.
    at: u64,
    number: u64,
    /// The byte after the last chunk, if that was not the last one.
    ahead: Option<u8>,
    has_ended: bool,
    /// Opened content; what is before `taken` was given out.
    chunk: SecretBytes,
    taken: usize,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn new(mut input: R) -> Result<Self, BackupError> {
        let (header, check) = Header::read(&mut input)?;
        Ok(Self {
            input,
            at: header.encode().0.len() as u64,
            header,
            check,
            number: 0,
            ahead: None,
            has_ended: false,
            chunk: SecretBytes::new(Vec::new()),
            taken: 0,
        })
    }

    /// The header. Nobody has vouched for it before a chunk was opened.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The entries, opened with this vault's data key.
    ///
    /// # Errors
    /// [`BackupError::NoKey`].
    pub fn entries(self, vault: &Vault) -> Result<Entries<R>, BackupError> {
        Ok(Entries {
            key: vault.backup_key(&self.header.salt)?,
            reader: self,
        })
    }

    /// Opens the next chunk.
    fn advance(&mut self, key: &SealingKey) -> Result<(), BackupError> {
        let damaged = BackupError::Damaged { at: self.at };
        if self.has_ended {
            return Err(damaged);
        }
        // One byte more than a whole chunk tells whether another follows.
        let whole = sealed_len(CHUNK);
        let mut sealed = Vec::with_capacity(whole + 1);
        sealed.extend(self.ahead.take());
        let more = whole + 1 - sealed.len();
        let mut input = self.input.by_ref().take(more as u64);
        input.read_to_end(&mut sealed).map_err(BackupError::Read)?;
        let is_last = sealed.len() <= whole;
        if !is_last {
            self.ahead = sealed.pop();
        }
        let ad = associated(&self.check, self.number, is_last);
        self.chunk = key.open(&[&ad], &sealed).map_err(|_| damaged)?;
        self.taken = 0;
        self.has_ended = is_last;
        self.number += 1;
        self.at += sealed.len() as u64;
        Ok(())
    }
}

/// The entries of a backup, one after the other.
pub struct Entries<R> {
    reader: Reader<R>,
    key: SealingKey,
}

impl<R: Read> Entries<R> {
    /// Name and length in bytes of the next entry, whose content must be taken
    /// before the next one is asked for; none once the backup has ended, whole.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn next_entry(&mut self) -> Result<Option<(String, u64)>, BackupError> {
        let mut len = [0; 1];
        self.exactly(&mut len)?;
        if len == [0] {
            let reader = &self.reader;
            let is_end = reader.has_ended && reader.taken == reader.chunk.expose().len();
            return if is_end {
                Ok(None)
            } else {
                Err(BackupError::Malformed)
            };
        }
        let mut front = vec![0; usize::from(len[0]) + 8];
        self.exactly(&mut front)?;
        let mut decoder = Decoder::new(&front);
        let malformed = |_| BackupError::Malformed;
        let name = decoder.take(len[0].into()).map_err(malformed)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| BackupError::Malformed)?;
        Ok(Some((name, decoder.u64().map_err(malformed)?)))
    }

    /// Copies the next `len` bytes of content.
    ///
    /// # Errors
    /// [`BackupError`]; [`BackupError::Write`] if `output` cannot be written.
    pub fn copy(&mut self, len: u64, output: &mut dyn Write) -> Result<(), BackupError> {
        let mut left = len;
        while left > 0 {
            let content = self.available()?;
            let len = content.len().min(usize::try_from(left).unwrap_or(CHUNK));
            output
                .write_all(&content[..len])
                .map_err(BackupError::Write)?;
            self.reader.taken += len;
            left -= len as u64;
        }
        Ok(())
    }

    /// The next `len` bytes of content, at most `limit`, in memory.
    ///
    /// # Errors
    /// [`BackupError`]; [`BackupError::Malformed`] if `len` exceeds `limit`.
    pub fn take(&mut self, len: u64, limit: usize) -> Result<SecretBytes, BackupError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > limit {
            return Err(BackupError::Malformed);
        }
        let mut bytes = SecretBytes::new(vec![0; len]);
        self.exactly(bytes.expose_mut())?;
        Ok(bytes)
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        let len = bytes.len() as u64;
        let mut output = io::Cursor::new(bytes);
        self.copy(len, &mut output)
    }

    /// Content that is opened and not taken: at least one byte.
    fn available(&mut self) -> Result<&[u8], BackupError> {
        while self.reader.taken == self.reader.chunk.expose().len() {
            self.reader.advance(&self.key)?;
        }
        Ok(&self.reader.chunk.expose()[self.reader.taken..])
    }
}
