//! Commands about messages: what can be typed, what it means, and what is
//! printed.

mod args;
mod objects;
mod words;

pub use args::{Broadcast, Consult, Deliveries, History, Inbox, Message, Report};
pub use objects::objects;
pub use words::{letters_text, text};

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::doctor::{answer_of_running, answer_to, books, show};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::input;
use crate::cli::normalise::usage;
use crate::cli::options::{DoctorOptions, seconds};
use crate::cli::text::{self, quoted};
use crate::control::PATIENCE;
use crate::doctor::control::{self, Answer, Request};
use crate::doctor::practice::Practice;
use crate::doctor::{correspondence, deliveries, office};
use crate::identity::certificate::Role;
use crate::identity::id::Identifier;

/// How soon it is looked for the first time who has confirmed, and how often
/// later.
const WAIT_TICKS: (Duration, Duration) = (Duration::from_millis(125), Duration::from_secs(1));
/// The most messages that `--last` takes.
const MOST_SHOWN: u64 = 1_000_000;
/// The longest a message can last, in seconds: a year.
const LONGEST_LIFE: u64 = 366 * 24 * 60 * 60;

/// What is to be done about messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// To ask this and print the answer.
    Ask(Request),
    /// To send this and to wait so long until all have confirmed it.
    SendAndWait(Request, Duration),
    /// To show the inbox.
    Inbox(correspondence::Request),
}

impl Task {
    /// What `doctor broadcast` is to do.
    ///
    /// # Errors
    /// A usage error.
    pub fn broadcast(args: Broadcast) -> Result<Self, Failure> {
        if args.to.is_some() && args.tag.is_some() {
            return Err(usage("--to and --tag exclude each other"));
        }
        if args.clinic && (args.to.is_some() || args.tag.is_some()) {
            return Err(usage(
                "--clinic is for everybody: --to and --tag exclude it",
            ));
        }
        let to = args.to.map_or_else(|| Ok(Vec::new()), |to| patients(&to))?;
        let request = Request::Broadcast(control::Broadcast {
            text: checked(args.text)?,
            urgent: args.urgent,
            to,
            tag: args.tag,
            clinic: args.clinic,
            expires_seconds: expires(args.expires)?,
        });
        Self::send(request, args.wait)
    }

    fn send(request: Request, wait: Option<String>) -> Result<Self, Failure> {
        Ok(match option("--wait", wait, seconds)? {
            Some(time) => Self::SendAndWait(request, time),
            None => Self::Ask(request),
        })
    }

    /// What `doctor message` is to do.
    ///
    /// # Errors
    /// A usage error.
    pub fn message(args: Message) -> Result<Self, Failure> {
        let request = Request::Message {
            patient: patient(&args.patient)?,
            text: checked(args.text)?,
            urgent: args.urgent,
            expires_seconds: expires(args.expires)?,
        };
        Self::send(request, args.wait)
    }

    /// The same, with the text of a message from standard input where it is
    /// there.
    ///
    /// # Errors
    /// Those of [`input::message`].
    fn with_text(mut self) -> Result<Self, Failure> {
        if let Self::Ask(request) | Self::SendAndWait(request, _) = &mut self
            && let Request::Message { text, .. }
            | Request::Broadcast(control::Broadcast { text, .. }) = request
        {
            *text = input::message(mem::take(text))?;
        }
        Ok(self)
    }

    /// What `doctor deliveries` is to do.
    ///
    /// # Errors
    /// A usage error.
    pub fn deliveries(args: Deliveries) -> Result<Self, Failure> {
        if args.missing && args.unconfirmed {
            return Err(usage("--missing and --unconfirmed exclude each other"));
        }
        if args.unconfirmed && args.message.is_none() {
            return Err(usage("--unconfirmed needs MESSAGE"));
        }
        let Deliveries {
            missing,
            unconfirmed,
            verify,
            message,
        } = args;
        let request = deliveries::Request::List {
            message,
            missing,
            verify,
            unconfirmed,
        };
        Ok(Self::Ask(Request::Office(office::Request::Deliveries(
            request,
        ))))
    }

    /// What `doctor report` is to do.
    #[must_use]
    pub fn report() -> Self {
        Self::Ask(report())
    }

    /// What `doctor history` is to do.
    ///
    /// # Errors
    /// A usage error.
    pub fn history(args: History) -> Result<Self, Failure> {
        if args.last.is_some() && args.all {
            return Err(usage("--last and --all exclude each other"));
        }
        let last = option("--last", args.last, count)?.unwrap_or(correspondence::LAST);
        let request = correspondence::Request::History {
            patient: patient(&args.patient)?,
            last: (!args.all).then_some(last),
        };
        Ok(Self::Ask(letters(request)))
    }

    /// What `doctor inbox` is to do.
    #[must_use]
    pub const fn inbox(args: &Inbox) -> Self {
        Self::Inbox(correspondence::Request::Inbox { all: args.all })
    }

    /// What `doctor consult` is to do.
    ///
    /// # Errors
    /// A usage error.
    pub fn consult(args: &Consult) -> Result<Self, Failure> {
        Ok(Self::Ask(Request::Consult {
            patient: patient(&args.patient)?,
            end: args.end,
        }))
    }
}

