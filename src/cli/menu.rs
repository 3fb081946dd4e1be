//! The numbered menus, and questions in general.

use std::io;

use super::terminal::{Input, Printer, Terminal};
use super::text::{quoted, sentence};

/// Someone to ask. A [`Terminal`], or a script in tests.
pub trait Dialogue {
    /// Prints a line.
    fn say(&mut self, line: &str);

    /// Shows `prompt` and waits for a line.
    ///
    /// # Errors
    /// If nothing can be read.
    fn read_line(&mut self, prompt: &str) -> io::Result<Input>;

    /// Waits until everything that was said is written; false if it cannot be.
    fn flush(&mut self) -> bool {
        true
    }

    /// Whether a person types, who reads each answer before going on.
    fn is_typed(&self) -> bool {
        true
    }
}

/// A terminal with its printer.
pub struct Console {
    /// Where lines are read.
    pub terminal: Terminal,
    /// Where lines are printed.
    pub printer: Printer,
}

impl Dialogue for Console {
    fn say(&mut self, line: &str) {
        self.printer.line(line);
    }

    fn read_line(&mut self, prompt: &str) -> io::Result<Input> {
        self.terminal.read_line(prompt)
    }

    fn flush(&mut self) -> bool {
        self.printer.flush()
    }

    fn is_typed(&self) -> bool {
        self.terminal.is_typed()
    }
}

/// What a question led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<T> {
    /// This.
    Given(T),
    /// Nothing: back to the menu.
    Back,
    /// End of input: it means Exit, wherever it comes.
    End,
    /// Ctrl-C.
    Interrupted,
    /// The program is to stop.
    Stopped,
}

/// Asks until `check` is content. What it is not content with gets the reason
/// that it returns, as a sentence, and the prompt again.
///
/// # Errors
/// If nothing can be read.
pub fn ask<T>(
    dialogue: &mut dyn Dialogue,
    prompt: &str,
    check: impl Fn(&str) -> Result<T, String>,
) -> io::Result<Answer<T>> {
    loop {
        match judged(dialogue.read_line(prompt)?, &check) {
            Ok(answer) => return Ok(answer),
            Err(reason) => dialogue.say(&sentence(&reason)),
        }
    }
}

/// What an input means as an answer, or why it is none.
fn judged<T>(
    input: Input,
    check: &impl Fn(&str) -> Result<T, String>,
) -> Result<Answer<T>, String> {
    match input {
        Input::Line(line) => check(line.trim()).map(Answer::Given),
        Input::Invalid(reason) => Err(reason),
        Input::End => Ok(Answer::End),
        Input::Interrupted => Ok(Answer::Interrupted),
        Input::Stopped => Ok(Answer::Stopped),
    }
}

impl<T> Answer<T> {
    /// Goes on with what was given, if anything was.
    ///
    /// # Errors
    /// Those of `next`.
    pub fn and_then<U>(
        self,
        next: impl FnOnce(T) -> io::Result<Answer<U>>,
    ) -> io::Result<Answer<U>> {
        match self {
            Self::Given(value) => next(value),
            Self::Back => Ok(Answer::Back),
            Self::End => Ok(Answer::End),
            Self::Interrupted => Ok(Answer::Interrupted),
            Self::Stopped => Ok(Answer::Stopped),
        }
    }
}

/// Asks for something that a choice of the menu needs. An empty line or Ctrl-C
/// leads back to the menu. So does an answer that `check` is not content with,
/// if nobody types: the next line was meant for something else then.
///
/// Shows a menu below another one until `back` is chosen; `step` does what an
/// entry stands for, and gives what is to be said of it.
///
/// # Errors
/// If nothing can be read.
pub fn run_below<T: Copy + PartialEq>(
    dialogue: &mut dyn Dialogue,
    menu: &Menu<T>,
    back: T,
    step: impl Fn(&mut dyn Dialogue, T) -> io::Result<Answer<String>>,
) -> io::Result<Answer<()>> {
    loop {
        let item = match menu.choose(dialogue)? {
            Answer::Given(item) if item == back => return Ok(Answer::Given(())),
            Answer::Given(item) => item,
            other => return other.and_then(|_| Ok(Answer::Back)),
        };
        match step(dialogue, item)? {
            Answer::Given(said) => dialogue.say(&said),
            Answer::Back => dialogue.say("Nothing was done."),
            other => return other.and_then(|_| Ok(Answer::Back)),
        }
    }
}

/// # Errors
/// If nothing can be read.
pub fn question<T>(
    dialogue: &mut dyn Dialogue,
    prompt: &str,
    check: impl Fn(&str) -> Result<T, String>,
) -> io::Result<Answer<T>> {
    let given = optional(dialogue, prompt, |typed| match typed {
        "" => Ok(None),
        typed => check(typed).map(Some),
    })?;
    given.and_then(|given| Ok(given.map_or(Answer::Back, Answer::Given)))
}

