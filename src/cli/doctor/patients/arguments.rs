//! What can be typed after `doctor patients`.

use argh::{ArgsInfo, FromArgs};

use crate::doctor::records::Personal;

/// Keep patients' records. What they say is sealed in the database.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "patients",
    help_triggers("-h", "--help"),
    example = "{command_name} add P1\n    ask for everything at the terminal",
    example = "{command_name} add P1 --json-input - < ada.json\n    the same from a file",
    example = "{command_name} edit P1 --phone \"+44 20 123\" --tag asthma\n    change only this",
    example = "{command_name} search muller\n    find Müller, too",
    note = "What stands on a command line can be seen by other users of this machine\nand stays in the shell's history. So every value can also be typed at the\nterminal (say only the identifier) or come from standard input as JSON:\n{{\"name\":\"Ada Lovelace\",\"born\":\"1980-02-29\",\"sex\":\"female\",\"phone\":\"...\",\n\"email\":\"...\",\"address\":\"...\",\"notes\":\"...\",\"tags\":[\"...\"]}}"
)]
pub struct Patients {
    /// what to do
    #[argh(subcommand)]
    pub command: PatientsCommand,
}

/// The commands about records.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand)]
#[expect(missing_docs, reason = "each variant's type has the words")]
pub enum PatientsCommand {
    Add(Add),
    Edit(Edit),
    Show(Show),
    List(ListPatients),
    Search(Search),
    Archive(Archive),
    Unarchive(Unarchive),
    Transfer(Transfer),
    Note(WriteNote),
}

/// Make a patient's record; asks at the terminal if nothing is said.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "add",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS] PATIENT",
    note = "What stands on a command line can be seen by others; see\ndoctor patients --help for two other ways."
)]
pub struct Add {
    /// name
    #[argh(option)]
    pub name: Option<Personal>,
    /// date of birth, such as 1980-02-29
    #[argh(option)]
    pub born: Option<Personal>,
    /// female, male, other or unknown
    #[argh(option)]
    pub sex: Option<Personal>,
    /// phone number
    #[argh(option)]
    pub phone: Option<Personal>,
    /// e-mail address
    #[argh(option)]
    pub email: Option<Personal>,
    /// postal address
    #[argh(option)]
    pub address: Option<Personal>,
    /// a word to find and choose patients by; can be given several times
    #[argh(option)]
    pub tag: Vec<Personal>,
    /// free notes
    #[argh(option)]
    pub notes: Option<Personal>,
    /// file with the notes; - is standard input
    #[argh(option)]
    pub notes_file: Option<String>,
    /// file with everything, as JSON; - is standard input
    #[argh(option)]
    pub json_input: Option<String>,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// Change a patient's record: only what is named; asks if nothing is.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "edit",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS] PATIENT",
    note = "In JSON \"\" clears a field, \"tags\" replaces all tags, and \"add_tags\" and\n\"remove_tags\" change some. What stands on a command line can be seen by\nothers; see doctor patients --help for two other ways."
)]
pub struct Edit {
    /// name
    #[argh(option)]
    pub name: Option<Personal>,
    /// date of birth, such as 1980-02-29
    #[argh(option)]
    pub born: Option<Personal>,
    /// female, male, other or unknown
    #[argh(option)]
    pub sex: Option<Personal>,
    /// phone number
    #[argh(option)]
    pub phone: Option<Personal>,
    /// e-mail address
    #[argh(option)]
    pub email: Option<Personal>,
    /// postal address
    #[argh(option)]
    pub address: Option<Personal>,
    /// a further tag; can be given several times
    #[argh(option)]
    pub tag: Vec<Personal>,
    /// a tag to be taken away; can be given several times
    #[argh(option)]
    pub untag: Vec<Personal>,
    /// free notes, instead of those there are
    #[argh(option)]
    pub notes: Option<Personal>,
    /// file with the notes; - is standard input
    #[argh(option)]
    pub notes_file: Option<String>,
    /// born, sex, phone, email, address, notes or tags: forget it; can be given
    /// several times
    #[argh(option)]
    pub clear: Vec<String>,
    /// file with the changes, as JSON; - is standard input
    #[argh(option)]
    pub json_input: Option<String>,
    /// the record's version that was looked at; a record that was changed
    /// since is left alone
    #[argh(option)]
    pub based_on: Option<String>,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// Show everything on file about a patient.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub struct Show {
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// List the patients, those who are only enrolled too.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct ListPatients {
    /// those whose record is archived, instead of the others
    #[argh(switch)]
    pub archived: bool,
    /// only those with this tag
    #[argh(option)]
    pub tag: Option<Personal>,
}

/// Look for a text in all records, whatever its case and accents.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "search", help_triggers("-h", "--help"))]
pub struct Search {
    /// what to look for; - reads it from standard input
    #[argh(positional, arg_name = "TEXT")]
    pub text: Personal,
}

/// Put a patient's record away; it is kept.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "archive", help_triggers("-h", "--help"))]
pub struct Archive {
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// Take a patient's record out of the archive.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(subcommand, name = "unarchive", help_triggers("-h", "--help"))]
pub struct Unarchive {
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
}

/// Give patients to another doctor of the clinic.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "transfer",
    help_triggers("-h", "--help"),
    usage = "PATIENT DOCTOR | --from DOCTOR DOCTOR",
    note = "A patient of yours, or of a doctor who has left the clinic.\nThe patient's program still asks for the doctor it was enrolled with, until it\nis started with --doctor_id."
)]
pub struct Transfer {
    /// give all patients of this doctor: yourself, or one who has left the clinic
    #[argh(option, arg_name = "doctor")]
    pub from: Option<String>,
    /// identifiers of the patient, such as P1, and of the other doctor, such as D2
    #[argh(positional, arg_name = "NAME")]
    pub names: Vec<String>,
}

/// Write about a consultation into a patient's record.
#[derive(FromArgs, ArgsInfo, PartialEq, Eq, Debug)]
#[argh(
    subcommand,
    name = "note",
    help_triggers("-h", "--help"),
    usage = "[OPTIONS] PATIENT [TEXT]",
    note = "What stands on a command line can be seen by others; see\ndoctor patients --help."
)]
pub struct WriteNote {
    /// when it began, such as "2026-03-01 14:05" (default now)
    #[argh(option)]
    pub begun: Option<String>,
    /// when it ended
    #[argh(option)]
    pub ended: Option<String>,
    /// identifier of the patient, such as P1
    #[argh(positional, arg_name = "PATIENT")]
    pub patient: String,
    /// the note, in quotation marks; - reads it from standard input; asks at
    /// the terminal if it is missing
    #[argh(positional, arg_name = "TEXT")]
    pub text: Option<Personal>,
}