/// The delivery report.
#[must_use]
pub fn report() -> Request {
    Request::Office(office::Request::Deliveries(deliveries::Request::List {
        message: None,
        missing: false,
        verify: false,
        unconfirmed: false,
    }))
}

/// What has not arrived.
#[must_use]
pub fn missing() -> Request {
    Request::Office(office::Request::Deliveries(deliveries::Request::List {
        message: None,
        missing: true,
        verify: false,
        unconfirmed: false,
    }))
}

/// A request about what was written.
#[must_use]
pub const fn letters(request: correspondence::Request) -> Request {
    Request::Office(office::Request::Letters(request))
}

fn patient(typed: &str) -> Result<String, Failure> {
    let wrong = |error| usage(format!("PATIENT {}: {error}", quoted(typed)));
    let patient: Identifier = typed.parse().map_err(wrong)?;
    Ok(patient.to_string())
}

fn patients(typed: &str) -> Result<Vec<String>, Failure> {
    let names = typed.split(',').map(str::trim);
    names
        .map(|name| {
            let wrong = |error| {
                usage(format!("--to {}: {error}", quoted(typed))).hint("write it so: --to P1,P3")
            };
            let patient: Identifier = name.parse().map_err(wrong)?;
            Ok(patient.to_string())
        })
        .collect()
}

fn checked(text: String) -> Result<String, Failure> {
    match text::check_message(&text) {
        Ok(()) => Ok(text),
        Err(sentence) => Err(usage(sentence)),
    }
}

fn option<T>(
    name: &str,
    typed: Option<String>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    let wrong = |typed: &str, reason| usage(format!("{name} {}: {reason}", quoted(typed)));
    typed
        .map(|typed| check(&typed).map_err(|reason| wrong(&typed, reason)))
        .transpose()
}

/// What `--expires` says, in seconds.
fn expires(typed: Option<String>) -> Result<Option<u64>, Failure> {
    let time = option("--expires", typed, span)?;
    Ok(time.map(|time| time.as_secs()))
}

fn count(typed: &str) -> Result<u64, String> {
    match typed.parse() {
        Ok(count @ 1..=MOST_SHOWN) => Ok(count),
        _ => Err(format!("this is a whole number from 1 to {MOST_SHOWN}")),
    }
}

/// How long a message lasts: a number with its unit.
fn span(typed: &str) -> Result<Duration, String> {
    let digits = typed.len() - typed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = typed.split_at(digits);
    let unit = match unit {
        "s" => Some(1),
        "min" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        "w" => Some(7 * 24 * 60 * 60),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .filter(|seconds| (1..=LONGEST_LIFE).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            "this is a whole number with its unit, s, min, h, d or w, such as 6h, and at most a \
             year"
                .to_owned()
        })
}

/// Does it.
///
/// # Errors
/// [`Failure`]; [`Exit::Unconfirmed`] if somebody did not confirm in time,
/// [`Exit::Integrity`] if something that was shown is damaged.
pub fn run(options: &DoctorOptions, id: &Identifier, task: Task) -> Result<(), Failure> {
    match &task.with_text()? {
        Task::Ask(request) => {
            let answer = answer_to(options, id, request)?;
            show::answer(&answer, options.form)?;
            if_damaged(&answer)
        }
        Task::SendAndWait(request, time) => send_and_wait(options, id, request, *time),
        Task::Inbox(request) => {
            let request = letters(request.clone());
            let answer = answer_to(options, id, &request)?;
            let is_whole = show::answer_whole(&answer, options.form)?;
            // Only what was printed to the end has been read.
            match shown(&answer) {
                Some(request) if is_whole => answer_to(options, id, &request).map(drop)?,
                _ => {}
            }
            if_damaged(&answer)
        }
    }
}

/// What was shown is all there is, but for what does not open.
fn if_damaged(answer: &Answer) -> Result<(), Failure> {
    let count = match answer {
        Answer::Office(answer) => self::objects::damaged(answer),
        _ => 0,
    };
    let sentence = match count {
        0 => return Ok(()),
        1 => "1 message cannot be opened: it is damaged in the database".to_owned(),
        count => format!("{count} messages cannot be opened: they are damaged in the database"),
    };
    Err(Failure::new(Exit::Integrity, sentence)
        .hint("the others are whole; keep the database and restore a backup"))
}

/// What is to be asked once the inbox was shown.
#[must_use]
pub fn shown(answer: &Answer) -> Option<Request> {
    let Answer::Office(office::Answer::Letters(correspondence::Answer::Inbox { letters, .. })) =
        answer
    else {
        return None;
    };
    let unread = letters.iter().filter(|letter| letter.state == "unread");
    let numbers: Vec<u64> = unread.map(|letter| letter.number).collect();
    (!numbers.is_empty()).then(|| self::letters(correspondence::Request::Shown { numbers }))
}