/// The same where an empty line is an answer, too, which `check` judges.
///
/// # Errors
/// If nothing can be read.
pub fn optional<T>(
    dialogue: &mut dyn Dialogue,
    prompt: &str,
    check: impl Fn(&str) -> Result<T, String>,
) -> io::Result<Answer<T>> {
    loop {
        let reason = match dialogue.read_line(prompt)? {
            Input::Interrupted => return Ok(Answer::Back),
            input => match judged(input, &check) {
                Ok(answer) => return Ok(answer),
                Err(reason) => reason,
            },
        };
        dialogue.say(&sentence(&reason));
        if !dialogue.is_typed() {
            return Ok(Answer::Back);
        }
    }
}

/// A numbered menu: its first entry is 1.
#[derive(Clone, Copy, Debug)]
pub struct Menu<T: 'static> {
    /// What stands above the entries.
    pub title: &'static str,
    /// What can be chosen, and how it is called.
    pub entries: &'static [(T, &'static str)],
}

impl<T: Copy> Menu<T> {
    /// The menu as it is printed.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = format!("\n{}", self.title);
        for (number, (_, label)) in (1..).zip(self.entries) {
            lines += &format!("\n  {number}  {label}");
        }
        lines
    }

    /// Prints the menu and asks for an entry.
    ///
    /// # Errors
    /// If nothing can be read.
    pub fn choose(&self, dialogue: &mut dyn Dialogue) -> io::Result<Answer<T>> {
        dialogue.say(&self.lines());
        ask(dialogue, "Choice: ", |typed| self.entry(typed))
    }

    fn entry(&self, typed: &str) -> Result<T, String> {
        let last = self.entries.len();
        typed
            .parse::<usize>()
            .ok()
            .and_then(|number| self.entries.get(number.checked_sub(1)?))
            .map(|(choice, _)| *choice)
            .ok_or_else(|| match typed {
                "" => format!("type a number from 1 to {last}"),
                _ => format!("{} is not a number from 1 to {last}", quoted(typed)),
            })
    }
}

/// What a doctor can choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoctorChoice {
    /// List connected patients.
    List,
    /// Send a message to all patients.
    Broadcast,
    /// Disconnect all patients.
    Disconnect,
    /// Exit.
    Exit,
    /// Send a message to one patient.
    Message,
    /// Show what has reached whom.
    Report,
    /// Make a ticket.
    Enrol,
    /// Patients' records: a menu of their own.
    Patients,
    /// Show what has not arrived.
    Missing,
    /// Show new messages from patients.
    Inbox,
    /// Show what one patient and the doctor wrote.
    History,
    /// Begin a consultation.
    Consult,
    /// End it.
    EndConsult,
    /// Devices and tickets: a menu of their own.
    Devices,
    /// Show what the clinic's root has signed, and until when it holds.
    Authority,
    /// Send a message to all patients of all doctors.
    ClinicBroadcast,
    /// List who is connected to which doctor.
    ClinicList,
}

/// The doctor's menu. The first four numbers are old and stay.
pub const DOCTOR: Menu<DoctorChoice> = Menu {
    title: "Doctor's menu",
    entries: &[
        (DoctorChoice::List, "List connected patients"),
        (DoctorChoice::Broadcast, "Broadcast message to all patients"),
        (DoctorChoice::Disconnect, "Disconnect all patients"),
        (DoctorChoice::Exit, "Exit server"),
        (DoctorChoice::Message, "Message one patient"),
        (DoctorChoice::Report, "Delivery report"),
        (DoctorChoice::Enrol, "Enrol a patient"),
        (DoctorChoice::Patients, "Patients' records"),
        (DoctorChoice::Missing, "Messages that have not arrived"),
        (DoctorChoice::Inbox, "New messages from patients"),
        (DoctorChoice::History, "Messages to and from one patient"),
        (DoctorChoice::Consult, "Begin a consultation"),
        (DoctorChoice::EndConsult, "End a consultation"),
        (DoctorChoice::Devices, "Devices and tickets"),
        (
            DoctorChoice::Authority,
            "Certificate and keys of this practice",
        ),
        (
            DoctorChoice::ClinicBroadcast,
            "Broadcast message to all patients of the clinic",
        ),
        (
            DoctorChoice::ClinicList,
            "List connected patients of the clinic",
        ),
    ],
};

/// What a patient can choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatientChoice {
    /// Ask the doctor to end the session.
    Disconnect,
    /// Exit.
    Exit,
    /// Send a message to the doctor.
    Message,
    /// Show the messages received.
    Show,
    /// Confirm a message.
    Confirm,
    /// Show what was said in both directions.
    History,
    /// Begin a consultation.
    Open,
    /// End the consultation.
    Close,
}

