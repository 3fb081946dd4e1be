//! Backups as programs read of them.

use crate::cli::doctor::backup::words;
use crate::cli::output::Object;
use crate::doctor::backup::{Answer, Checked, Restored};
use crate::hex;

/// An answer of the office.
pub fn object(answer: &Answer) -> Object {
    match answer {
        Answer::Made(made) => Object::new("backup")
            .with("file", made.file.to_string_lossy())
            .with("bytes", made.bytes)
            .with("root_key", made.root_key)
            .with("root_key_left_out", made.root_key_left_out),
        Answer::NewCode { code, .. } => Object::new("recovery_code").with("code", code.expose()),
        // The command that asks for it prints what came of it.
        Answer::CodeKept | Answer::Sharers(_) => code_checked(true),
        Answer::Wrapped(wrapped) => code_checked(wrapped.is_some()),
    }
}

/// A recovery code that was checked.
pub fn code_checked(right: bool) -> Object {
    Object::new("recovery_code_check").with("right", right)
}

/// What was found in a backup.
pub fn checked(checked: &Checked, with_code: bool) -> Object {
    content(Object::new("backup_content"), checked).with("with_code", with_code)
}

/// What was restored.
pub fn restored(restored: &Restored) -> Object {
    let stopped = restored.stopped.iter();
    let stopped: Vec<_> = stopped
        .map(|revocation| revocation.subject.as_str())
        .collect();
    content(Object::new("restored"), &restored.checked)
        .with("void_tickets", restored.tickets.clone())
        .with("stopped", stopped)
        .with("log_end", restored.log_end)
        .with("known_end", restored.known_end)
        .with("key", hex::encode(&restored.checked.key))
        .with("revoked_number", restored.checked.revoked_number)
}

fn content(object: Object, checked: &Checked) -> Object {
    let inventory = &checked.inventory;
    object
        .with("doctor", checked.doctor.as_str())
        .with("made", checked.made)
        .with("patients", inventory.patients)
        .with("devices", inventory.devices)
        .with("records", inventory.records)
        .with("sent", inventory.messages)
        .with("received", inventory.incoming)
        .with("audit", inventory.audit)
        .with("newest", inventory.newest)
        .with("root_key", checked.root_key)
        .with("faults", words::faults(checked))
}
