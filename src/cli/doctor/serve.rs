//! Serving: from the first start to the end.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::Program;
use crate::cli::doctor::{
    failed, menu, public_address, remember_address, setup_failed, show, store_failed,
};
use crate::cli::exit::{Exit, Failure, eprint};
use crate::cli::menu::Console;
use crate::cli::options::{DoctorOptions, GroupName};
use crate::cli::terminal::{Stopper, Terminal};
use crate::clock::{Clock, SystemClock};
use crate::doctor::control;
use crate::doctor::desk::Desk;
use crate::doctor::event::Event;
use crate::doctor::server::Server;
use crate::doctor::setup;
use crate::doctor::shared::Settings;
use crate::elgamal::Group;
use crate::identity::authority::DoctorIdentity;
use crate::identity::data_dir::DataDir;
use crate::identity::id::Identifier;
use crate::identity::known_doctor::fingerprint_groups;
use crate::random::OsRandom;
use crate::store::{SqliteStore, Store, fact};

/// From so long before its end on, a start speaks of the certificate's end.
const END_NEAR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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

/// Opens the doctor's directory and database.
pub fn open(options: &DoctorOptions, id: &Identifier) -> Result<(DataDir, SqliteStore), Failure> {
    let directory =
        DataDir::create_or_open(&options.data, id.as_str()).map_err(|error| failed(&error))?;
    let store = setup::open_store(&directory).map_err(|error| setup_failed(&error))?;
    Ok((directory, store))
}

/// The first start: makes a clinic, and says what it made.
fn found(
    options: &DoctorOptions,
    id: &Identifier,
    directory: &DataDir,
    store: &SqliteStore,
) -> Result<DoctorIdentity, Failure> {
    let group = match options.group {
        GroupName::Ffdhe2048 => Group::ffdhe2048(),
        GroupName::Ffdhe3072 => Group::ffdhe3072(),
        GroupName::Ffdhe4096 => Group::ffdhe4096(),
    };
    eprint(&format!(
        "doctor: first start: making a clinic with doctor {id} ({})\n",
        group.name()
    ));
    let now = SystemClock.now();
    let identity = setup::found(directory, store, &group, id, now, &mut OsRandom)
        .map_err(|error| setup_failed(&error))?;
    eprint(&format!(
        "doctor: keys and database are in '{}'\n\
         doctor: the clinic's root key is '{}': move it to a memory stick in a drawer; it \
         will be needed to renew the doctor's certificate before {}\n\
         doctor: fingerprint of the clinic's root: {}\n",
        directory.path("").display(),
        directory.path(setup::ROOT_KEY).display(),
        identity.certificate.subject().not_after,
        fingerprint_groups(&identity.root.fingerprint())
    ));
    Ok(identity)
}

