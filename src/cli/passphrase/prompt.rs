//! Asking for a passphrase at the terminal, unseen.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::identity::key_file::Passphrase;
use crate::secret::SecretBytes;

/// What a person has typed.
pub(super) enum Typed {
    /// Nothing, and Enter.
    Nothing,
    /// A passphrase.
    Passphrase(Passphrase),
    /// Ctrl-C, or the terminal is gone.
    Interrupted,
}

/// The terminal that this program was started at. What is typed is not shown,
/// until this is dropped.
pub(super) struct Unseen {
    terminal: File,
    before: Termios,
}

impl Unseen {
    /// The terminal, if a person reads what is said there.
    pub(super) fn open() -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut unseen = before.clone();
        // Keys one by one: a Ctrl-C that ended the program at once would leave
        // the terminal as it is now.
        unseen.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        unseen.special_codes[SpecialCodeIndex::VMIN] = 1;
        unseen.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &unseen).ok()?;
        Some(Self { terminal, before })
    }

    /// Says something.
    pub(super) fn say(&mut self, text: &str) {
        // Where it cannot be written, nobody can type either.
        let _ = self.terminal.write_all(text.as_bytes());
    }

    /// Reads one passphrase.
    pub(super) fn ask(&mut self, prompt: &str) -> io::Result<Typed> {
        self.say(prompt);
        let typed = read(&mut self.terminal);
        self.say("\n");
        typed
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Reads keys up to Enter, into memory that is allocated once.
fn read(keys: &mut impl Read) -> io::Result<Typed> {
    let mut typed = SecretBytes::new(vec![0; Passphrase::MAX_LEN + 1]);
    let mut len = 0;
    loop {
        let mut key = [0];
        match keys.read(&mut key) {
            Ok(0) => return Ok(Typed::Interrupted),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            b'\r' | b'\n' => break,
            // Ctrl-C, and Ctrl-D where nothing was typed.
            0x03 => return Ok(Typed::Interrupted),
            0x04 if len == 0 => return Ok(Typed::Interrupted),
            // Backspace takes a whole character; Ctrl-U everything.
            0x08 | 0x7f => {
                while len > 0 {
                    len -= 1;
                    if typed.expose()[len] & 0xc0 != 0x80 {
                        break;
                    }
                }
            }
            0x15 => len = 0,
            0..0x20 => {}
            key => {
                let place = typed.expose_mut().get_mut(len);
                *place.ok_or_else(|| io::Error::other("it is too long"))? = key;
                len += 1;
            }
        }
    }
    typed.truncate(len);
    match Passphrase::new(typed) {
        Some(passphrase) => Ok(Typed::Passphrase(passphrase)),
        None if len == 0 => Ok(Typed::Nothing),
        None => Err(io::Error::other("it is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<Passphrase> {
        match read(&mut &keys[..]).unwrap() {
            Typed::Passphrase(passphrase) => Some(passphrase),
            _ => None,
        }
    }

    #[test]
    fn what_was_typed_can_be_corrected() {
        let right = Passphrase::new(SecretBytes::copy_of("grün 7".as_bytes())).unwrap();
        for keys in [
            "grün 7\r",
            "grün 78\x7f\n",
            "wrong\x15grün 7\n",
            "grünü\x08 7\n",
            "gr\x1bün 7\n",
        ] {
            assert!(typed(keys.as_bytes()).unwrap().is(&right), "{keys:?}");
        }
    }

    #[test]
    fn nothing_and_an_interruption_are_no_passphrase() {
        let is = |keys: &[u8]| read(&mut &keys[..]).unwrap();
        assert!(matches!(is(b"\n"), Typed::Nothing));
        assert!(matches!(is(b"a\x7f\n"), Typed::Nothing));
        assert!(matches!(is(b"abc\x03"), Typed::Interrupted));
        assert!(matches!(is(b"\x04"), Typed::Interrupted));
        assert!(matches!(is(b"abc"), Typed::Interrupted));
    }
}
