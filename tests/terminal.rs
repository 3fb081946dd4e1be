//! The terminal as a person and as a script meet it. Each test starts this test
//! program again, on a pseudo-terminal or on pipes; there it runs [`child`], a
//! small program around `Terminal`.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

use std::env;
use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use rexpect::session::{Options, PtySession, spawn_with_options};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use telemed::cli::terminal::{Input, Printer, Terminal};

const CHILD: &str = "TELEMED_TEST_TERMINAL";
const PROMPT: &str = "say> ";
const LINES: usize = 300;

/// The program under test; as a test of its own it does nothing.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let before = tcgetattr(io::stdin());
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).unwrap();
    let (mut terminal, printer) = Terminal::new().unwrap();
    let (stopper, incoming) = (terminal.stopper(), printer.clone());
    thread::spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => burst(&incoming),
                _ => stopper.stop(),
            }
        }
    });
    let mut flood = None;
    loop {
        match terminal.read_line(PROMPT).unwrap() {
            Input::Line(line) if line == "flood" => flood = Some(start_flood(&printer)),
            Input::Line(line) if line == "pid" => {
                printer.line(format!("pid {}!", std::process::id()));
            }
            Input::Line(line) if line == "burst and end" => {
                burst(&printer);
                break;
            }
            Input::Line(line) => printer.line(format!("line <{line}>")),
            Input::Invalid(sentence) => printer.line(format!("invalid: {sentence}")),
            Input::Interrupted => printer.line("interrupted"),
            Input::End => {
                printer.line("end of input");
                break;
            }
            Input::Stopped => {
                assert_eq!(terminal.read_line(PROMPT).unwrap(), Input::Stopped);
                printer.line("stopped");
                printer.flush();
                break;
            }
        }
    }
    if let Some(flood) = flood {
        flood.join().unwrap();
    }
    if let Ok(before) = before {
        // Standard output is the terminal too, and is still open.
        let after = tcgetattr(io::stdout()).unwrap();
        assert!(
            after
                .local_modes
                .contains(LocalModes::ICANON | LocalModes::ISIG)
        );
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!(after.input_modes, before.input_modes);
        printer.line("mode restored");
    }
    drop(terminal);
    // Not through the test harness: its report would come after.
    std::process::exit(42);
}

fn burst(printer: &Printer) {
    for number in 0..LINES {
        printer.line(format!("<incoming {number}>"));
        thread::yield_now();
    }
}

/// Prints while the next line is being typed.
fn start_flood(printer: &Printer) -> JoinHandle<()> {
    let printer = printer.clone();
    thread::spawn(move || burst(&printer))
}

fn child_command() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .env("TERM", "xterm");
    command
}

fn typed() -> PtySession {
    let options = Options::new()
        .timeout_ms(Some(20_000))
        .strip_ansi_escape_codes(true);
    let mut session = spawn_with_options(child_command(), options).unwrap();
    session.exp_string(PROMPT).unwrap();
    session
}

fn pid(session: &mut PtySession) -> Pid {
    session.send_line("pid").unwrap();
    session.exp_string("pid ").unwrap();
    let pid = session.exp_string("!").unwrap();
    session.exp_string(PROMPT).unwrap();
    Pid::from_raw(pid.parse().unwrap()).unwrap()
}

/// All of the rest, which must end well.
fn rest(mut session: PtySession) -> String {
    let rest = session.exp_eof().unwrap();
    let status = session.process().wait().unwrap();
    assert!(format!("{status:?}").contains("42"), "{status:?}: {rest}");
    rest
}

