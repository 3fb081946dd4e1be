//! Serving: from the first start to the end.

use std::env;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::Program;
use crate::cli::doctor::{books, failed, menu, objects, show, store_failed};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::menu::Console;
use crate::cli::notify::{Observation, Supervision};
use crate::cli::options::DoctorOptions;
use crate::cli::output::{Form, Object};
use crate::cli::terminal::{Stopper, Terminal};
use crate::clock::{Clock, SystemClock};
use crate::control;
use crate::doctor::desk::Desk;
use crate::doctor::dismissal::Dismissed;
use crate::doctor::event::Event;
use crate::doctor::office;
use crate::doctor::practice::Practice;
use crate::doctor::server::Server;
use crate::doctor::shared::Settings;
use crate::identity::id::Identifier;
use crate::store::{StoreError, fact};

/// How long showing what has happened may take at the end.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// How long the answer to the last command may take.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// Who steers the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A person with the menu.
    Menu,
    /// Commands only; standard input is ignored.
    Service,
}

/// One descriptor a patient: takes as many as the system allows, since the
/// usual soft limit is far below.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused: then it stays as it is, and who is too many is told to wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Serves until told to stop.
pub fn run(options: &DoctorOptions, id: &Identifier, mode: Mode) -> Result<(), Failure> {
    books::check_has_node(options, id)?;
    raise_file_limit();
    // A port that is taken is found out before anything is made.
    let listener = bind(options)?;
    let practice = Arc::new(books::open_or_found(options, id)?);
    // Not before a person has been asked: until there is a server, a signal is
    // to end the program. But before the terminal puts its own in front.
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| failed(&error))?;
    let listening = listener.local_addr().map_err(|error| failed(&error))?;
    let reachable = remember(&practice, options, listening).map_err(|e| store_failed(&e))?;
    let directory = Arc::clone(&practice.directory);
    let (server, events) =
        Server::start(listener, practice, settings(options)).map_err(|error| failed(&error))?;
    let (stop, stopped) = mpsc::channel();
    let desk = desk_of(server, &stop);
    control::listen(&directory.path(""), &desk).map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!(
                "commands cannot be taken in '{}': {error}",
                directory.path("").display()
            ),
        )
    })?;
    on_signals(signals, stop)?;
    announce(id, listening, reachable.as_deref(), options.form);
    let supervision = supervise(&desk)?;
    let result = match mode {
        Mode::Menu => with_menu(&desk, events, stopped, supervision),
        Mode::Service => as_service(&desk, events, &stopped, supervision, options.form),
    };
    let dismissed = desk.server().dismissed().cloned();
    close(desk);
    control::unlisten(&directory.path(""));
    match dismissed {
        Some(Dismissed::Revoked) => result.and(Err(books::is_revoked(id))),
        Some(Dismissed::SeatTaken(sentence)) => {
            result.and(Err(Failure::new(Exit::Failure, sentence)))
        }
        None => result,
    }
}

/// What was chosen for the server.
fn settings(options: &DoctorOptions) -> Settings {
    Settings {
        tolerance: options.tolerance,
        strict_clock: options.strict_clock,
        handshakes_per_address: options.handshakes_per_address.get(),
        block: options.block,
        backup: options.backup.clone(),
        audit_heads: options.audit_heads.clone(),
        ..Settings::default()
    }
}

/// The desk of a server, whose end is asked for through `stop`: by a command, or
/// because the doctor was dismissed.
fn desk_of(server: Server, stop: &mpsc::Sender<()>) -> Arc<Desk> {
    let asked = Mutex::new(stop.clone());
    let desk = Desk::new(
        server,
        Box::new(move || {
            if let Ok(stop) = asked.lock() {
                let _ = stop.send(());
            }
        }),
    );
    let dismissed = stop.clone();
    desk.server().when_dismissed(move || {
        let _ = dismissed.send(());
    });
    Arc::new(desk)
}

/// Lets go of the desk. Whoever asked for the end may still be answered; the server,
/// and with it the store, is closed by the last who lets go of it: that is to be
/// this thread, since the program ends with it.
fn close(desk: Arc<Desk>) {
    let deadline = Instant::now() + LAST_ANSWER;
    while Arc::strong_count(&desk) > 1 && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(5));
    }
    drop(desk);
}

/// Keeps where the server listens, and where patients reach it if that is
/// said; gives where tickets will say that they do.
fn remember(
    practice: &Practice,
    options: &DoctorOptions,
    listening: SocketAddr,
) -> Result<Option<String>, StoreError> {
    if let Some(address) = &options.public_address {
        office::remember_address(practice, address)?;
    }
    let local = match listening.ip().is_unspecified() {
        true => String::new(),
        false => listening.to_string(),
    };
    practice
        .store
        .set_facts(&[(fact::LISTEN_ADDRESS, local.as_bytes())])?;
    office::reachable_address(practice)
}

fn bind(options: &DoctorOptions) -> Result<TcpListener, Failure> {
    let shown = &options.listen;
    let addresses = shown.resolve().map_err(|error| {
        Failure::new(Exit::Failure, format!("--listen {shown}: {error}"))
            .hint("name an address of this machine, or 0.0.0.0 for all of them")
    })?;
    TcpListener::bind(addresses.as_slice()).map_err(|error| {
        let failure = Failure::new(Exit::Failure, format!("cannot listen on {shown}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => failure.hint(
                "another program has this port, perhaps another doctor: stop it, or choose \
                 another port with --listen",
            ),
            io::ErrorKind::AddrNotAvailable => {
                failure.hint("that is no address of this machine; 0.0.0.0 means all of them")
            }
            io::ErrorKind::PermissionDenied => {
                failure.hint("ports below 1024 are reserved: choose a higher one")
            }
            _ => failure,
        }
    })
}

