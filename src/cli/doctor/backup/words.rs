//! What is said about backups.

use crate::cli::text::clean;
use crate::doctor::backup::{Answer, Checked, Made, Restored};
use crate::identity::known_doctor::fingerprint_groups;

/// Said beside a new recovery code, which stands on a line of its own.
pub const NEW_CODE: &str = "doctor: this is the new recovery code, shown this once: write it on \
    paper and keep it away from this machine\n\
    doctor: backups made from now on open with it; those made before open with the older code \
    only, so make a new backup";

/// An answer in words.
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Made(made) => self::made(made),
        Answer::NewCode { code, .. } => code.expose().to_owned(),
        Answer::Sharers(_) | Answer::CodeKept | Answer::Wrapped(_) => String::new(),
    }
}

fn made(made: &Made) -> String {
    let mut lines = format!(
        "The backup '{}' is made ({} bytes). It opens with the recovery code.",
        made.file.display(),
        made.bytes
    );
    if made.root_key {
        lines += "\nThe clinic's root key is in it, since root.key still lies on this machine: move \
                  it to a memory stick in a drawer.";
    }
    if made.root_key_left_out {
        lines += "\nThe clinic's root key is NOT in it: root.key is sealed under a passphrase of its \
                  own. Keep a copy of that file, or seal it together with the other keys (doctor key \
                  passwd, while no server runs) and make another backup.";
    }
    lines
}

/// What was found in a backup, as lines.
pub fn checked(checked: &Checked, with_code: bool) -> String {
    let mut lines = format!(
        "The backup of doctor {} opens to its end.\n",
        checked.doctor
    );
    lines += &content(checked);
    if !with_code {
        lines += "It was opened with this machine's own key. To see that your recovery code opens \
                  it too, add --recovery-code-file.\n";
    }
    lines
}

fn content(checked: &Checked) -> String {
    let inventory = &checked.inventory;
    let mut lines = format!("  made            {}\n", checked.made);
    for (what, count) in [
        ("patients", inventory.patients),
        ("their devices", inventory.devices),
        ("records", inventory.records),
        ("messages sent", inventory.messages),
        ("and received", inventory.incoming),
        ("audit entries", inventory.audit),
    ] {
        lines += &format!("  {what:<14}  {count}\n");
    }
    if let Some(newest) = inventory.newest {
        lines += &format!("  newest entry    {newest}\n");
    }
    let root = if checked.root_key { "yes" } else { "no" };
    lines + &format!("  root key        {root}\n")
}

/// What is wrong with what is in a backup, as sentences.
pub fn faults(checked: &Checked) -> Vec<String> {
    let unopened = checked.unopened.iter();
    let unopened = unopened.map(|(table, count)| format!("{count} of {table} do not open"));
    let findings = checked.findings.iter().map(ToString::to_string);
    unopened.chain(findings).collect()
}

/// What was restored and what is left to do, as lines.
pub fn restored(restored: &Restored, data_option: &str) -> String {
    let checked = &restored.checked;
    let mut lines = format!("Doctor {} is restored.\n", checked.doctor);
    lines += &content(checked);
    for fault in faults(checked) {
        lines += &format!("This is damaged: {fault}.\n");
    }
    if !restored.tickets.is_empty() {
        lines += &format!(
            "Open tickets are void now: {}. Make new ones: doctor enrol PATIENT\n",
            restored.tickets.join(", ")
        );
    }
    lines += &lost(restored);
    for revocation in &restored.stopped {
        lines += &format!(
            "A device of {} was {} after the backup, and is again.\n",
            clean(&revocation.subject),
            revocation.state,
        );
    }
    lines += &format!(
        "The doctor's key is that of the backup:\n  {}\nIf it was replaced since, because it was \
         stolen, patients who know of that refuse it: replace it again before the server runs: \
         doctor{data_option} --id {} authority replace-key --reason TEXT\n",
        fingerprint_groups(&checked.key),
        checked.doctor
    );
    lines
        + &format!(
            "The recovery code stays the same. Enrolled patients connect again without a ticket \
             once the server runs: doctor{data_option} --id {}\n",
            checked.doctor
        )
}

/// What has happened since the backup, as far as that is known.
fn lost(restored: &Restored) -> String {
    let (made, end) = (restored.checked.made, restored.log_end);
    match restored.known_end {
        None => format!(
            "What happened after {made} is not in the backup.\n{}",
            by_hand(true)
        ),
        Some(known) if known > end => format!(
            "The audit log had {known} entries and those from {} on are not in the backup: they \
             are what happened after {made}.\n{}",
            end + 1,
            by_hand(false)
        ),
        Some(_) => "Nothing is known to have happened after the backup.\n".to_owned(),
    }
}

fn by_hand(revocations: bool) -> String {
    let mut lines = "Repeat by hand what was done since then:\n".to_owned();
    if revocations {
        lines += "  - devices that were frozen or revoked since then are let in again: before \
                  you start the server, look with 'doctor devices' and put them out again with \
                  'doctor revoke PATIENT --device N'\n  \
                  - if her signing key was replaced since then: doctor authority replace-key\n";
    }
    lines
        + "  - enrol the patients again who enrolled since then, with a new ticket\n  \
           - send the messages again that were written since then, if they still matter\n  \
           - make the changes to records again\n"
}
