//! One connection: a thread for a stranger's handshake, and another for the
//! session of whoever turns out to be a patient.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use crate::clock::Timestamp;
use crate::deadline::UntilDeadline;
use crate::doctor::clinic;
use crate::doctor::event::{Event, Replacement};
use crate::doctor::gate::Place;
use crate::doctor::housekeeping;
use crate::doctor::line::{Line, Missed, SESSION_STACK_LEN};
use crate::doctor::peer::Peer;
use crate::doctor::shared::Shared;
use crate::doctor::socket::Socket;
use crate::doctor::stranger::{Outcome, Stranger, send};
use crate::framing::{FrameReader, MAX_LEN_IN_SESSION};
use crate::handshake::doctor::{Established, Refusal, RefusalReason};
use crate::identity::authority::DoctorIdentity;
use crate::random::OsRandom;
use crate::session::doctor::DoctorEnd;
use crate::session::outbox::{Outbox, Sink};
use crate::session::table::Joined;
use crate::store::StoreError;

/// Goes through the handshake on one connection, and leaves a patient's session
/// to a thread of its own.
pub fn serve(shared: &Arc<Shared>, stream: Arc<TcpStream>, address: IpAddr, place: Place) {
    // Without it small frames would wait for each other; no harm if it fails.
    let _ = stream.set_nodelay(true);
    let mut stranger = Stranger::new(shared, &stream, address, &place);
    match stranger.handshake() {
        Ok(Outcome::Established(established, answered)) => {
            let reader = stranger.into_reader();
            place.welcome(Instant::now());
            begin(shared, &stream, address, reader, (*established, answered));
            return;
        }
        Ok(Outcome::Enrolled(enrolled)) => {
            place.welcome(Instant::now());
            let name = enrolled.certificate.subject().identifier.clone();
            shared.tell(Event::Enrolled(name, enrolled.check_code));
        }
        Ok(Outcome::Gone) if stranger.was_idle() => shared.turned_away(),
        Ok(Outcome::Gone) => {}
        Err(refusal) => {
            if stranger.was_heard() && refusal.reason.is_failure() {
                shared.failed(address);
            }
            refuse(shared, &stream, address, &place, refusal);
        }
    }
    Socket(stream).close();
}

fn refuse(shared: &Shared, stream: &TcpStream, address: IpAddr, place: &Place, refusal: Refusal) {
    // That the store is away is told once; it may be back when this has ended.
    let is_registry = matches!(refusal.reason, RefusalReason::Registry(_));
    let is_away = is_registry && shared.practice.store.absence().is_some();
    if let Some(answer) = &refusal.answer {
        // The peer may be gone already: it then learns nothing.
        if send(shared, stream, answer).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            let deadline = Instant::now() + shared.settings.timing.linger;
            let mut rest = UntilDeadline::new(stream, deadline);
            let _ = io::copy(&mut rest, &mut io::sink());
        }
    }
    if refusal.reason.is_own_fault() {
        place.refund(Instant::now());
    }
    if matches!(refusal.reason, RefusalReason::TicketUsedTwice(_)) {
        // Whoever came first may be there already.
        let _ = housekeeping::check_certificates(shared);
    }
    match is_away {
        true => shared.turned_away(),
        false => shared.refused(address, refusal.reason),
    }
}

/// Begins a patient's session, from M3 on. A stack keeps the pages that were
/// once written to, and a handshake writes to many: this thread's are given back
/// when it ends, and the session's thread has next to none.
fn begin(
    shared: &Arc<Shared>,
    stream: &Arc<TcpStream>,
    address: IpAddr,
    reader: FrameReader,
    established: (Established, Instant),
) {
    let (hand_over, line) = mpsc::sync_channel::<Box<Line>>(1);
    let run = move || {
        if let Ok(mut taken) = line.recv() {
            drop(line);
            session(&mut taken);
        }
    };
    // Before anybody knows of the session: without a thread the connection is
    // closed, and the patient comes back.
    let spawned = thread::Builder::new()
        .name("connection".to_owned())
        .stack_size(SESSION_STACK_LEN)
        .spawn(run);
    let line = match spawned {
        Ok(_) => join(shared, stream, address, reader, established),
        Err(_) => None,
    };
    match line {
        // The thread waits for nothing else.
        Some(line) => drop(hand_over.send(Box::new(line))),
        None => Socket(Arc::clone(stream)).close(),
    }
}