/// The patient's menu. The first two numbers are old and stay.
pub const PATIENT: Menu<PatientChoice> = Menu {
    title: "Patient's menu",
    entries: &[
        (PatientChoice::Disconnect, "Send disconnect request"),
        (PatientChoice::Exit, "Exit client"),
        (PatientChoice::Message, "Message the doctor"),
        (PatientChoice::Show, "Show messages"),
        (PatientChoice::Confirm, "Confirm a message"),
        (PatientChoice::History, "Show the history"),
        (PatientChoice::Open, "Begin a consultation"),
        (PatientChoice::Close, "End the consultation"),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::text::check_message;
    use super::*;

    /// A person who types what was written down before.
    struct Script {
        inputs: std::vec::IntoIter<Input>,
        said: Vec<String>,
    }

    impl Script {
        fn typing(lines: &[&str]) -> Self {
            Self::of(lines.iter().map(|l| Input::Line((*l).to_owned())).collect())
        }

        fn of(inputs: Vec<Input>) -> Self {
            Self {
                inputs: inputs.into_iter(),
                said: Vec::new(),
            }
        }
    }

    impl Dialogue for Script {
        fn say(&mut self, line: &str) {
            self.said.push(line.to_owned());
        }

        fn read_line(&mut self, prompt: &str) -> io::Result<Input> {
            self.said.push(prompt.to_owned());
            Ok(self.inputs.next().unwrap_or(Input::End))
        }
    }

    #[test]
    fn the_numbers_are_the_documented_ones() {
        let doctor = "\nDoctor's menu
  1  List connected patients
  2  Broadcast message to all patients
  3  Disconnect all patients
  4  Exit server
  5  Message one patient
  6  Delivery report
  7  Enrol a patient
  8  Patients' records
  9  Messages that have not arrived
  10  New messages from patients
  11  Messages to and from one patient
  12  Begin a consultation
  13  End a consultation
  14  Devices and tickets
  15  Certificate and keys of this practice
  16  Broadcast message to all patients of the clinic
  17  List connected patients of the clinic";
        assert_eq!(DOCTOR.lines(), doctor);
        let patient = "\nPatient's menu
  1  Send disconnect request
  2  Exit client
  3  Message the doctor
  4  Show messages
  5  Confirm a message
  6  Show the history
  7  Begin a consultation
  8  End the consultation";
        assert_eq!(PATIENT.lines(), patient);
        for (typed, choice) in [("4", DoctorChoice::Exit), (" 7 ", DoctorChoice::Enrol)] {
            let mut script = Script::typing(&[typed]);
            assert_eq!(DOCTOR.choose(&mut script).unwrap(), Answer::Given(choice));
        }
        let mut script = Script::typing(&["2"]);
        let exit = Answer::Given(PatientChoice::Exit);
        assert_eq!(PATIENT.choose(&mut script).unwrap(), exit);
    }

    #[test]
    fn wrong_input_gets_one_sentence_and_the_prompt_again() {
        let wrong = [
            "",
            "0",
            "9",
            "one",
            "-1",
            "1 2",
            "99999999999999999999",
            "\x1b[A",
        ];
        let mut script = Script::typing(&[&wrong[..], &["5"]].concat());
        let answer = PATIENT.choose(&mut script).unwrap();
        assert_eq!(answer, Answer::Given(PatientChoice::Confirm));
        assert_eq!(script.said.len(), 2 + 2 * wrong.len());
        assert_eq!(script.said[2], "Type a number from 1 to 8.");
        assert_eq!(script.said[4], "\"0\" is not a number from 1 to 8.");
        assert_eq!(script.said[16], "\"[A\" is not a number from 1 to 8.");
        assert!(script.said[1..].iter().step_by(2).all(|p| p == "Choice: "));
    }

    #[test]
    fn the_end_of_input_ends_every_question() {
        for (input, answer) in [
            (Input::End, Answer::End),
            (Input::Interrupted, Answer::Interrupted),
            (Input::Stopped, Answer::Stopped),
        ] {
            let mut script = Script::of(vec![Input::Line("x".to_owned()), input]);
            assert_eq!(DOCTOR.choose(&mut script).unwrap(), answer);
        }
    }

    #[test]
    fn a_question_is_asked_until_the_answer_is_right() {
        let mut script = Script::of(vec![
            Input::Line("  ".to_owned()),
            Input::Invalid("that line is bad".to_owned()),
            Input::Line(" Take 5 mg. ".to_owned()),
        ]);
        let check = |text: &str| check_message(text).map(|()| text.to_owned());
        let answer = ask(&mut script, "Message: ", check).unwrap();
        assert_eq!(answer, Answer::Given("Take 5 mg.".to_owned()));
        assert_eq!(
            script.said,
            [
                "Message: ",
                "The message is empty.",
                "Message: ",
                "That line is bad.",
                "Message: "
            ]
        );
    }
}