/// rexpect takes each byte for a character.
fn as_rexpect_reads(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// The numbers of the incoming lines, in the order they were shown.
fn incoming(text: &str) -> Vec<usize> {
    text.split("<incoming ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_typed_line_can_be_edited() {
    let mut session = typed();
    // Home, delete, end, backspace.
    session.send_line("xGrüße, 世界!y\x01\x04\x05\x7f").unwrap();
    session
        .exp_string(&as_rexpect_reads("line <Grüße, 世界!>"))
        .unwrap();
    session.exp_string(PROMPT).unwrap();
    session.send_control('d').unwrap();
    let rest = rest(session);
    assert!(rest.contains("end of input"), "{rest}");
    assert!(rest.contains("mode restored"), "{rest}");
}

#[test]
fn ctrl_c_while_typing_is_an_interruption() {
    let mut session = typed();
    session.send("half a li").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("interrupted").unwrap();
    session.exp_string(PROMPT).unwrap();
    session.send_control('d').unwrap();
    rest(session);
}

#[test]
fn incoming_lines_are_all_shown_above_what_is_being_typed() {
    let mut session = typed();
    let pid = pid(&mut session);
    session.send("half a ").unwrap();
    session.flush().unwrap();
    session.exp_string("half a ").unwrap();
    kill_process(pid, Signal::USR1).unwrap();
    // No key is needed for them to be shown.
    let last = format!("<incoming {}>", LINES - 1);
    let shown = session.exp_string(&last).unwrap() + &last;
    assert_eq!(incoming(&shown), (0..LINES).collect::<Vec<_>>());
    // What was typed stands below them, and typing goes on.
    session.exp_string("say> half a ").unwrap();
    session.send_line("line").unwrap();
    session.exp_string("line <half a line>").unwrap();
    session.exp_string(PROMPT).unwrap();
    session.send_control('d').unwrap();
    assert!(rest(session).contains("end of input"));
}

#[test]
fn a_line_ending_during_incoming_lines_loses_none() {
    let mut session = typed();
    let mut shown = String::new();
    session.send_line("flood").unwrap();
    // Empty lines end the editing again and again, while lines come in.
    shown += &session.exp_string(PROMPT).unwrap();
    while !shown.contains(&format!("<incoming {}>", LINES - 1)) {
        session.send_line("").unwrap();
        shown += &session.exp_string("line <>").unwrap();
        shown += &session.exp_string(PROMPT).unwrap();
    }
    assert_eq!(incoming(&shown), (0..LINES).collect::<Vec<_>>());
    session.send_control('d').unwrap();
    rest(session);
}

#[test]
fn what_was_printed_last_is_shown_before_the_program_ends() {
    let mut session = typed();
    session.send_line("burst and end").unwrap();
    assert_eq!(incoming(&rest(session)), (0..LINES).collect::<Vec<_>>());
}

#[test]
fn a_signal_ends_the_waiting_prompt_and_restores_the_terminal() {
    for _ in 0..5 {
        let mut session = typed();
        let pid = pid(&mut session);
        session.send("half a line").unwrap();
        session.flush().unwrap();
        session.exp_string("line").unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let rest = rest(session);
        let (stopped, restored) = (rest.find("stopped"), rest.find("mode restored"));
        assert!(stopped.is_some() && stopped < restored, "{rest}");
    }
}

fn piped(input: &[u8]) -> String {
    let mut child = child_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(42));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_pipe_gives_plain_lines_and_no_prompt() {
    let output = piped("one\nzwölf\r\nlast".as_bytes());
    let expected = "line <one>\nline <zwölf>\nline <last>\nend of input\n";
    assert!(output.ends_with(expected), "{output}");
    assert!(
        !output.contains(PROMPT) && !output.contains('\x1b'),
        "{output}"
    );
}

#[test]
fn a_useless_line_from_a_pipe_is_named_and_the_next_one_read() {
    let mut input = b"\xff\n".to_vec();
    input.extend(vec![b'x'; 100_000]);
    input.extend(b"\nnext\n");
    let output = piped(&input);
    let lines: Vec<_> = output.lines().rev().take(4).collect();
    assert_eq!(lines[0], "end of input");
    assert_eq!(lines[1], "line <next>");
    assert!(lines[2].starts_with("invalid: ") && lines[2].contains("65536"));
    assert!(lines[3].starts_with("invalid: ") && lines[3].contains("UTF-8"));
}

#[test]
fn a_signal_ends_the_waiting_for_a_pipe() {
    let mut child = child_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"ready\n").unwrap();
    let mut output = io::BufReader::new(child.stdout.take().unwrap()).lines();
    while output.next().unwrap().unwrap() != "line <ready>" {}
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(output.next().unwrap().unwrap(), "stopped");
    assert_eq!(child.wait().unwrap().code(), Some(42));
    drop(input);
}