/// Makes somebody who has proved to be a patient a member; none if that cannot
/// be now.
fn join(
    shared: &Arc<Shared>,
    stream: &Arc<TcpStream>,
    address: IpAddr,
    mut reader: FrameReader,
    (established, answered): (Established, Instant),
) -> Option<Line> {
    let now = shared.clock.now();
    let member = enter(shared, stream, address, &established, answered, now)?;
    // The token is in the queue: the session begins for the patient, too.
    shared.flusher.send([Arc::clone(&member.joined.outbox)]);
    reader.set_max_len(MAX_LEN_IN_SESSION);
    let certificate = &established.certificate;
    let device = certificate.fingerprint();
    let peer = shared.peer(&certificate.subject().identifier, &device);
    if let Some(outbox) = member.joined.superseded {
        tell_superseded(
            shared,
            &peer,
            address,
            member.older,
            established.resumed,
            &outbox,
        );
        shared.flusher.send([outbox]);
    }
    let serial = certificate.subject().serial;
    shared.tables.note_address(&serial, address);
    let line = Line {
        shared: Arc::clone(shared),
        stream: Arc::clone(stream),
        address,
        reader,
        end: DoctorEnd::new(
            &established.session,
            certificate.clone(),
            &member.identity.certificate,
        ),
        outbox: member.joined.outbox,
        id: member.joined.id,
        device,
        serial,
        peer: peer.clone(),
        in_flight: HashSet::new(),
        missed: Missed { after: 0, up_to: 0 },
    };
    let off = now.distance(established.their_time);
    shared.tell(Event::Joined {
        patient: peer,
        resumed: established.resumed,
        clock_off: (off > shared.settings.tolerance).then_some(off),
    });
    bring_up_to_date(line, member.newest)
}

/// A session that is in the table.
struct Member {
    joined: Joined,
    /// The doctor's papers, with which it has begun.
    identity: Arc<DoctorIdentity>,
    /// Where the device was connected from before.
    older: Option<IpAddr>,
    /// The newest message of that moment: what is younger is given to this session
    /// as it comes.
    newest: Result<u64, StoreError>,
}

/// Puts the session into the table; none if there is no room, if the server lets
/// nobody in any more, or if its papers have changed between M2 and M3: the patient
/// comes back then and learns the new ones.
fn enter(
    shared: &Arc<Shared>,
    stream: &Arc<TcpStream>,
    address: IpAddr,
    established: &Established,
    answered: Instant,
    now: Timestamp,
) -> Option<Member> {
    let sink = Box::new(Socket(Arc::clone(stream)));
    let _order = shared.order();
    let identity = shared.identity();
    if !established.knows(&identity) || shared.dismissal.is() {
        return None;
    }
    let instant = Instant::now();
    let sessions = &shared.tables.sessions;
    let joined = sessions.join(established, answered, sink, now, instant, &mut OsRandom);
    let joined = joined.ok()?;
    let device = established.certificate.fingerprint();
    let older = shared.copies.joined(&device, address);
    let newest = shared.practice.store.newest_message();
    let given = newest.as_ref().ok().copied();
    shared.clinic.joined(joined.id, device, answered, given);
    Some(Member {
        joined,
        identity,
        older,
        newest,
    })
}

/// Tells that this session has taken the place of the device's older one.
fn tell_superseded(
    shared: &Shared,
    peer: &Peer,
    address: IpAddr,
    older: Option<IpAddr>,
    resumed: bool,
    outbox: &Outbox,
) {
    let now = Instant::now();
    let address = address.to_canonical();
    shared.tell(Event::Superseded(Replacement {
        peer: peer.clone(),
        address,
        older: older.unwrap_or(address),
        silent: outbox.unheard_for(now),
        maybe_copied: shared.copies.replaced(&peer.device, resumed, now),
    }));
}

/// Gives a session what it has missed; none if the device is elsewhere by now, and
/// is given nothing here.
fn bring_up_to_date(mut line: Line, newest: Result<u64, StoreError>) -> Option<Line> {
    let shared = Arc::clone(&line.shared);
    // Stopped between the look at the table and now?
    if housekeeping::is_stopped(&shared, &line.serial) {
        let _ = housekeeping::check_certificates(&shared);
    }
    if !clinic::claim(&shared, line.id) {
        return None;
    }
    line.tell_roster();
    match newest {
        Ok(newest) => line.begin_with_missed(newest),
        Err(error) => line.cannot_read(&error),
    }
    shared.tables.sessions.served(&line.device, line.id);
    shared.clinic.served(line.id);
    shared.wake_housekeeper();
    Some(line)
}

/// A patient's session, to its end. It may last for hours.
fn session(line: &mut Line) {
    let departure = line.run();
    let sessions = &line.shared.tables.sessions;
    let was_here = sessions.leave(&line.device, line.id, Instant::now());
    line.shared.live().gone(line.id);
    line.shared.clinic.left(line.id);
    line.finish(departure);
    if was_here {
        line.shared.tell(Event::Left(line.peer.clone(), departure));
    }
    Socket(Arc::clone(&line.stream)).close();
}
