//! What can be typed.

use argh::{ArgsInfo, FromArgs};

/// Send a message to all patients, or to some of them.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "broadcast",
    usage = "[OPTIONS] TEXT",
    help_triggers("-h", "--help"),
    note = "An urgent message is given to a device again at every connection until\nsomebody confirms it, or until it expires.\n\nOther users of this machine can see what stands on a command line; with - as\nTEXT it is read from standard input, which they cannot.",
    example = "doctor broadcast --urgent --wait 60 \"Leave the building.\"",
    error_code(6, "somebody did not confirm in the time of --wait")
)]
pub struct Broadcast {
    /// an emergency: the devices call attention to it
    #[argh(switch)]
    pub urgent: bool,
    /// only these patients, such as P1,P3; the others notice nothing
    #[argh(option, arg_name = "patients")]
    pub to: Option<String>,
    /// only the patients whose records have this tag
    #[argh(option)]
    pub tag: Option<String>,
    /// every patient of the clinic, not only this doctor's; an assistant, who has
    /// none of her own, need not say it
    #[argh(switch)]
    pub clinic: bool,
    /// not given to anybody any more after this time, such as 30min, 6h or 2d
    #[argh(option, arg_name = "time")]
    pub expires: Option<String>,
    /// wait so long for confirmations by all; then exit with 6 if one is missing
    #[argh(option, arg_name = "seconds")]
    pub wait: Option<String>,
    /// the message, in quotation marks; - reads it from standard input
    #[argh(positional, arg_name = "TEXT")]
    pub text: String,
}

/// Send a message to one patient.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "message",
    usage = "[OPTIONS] PATIENT TEXT",
    help_triggers("-h", "--help"),
    note = "Other users of this machine can see what stands on a command line; with - as\nTEXT it is read from standard input, which they cannot.",
    error_code(6, "the patient did not confirm in the time of --wait")
)]
pub struct Message {
    /// an emergency: the devices call attention to it
    #[argh(switch)]
    pub urgent: bool,
    /// not given to any device any more after this time, such as 30min, 6h or
    /// 2d
    #[argh(option, arg_name = "time")]
    pub expires: Option<String>,
    /// wait so long for the confirmation; then exit with 6 if it is missing
    #[argh(option, arg_name = "seconds")]
    pub wait: Option<String>,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
    /// the message, in quotation marks; - reads it from standard input
    #[argh(positional, arg_name = "TEXT")]
    pub text: String,
}

/// Show which messages have reached whom, and who has confirmed them.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "deliveries", help_triggers("-h", "--help"))]
pub struct Deliveries {
    /// only what no device of a patient has got, with the number to call
    #[argh(switch)]
    pub missing: bool,
    /// only the patients who have not confirmed it, with the number to call
    #[argh(switch)]
    pub unconfirmed: bool,
    /// check the signature of each confirmation
    #[argh(switch)]
    pub verify: bool,
    /// a message, by number or short name; without it the newest
    #[argh(positional, arg_name = "MESSAGE")]
    pub message: Option<String>,
}

/// The same as deliveries.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "report", help_triggers("-h", "--help"))]
pub struct Report {}

/// Show messages to and from one patient, with their consultations.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "history", help_triggers("-h", "--help"))]
pub struct History {
    /// so many of the newest (default 1000)
    #[argh(option, arg_name = "count")]
    pub last: Option<String>,
    /// from the first one on
    #[argh(switch)]
    pub all: bool,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// Show new messages from patients; they count as read then.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "inbox", help_triggers("-h", "--help"))]
pub struct Inbox {
    /// those that were read before, too
    #[argh(switch)]
    pub all: bool,
}

/// Begin or end a consultation with one patient.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "consult", help_triggers("-h", "--help"))]
pub struct Consult {
    /// end it
    #[argh(switch)]
    pub end: bool,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}