fn send_and_wait(
    options: &DoctorOptions,
    id: &Identifier,
    request: &Request,
    time: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + time;
    if let Some(practice) = without_node(options, id)? {
        let asked = |request: &Request, _| Ok(Some(books::answer(&practice, request.clone())));
        let answer = books::answer(&practice, request.clone());
        return show_and_wait(options, &answer, deadline, &asked);
    }
    let answer = answer_to(options, id, request)?;
    // The running server alone: this program must not take the practice's lock, or
    // a server that has died could not be started again meanwhile.
    let asked = |request: &Request, patience| answer_of_running(options, id, request, patience);
    show_and_wait(options, &answer, deadline, &asked)
}

/// The books of one who works in a clinic without a node; none if she has one.
fn without_node(options: &DoctorOptions, id: &Identifier) -> Result<Option<Practice>, Failure> {
    if !books::may_lack_node(options, id)? {
        return Ok(None);
    }
    let practice = books::open_existing(options, id)?;
    Ok(Some(practice).filter(|practice| practice.role() != Role::Doctor))
}

/// Asks whoever can tell, within this time; none if nobody answers now.
type Asked<'a> = &'a dyn Fn(&Request, Duration) -> Result<Option<Answer>, Failure>;

fn show_and_wait(
    options: &DoctorOptions,
    answer: &Answer,
    deadline: Instant,
    asked: Asked<'_>,
) -> Result<(), Failure> {
    show::answer(answer, options.form)?;
    let Answer::Sent { number, .. } = answer else {
        return Ok(());
    };
    wait_for_confirmations(options, *number, deadline, asked)
}

fn wait_for_confirmations(
    options: &DoctorOptions,
    number: u64,
    deadline: Instant,
    asked: Asked<'_>,
) -> Result<(), Failure> {
    let (mut tick, longest) = WAIT_TICKS;
    let (mut is_last, mut is_told) = (false, false);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Reading the numbers to call is noted each time: only in the end.
        let request = deliveries::Request::Unconfirmed {
            message: number,
            phones: is_last,
        };
        let request = Request::Office(office::Request::Deliveries(request));
        let patience = left.clamp(longest, PATIENCE);
        let answer = asked(&request, patience)?;
        let left = deadline.saturating_duration_since(Instant::now());
        match &answer {
            Some(
                answer @ Answer::Office(office::Answer::Deliveries(
                    deliveries::Answer::Unconfirmed {
                        patients, expired, ..
                    },
                )),
            ) => {
                if patients.is_empty() {
                    return show::answer(answer, options.form);
                }
                if is_last {
                    show::answer(answer, options.form)?;
                    return Err(unconfirmed(number, patients.len(), *expired));
                }
                is_last = *expired || left.is_zero();
                if is_last {
                    continue;
                }
            }
            Some(Answer::Failed(why) | Answer::Office(office::Answer::Failed(why)))
                if why.is_away() =>
            {
                if left.is_zero() {
                    return Err(database_gone(number));
                }
                if !is_told {
                    eprint("doctor: the database does not answer now; waiting until it does\n");
                    is_told = true;
                }
            }
            Some(answer) => return show::answer(answer, options.form),
            None if left.is_zero() => return Err(server_gone(number)),
            None => {}
        }
        thread::sleep(tick.min(left));
        tick = (tick * 2).min(longest);
    }
}

fn unconfirmed(number: u64, count: usize, expired: bool) -> Failure {
    let who = if count == 1 { "patient" } else { "patients" };
    let sentence = match expired {
        true => format!("message {number} has expired, and {count} {who} did not confirm it"),
        false => format!("{count} {who} did not confirm message {number} in time"),
    };
    let hint = format!("whom to call: doctor deliveries {number} --unconfirmed");
    Failure::new(Exit::Unconfirmed, sentence).hint(hint)
}

fn database_gone(number: u64) -> Failure {
    let sentence = format!(
        "the database does not answer, so it is not known who has confirmed message {number}; \
         the message was kept before"
    );
    let hint = format!("when it is back: doctor deliveries {number}");
    Failure::new(Exit::Unconfirmed, sentence).hint(hint)
}

fn server_gone(number: u64) -> Failure {
    let sentence = format!(
        "the server does not answer any more, so it is not known who has confirmed message \
         {number}; the message is kept"
    );
    let hint = format!("start the server again, then: doctor deliveries {number}");
    Failure::new(Exit::Unconfirmed, sentence).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_lasts_a_number_of_units() {
        for (typed, seconds) in [
            ("90s", 90),
            ("30min", 1_800),
            ("6h", 21_600),
            ("1w", 604_800),
        ] {
            assert_eq!(span(typed).unwrap().as_secs(), seconds);
        }
        for typed in [
            "",
            "6",
            "h",
            "0h",
            "-1h",
            "6 h",
            "6H",
            "99999999999999999999w",
            "53w",
        ] {
            assert!(span(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn recipients_are_separated_by_commas() {
        assert_eq!(patients("P1, P3").unwrap(), ["P1", "P3"]);
        for typed in ["", "P1,", "P1 P3", "P1;P3"] {
            assert!(patients(typed).is_err(), "{typed}");
        }
    }
}