/// The doctor's keys and papers, made by an earlier start.
pub fn identity(
    id: &Identifier,
    directory: &DataDir,
    store: &SqliteStore,
) -> Result<DoctorIdentity, Failure> {
    let now = SystemClock.now();
    let mut identity =
        setup::load(directory, store, now, &mut OsRandom).map_err(|error| setup_failed(&error))?;
    let identifier = identity.identifier();
    if identifier != id {
        let sentence = format!(
            "'{}' belongs to doctor {identifier}, not {id}",
            directory.path("").display()
        );
        return Err(Failure::new(Exit::Failure, sentence));
    }
    identity.certificate.check_dates(now).map_err(|error| {
        Failure::new(Exit::Refused, format!("doctor {id} cannot serve: {error}")).hint(
            "check this machine's date and time; this version cannot renew a certificate \
                 that has ended",
        )
    })?;
    let end = identity.certificate.subject().not_after;
    if end.since(now) < END_NEAR {
        eprint(&format!(
            "doctor: the certificate of doctor {id} ends on {end}, and this version cannot renew \
             it\n"
        ));
    }
    setup::renew_prekeys(directory, store, &mut identity, now, &mut OsRandom)
        .map_err(|error| setup_failed(&error))?;
    Ok(identity)
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
    // Handlers first: the terminal puts its own in front of them.
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| failed(&error))?;
    raise_file_limit();
    // A port that is taken is found out before anything is made.
    let listener = bind(options)?;
    let (directory, store) = open(options, id)?;
    let identity = match setup::is_new(&store).map_err(|error| setup_failed(&error))? {
        true => found(options, id, &directory, &store)?,
        false => identity(id, &directory, &store)?,
    };
    let listening = listener.local_addr().map_err(|error| failed(&error))?;
    if let Some(address) = &options.public_address {
        remember_address(&store, &address.to_string())?;
    }
    let local = (!listening.ip().is_unspecified()).then(|| listening.to_string());
    store
        .set_facts(&[(
            fact::LISTEN_ADDRESS,
            local.as_deref().unwrap_or_default().as_bytes(),
        )])
        .map_err(|error| store_failed(&error))?;
    let reachable = public_address(options, &store)?.or(local);
    let settings = Settings {
        tolerance: options.tolerance,
        strict_clock: options.strict_clock,
        handshakes_per_address: options.handshakes_per_address.get(),
        ..Settings::default()
    };
    let directory = Arc::new(directory);
    let (server, events) = Server::start(
        listener,
        Arc::clone(&directory),
        Arc::new(store),
        identity,
        settings,
        Arc::new(SystemClock),
    )
    .map_err(|error| failed(&error))?;

    let (stop, stopped) = mpsc::channel();
    let request_stop = Mutex::new(stop.clone());
    let desk = Arc::new(Desk::new(
        server,
        reachable.clone(),
        Box::new(move || {
            if let Ok(stop) = request_stop.lock() {
                let _ = stop.send(());
            }
        }),
    ));
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
    announce(id, listening, reachable.as_deref());
    let result = match mode {
        Mode::Menu => with_menu(&desk, events, stopped),
        Mode::Service => as_service(&desk, events, &stopped),
    };
    // Whoever asked for the end may still be answered; the server, and with it
    // the store, is closed by the last who lets go of it: that is to be this
    // thread, since the program ends with it.
    let deadline = Instant::now() + LAST_ANSWER;
    while Arc::strong_count(&desk) > 1 && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(5));
    }
    drop(desk);
    control::unlisten(&directory.path(""));
    result
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

fn announce(id: &Identifier, listening: SocketAddr, reachable: Option<&str>) {
    let mut lines = format!("doctor: {id} is serving on {listening}\n");
    if listening.ip().is_loopback() && reachable == Some(&listening.to_string()) {
        lines += "doctor: only this machine reaches that address; for others start with \
                  --listen 0.0.0.0:7400 --public-address HOST:PORT\n";
    } else if let Some(reachable) = reachable {
        lines += &format!("doctor: tickets will say that patients reach it at {reachable}\n");
    } else {
        lines += "doctor: say with --public-address HOST:PORT where patients reach this \
                  machine; tickets carry it\n";
    }
    eprint(&lines);
}

fn with_menu(
    desk: &Arc<Desk>,
    events: Receiver<Event>,
    stopped: Receiver<()>,
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
            show::events(&events, |line| lines.line(line));
        });
    let shower = shower.map_err(|error| failed(&error))?;
    let mut console = Console { terminal, printer };
    let result = menu::run(&mut console, desk).map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!("standard input cannot be read: {error}"),
        )
    });
    end(desk, shower);
    result
}

fn as_service(
    desk: &Arc<Desk>,
    events: Receiver<Event>,
    stopped: &Receiver<()>,
) -> Result<(), Failure> {
    // The journal puts the time before each line itself (systemd.exec(5)).
    let stamp = env::var_os("JOURNAL_STREAM").is_none();
    let shower = thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            show::events(&events, |line| {
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
    end(desk, shower);
    Ok(())
}

/// Stops the server; what it still had to say is shown first, and what will
/// reach nobody any more.
fn end(desk: &Desk, shower: thread::JoinHandle<()>) {
    let undelivered = show::undelivered(&desk.server().report());
    desk.server().stop();
    desk.server().say_no_more();
    let _ = shower.join();
    eprint(&undelivered);
}
