//! The password for a connection, from the file that `PostgreSQL`'s own
//! programs read: a line `HOST:PORT:DATABASE:USER:PASSWORD` for each, in which
//! `*` stands for anything and a backslash takes its meaning from what follows
//! (`PostgreSQL` manual, "The Password File").

use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::PostgresAddress;
use crate::secret::SecretBytes;
use crate::store::StoreFault;

/// A file that is larger holds no passwords.
const MAX_FILE: u64 = 1 << 20;

/// The password for this address; none if there is no file, or none in it.
///
/// # Errors
/// If others than its owner may read the file, or it cannot be read.
pub(super) fn find(address: &PostgresAddress) -> Result<Option<SecretBytes>, StoreFault> {
    match file() {
        Some(file) => read(&file, address),
        None => Ok(None),
    }
}

fn file() -> Option<PathBuf> {
    let named = env::var_os("PGPASSFILE").filter(|name| !name.is_empty());
    let usual = || Some(Path::new(&env::var_os("HOME")?).join(".pgpass"));
    named.map(PathBuf::from).or_else(usual)
}

fn read(path: &Path, address: &PostgresAddress) -> Result<Option<SecretBytes>, StoreFault> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let path = path.display();
        StoreFault::Refused(format!("cannot read the passwords in '{path}': {error}"))
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(unreadable(&"it is no such file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        return Err(StoreFault::Refused(format!(
            "others can read the passwords in '{path}'; change that with: chmod 600 '{path}'"
        )));
    }
    // With room for all of it, so that growing leaves no copy behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut text = SecretBytes::new(vec![0; room]);
    let mut file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut len = 0;
    while len < room {
        match file.read(&mut text.expose_mut()[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) => return Err(unreadable(&error)),
        }
    }
    text.truncate(len);
    let lines = text.expose().split(|byte| *byte == b'\n');
    Ok(lines.into_iter().find_map(|line| of_line(line, address)))
}

/// The password in this line, if it is for this address.
fn of_line(line: &[u8], address: &PostgresAddress) -> Option<SecretBytes> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    let host = address.host();
    let host = host.trim_matches(['[', ']']);
    let port = address.port().to_string();
    let mut rest = line;
    for wanted in [host, &*port, address.database(), address.user()] {
        let (field, tail) = field(rest)?;
        // The socket of a server on this machine counts as `localhost`.
        let is_local = address.socket_directory().is_some() && wanted == host;
        let fits =
            field == b"*" || plain(field) == wanted.as_bytes() || is_local && field == b"localhost";
        if !fits {
            return None;
        }
        rest = tail;
    }
    let password = field(rest).map_or(rest, |(password, _)| password);
    (!password.is_empty()).then(|| SecretBytes::new(plain(password)))
}

/// What stands before the first colon that means one, and what behind it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        match byte {
            b':' => return Some((&line[..at], &line[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// A field without its backslashes.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'\\' => bytes.next().unwrap_or(byte),
            byte => byte,
        };
        plain.push(*meant);
    }
    plain
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn found(text: &str, url: &str) -> Option<String> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("passwords");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let password = read(&path, &url.parse().unwrap()).unwrap()?;
        Some(String::from_utf8(password.expose().to_vec()).unwrap())
    }

    const URL: &str = "postgres://clinic@db.example/telemed";

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db.example:5432:telemed:clinic:no\n\
                    db.example:5433:telemed:clinic:port\n\
                    db.example:5432:telemed:other:user\r\n\
                    db.example:*:telemed:clinic:yes\r\n\
                    *:*:*:*:late";
        assert_eq!(found(text, URL).unwrap(), "yes");
        let other = "postgres://who@db.example/telemed";
        assert_eq!(found(text, other).unwrap(), "late");
        assert_eq!(found("", URL), None);
        assert_eq!(found("db.example:5432:telemed", URL), None);
        assert_eq!(found("*:*:*:*:", URL), None);
    }

    #[test]
    fn a_backslash_keeps_a_colon_from_ending_a_field() {
        assert_eq!(found(r"*:*:*:*:a\:b\\c:ignored", URL).unwrap(), r"a:b\c");
        assert_eq!(
            found(r"\:\:1:*:*:*:x", "postgres://clinic@[::1]/d").unwrap(),
            "x"
        );
        assert_eq!(found(r"*:*:*:*:a\", URL).unwrap(), r"a\");
    }

    #[test]
    fn a_socket_counts_as_this_machine() {
        let socket = "postgres://clinic@%2Frun%2Fpostgresql/telemed";
        assert_eq!(found("localhost:*:*:*:x", socket).unwrap(), "x");
        assert_eq!(found("/run/postgresql:*:*:*:x", socket).unwrap(), "x");
        assert_eq!(found("localhost:*:*:*:x", URL), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("passwords");
        let address = URL.parse().unwrap();
        assert!(read(&path, &address).unwrap().is_none());
        fs::write(&path, "*:*:*:*:hunter2").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let StoreFault::Refused(sentence) = read(&path, &address).unwrap_err() else {
            panic!("another fault");
        };
        assert!(sentence.contains("chmod 600"), "{sentence}");
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}