/// The first signal asks for a clean end, the second one leaves at once.
fn on_signals(mut signals: Signals, stop: mpsc::Sender<()>) -> Result<(), Failure> {
    let spawned = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut asked = false;
            for _ in signals.forever() {
                if asked {
                    std::process::exit(Exit::Interrupted.code().into());
                }
                asked = true;
                let _ = stop.send(());
            }
        });
    spawned.map(drop).map_err(|error| failed(&error))
}

fn announce(id: &Identifier, listening: SocketAddr, reachable: Option<&str>, form: Form) {
    if form != Form::People {
        let serving = objects::serving(id.as_str(), &listening.to_string(), reachable);
        print_object(serving, form);
        return;
    }
    let mut lines = format!("doctor: {id} is serving on {listening}\n");
    if listening.ip().is_loopback() && reachable == Some(&listening.to_string()) {
        lines += &format!(
            "doctor: only this machine reaches that address; for others start with --listen \
             0.0.0.0:{} --public-address HOST:PORT\n",
            listening.port()
        );
    } else if let Some(reachable) = reachable {
        lines += &format!("doctor: tickets will say that patients reach it at {reachable}\n");
    } else {
        lines += "doctor: say with --public-address HOST:PORT where patients reach this \
                  machine; tickets carry it\n";
    }
    eprint(&lines);
}

/// Keeps the service manager informed, if there is one.
fn supervise(desk: &Arc<Desk>) -> Result<Option<Supervision>, Failure> {
    let desk = Arc::downgrade(desk);
    let observe = move |within| {
        let Some(desk) = desk.upgrade() else {
            return Observation::default();
        };
        let mut patients: Vec<_> = desk.server().connected();
        patients.dedup_by(|a, b| a.peer.patient == b.peer.patient);
        let status = match patients.len() {
            1 => "1 patient is connected".to_owned(),
            count => format!("{count} patients are connected"),
        };
        Observation {
            alive: desk.server().is_alive(within),
            status,
        }
    };
    Supervision::start(&|name| env::var_os(name), observe).map_err(|error| {
        let sentence = format!("the service manager cannot be told of this server: {error}");
        Failure::new(Exit::Failure, sentence)
    })
}

fn with_menu(
    desk: &Arc<Desk>,
    events: Receiver<Event>,
    stopped: Receiver<()>,
    supervision: Option<Supervision>,
) -> Result<(), Failure> {
    let (terminal, printer) = Terminal::new().map_err(|error| failed(&error))?;
    let stopper: Stopper = terminal.stopper();
    let waker = thread::Builder::new()
        .name("stop".to_owned())
        .spawn(move || {
            if stopped.recv().is_ok() {
                stopper.stop();
            }
        });
    waker.map_err(|error| failed(&error))?;
    let lines = printer.clone();
    let shower = thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            show::events(&events, show::Reader::Person, |line| lines.line(line));
        });
    let shower = shower.map_err(|error| failed(&error))?;
    let mut console = Console { terminal, printer };
    let result = menu::run(&mut console, desk).map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!("standard input cannot be read: {error}"),
        )
    });
    end(desk, shower, supervision);
    result
}

fn as_service(
    desk: &Arc<Desk>,
    events: Receiver<Event>,
    stopped: &Receiver<()>,
    supervision: Option<Supervision>,
    form: Form,
) -> Result<(), Failure> {
    // The journal puts the time before each line itself (systemd.exec(5)).
    let stamp = env::var_os("JOURNAL_STREAM").is_none();
    let shower = thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            if form != Form::People {
                let objects = events.iter().map(|event| objects::event(&event));
                return objects.for_each(|object| print_object(object, form));
            }
            let reader = match io::stderr().is_terminal() {
                true => show::Reader::Person,
                false => show::Reader::Log,
            };
            show::events(&events, reader, |line| {
                let time = match stamp {
                    true => format!("{} ", SystemClock.now()),
                    false => String::new(),
                };
                eprint(&format!("{}: {time}{line}\n", Program::Doctor));
            });
        });
    let shower = shower.map_err(|error| failed(&error))?;
    // An error means that nobody can ask any more: then it is time to stop.
    let _ = stopped.recv();
    end(desk, shower, supervision);
    Ok(())
}

/// Prints an object of a server that serves on, whatever becomes of its output.
fn print_object(object: Object, form: Form) {
    if let Err(failure) = form.print_objects(&[object]) {
        failure.report(Program::Doctor, form);
    }
}

/// Stops the server; what it still had to say is shown first.
fn end(desk: &Desk, shower: thread::JoinHandle<()>, supervision: Option<Supervision>) {
    if let Some(supervision) = supervision {
        supervision.stopping();
    }
    desk.server().stop();
    desk.server().say_no_more();
    // Whoever reads may be stuck: the program ends all the same.
    let deadline = Instant::now() + LAST_EVENTS;
    while !shower.is_finished() && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(5));
    }
}
