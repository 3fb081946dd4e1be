//! A passphrase in a file or a pipe.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::geteuid;

use crate::cli::exit::{Exit, Failure};
use crate::identity::key_file::Passphrase;
use crate::secret::SecretBytes;

/// The first line of a file that is this user's alone, or of a pipe.
pub(super) fn read(path: &Path, check: bool) -> Result<Passphrase, Failure> {
    let shown = path.display();
    let refused = |reason: String| {
        let sentence = format!("the passphrase cannot be read from '{shown}': {reason}");
        Failure::new(Exit::Failure, sentence)
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    if check
        && let Some(reason) = is_open_to_others(&file, path).map_err(|e| refused(e.to_string()))?
    {
        return Err(refused(reason));
    }
    let line = first_line(file).map_err(|error| refused(error.to_string()))?;
    Passphrase::new(line)
        .ok_or_else(|| refused("its first line is empty, or longer than 1024 bytes".to_owned()))
}

/// Why a passphrase should not lie in this file, if so.
fn is_open_to_others(file: &File, path: &Path) -> io::Result<Option<String>> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_fifo() {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Ok(Some("it is neither a file nor a pipe".to_owned()));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Ok(Some("it belongs to another user".to_owned()));
    }
    let mode = metadata.mode() & 0o777;
    let quoted = path.display().to_string().replace('\'', r"'\''");
    Ok((mode & 0o077 != 0).then(|| {
        format!("it is open to other users (mode {mode:04o}); close it with: chmod 600 '{quoted}'")
    }))
}

/// Everything up to a line feed, at most one byte more than a passphrase can
/// have, in memory that is allocated once.
fn first_line(mut file: impl Read) -> io::Result<SecretBytes> {
    let mut line = SecretBytes::new(vec![0; Passphrase::MAX_LEN + 2]);
    let mut len = 0;
    while len < line.expose().len() {
        match file.read(&mut line.expose_mut()[len..]) {
            Ok(0) => break,
            // Whoever writes into a pipe may keep it open.
            Ok(more) if line.expose()[len..len + more].contains(&b'\n') => {
                len += more;
                break;
            }
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    line.truncate(len);
    if let Some(end) = line.expose().iter().position(|byte| *byte == b'\n') {
        line.truncate(end);
    }
    if line.expose().last() == Some(&b'\r') {
        line.truncate(line.expose().len() - 1);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line() {
        for (text, line) in [
            ("one\n", "one"),
            ("one", "one"),
            ("one\r\ntwo\n", "one"),
            (" one \n\n", " one "),
            ("\none", ""),
        ] {
            let read = first_line(text.as_bytes()).unwrap();
            assert_eq!(read.expose(), line.as_bytes(), "{text:?}");
        }
        let long = vec![b'x'; 5000];
        let read = first_line(&long[..]).unwrap();
        assert!(Passphrase::new(read).is_none());
        let longest = [&long[..1024], b"\n"].concat();
        assert!(Passphrase::new(first_line(&longest[..]).unwrap()).is_some());
    }
}
