//! One connection, one thread: first a stranger's handshake, then a patient's
//! session.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::deadline::UntilDeadline;
use crate::doctor::event::{Event, Replacement};
use crate::doctor::gate::Place;
use crate::doctor::housekeeping;
use crate::doctor::line::{Line, Missed};
use crate::doctor::shared::Shared;
use crate::doctor::socket::Socket;
use crate::doctor::stranger::{Outcome, Stranger, send};
use crate::framing::{FrameReader, MAX_LEN_IN_SESSION};
use crate::handshake::doctor::{Established, Refusal, RefusalReason};
use crate::random::OsRandom;
use crate::session::doctor::DoctorEnd;
use crate::session::outbox::Sink;

/// Serves one connection to its end.
pub fn serve(shared: &Arc<Shared>, stream: Arc<TcpStream>, address: IpAddr, place: Place) {
    // Without it small frames would wait for each other; no harm if it fails.
    let _ = stream.set_nodelay(true);
    let mut stranger = Stranger::new(shared, &stream, address, &place);
    match stranger.handshake() {
        Ok(Outcome::Established(established)) => {
            let reader = stranger.into_reader();
            place.welcome(Instant::now());
            session(shared, &stream, address, reader, *established);
        }
        Ok(Outcome::Enrolled(enrolled)) => {
            place.welcome(Instant::now());
            let name = enrolled.certificate.subject().identifier.clone();
            shared.tell(Event::Enrolled(name, enrolled.check_code));
        }
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
        housekeeping::check_certificates(shared);
    }
    shared.refused(address, refusal.reason);
}

/// A patient's session, from M3 to its end.
fn session(
    shared: &Arc<Shared>,
    stream: &Arc<TcpStream>,
    address: IpAddr,
    mut reader: FrameReader,
    established: Established,
) {
    let sink = Box::new(Socket(Arc::clone(stream)));
    let now = shared.clock.now();
    let sessions = &shared.tables.sessions;
    let order = shared.order();
    // Renewed between M2 and M3: the patient comes back and learns the new one.
    let identity = shared.identity();
    if established.doctor != identity.certificate.fingerprint() {
        return;
    }
    let joined = sessions.join(&established, sink, now, Instant::now(), &mut OsRandom);
    let device = established.certificate.fingerprint();
    let older = match joined {
        Ok(_) => shared.copies.joined(&device, address),
        Err(_) => None,
    };
    // What is younger will be given to this session as it comes.
    let newest = shared.practice.store.newest_message();
    drop(order);
    let Ok(joined) = joined else {
        return;
    };
    // The token is in the queue: the session begins for the patient, too.
    shared.flusher.send([Arc::clone(&joined.outbox)]);
    reader.set_max_len(MAX_LEN_IN_SESSION);
    let peer = shared.peer(&established.certificate.subject().identifier, &device);
    if let Some(outbox) = joined.superseded {
        let now = Instant::now();
        let address = address.to_canonical();
        shared.tell(Event::Superseded(Replacement {
            peer: peer.clone(),
            address,
            older: older.unwrap_or(address),
            silent: outbox.unheard_for(now),
            maybe_copied: shared.copies.replaced(&device, established.resumed, now),
        }));
        shared.flusher.send([outbox]);
    }
    let serial = established.certificate.subject().serial;
    shared.tables.note_address(&serial, address);
    let mut line = Line {
        shared,
        stream,
        address,
        reader,
        end: DoctorEnd::new(
            &established.session,
            established.certificate.clone(),
            &identity.certificate,
        ),
        outbox: joined.outbox,
        id: joined.id,
        device,
        serial,
        peer: peer.clone(),
        in_flight: HashSet::new(),
        missed: Missed { after: 0, up_to: 0 },
    };
    let off = now.distance(established.their_time);
    shared.tell(Event::Joined {
        patient: peer.clone(),
        resumed: established.resumed,
        clock_off: (off > shared.settings.tolerance).then_some(off),
    });
    // The session may last for hours: it keeps neither the keys of a handshake
    // nor a prekey's secret.
    drop(identity);
    drop(established);
    // Stopped between the look at the table and now?
    if housekeeping::is_stopped(shared, &line.serial) {
        housekeeping::check_certificates(shared);
    }
    match newest {
        Ok(newest) => line.begin_with_missed(newest),
        Err(error) => line.cannot_read(&error),
    }
    let departure = line.run();
    let was_here = sessions.leave(&line.device, line.id, Instant::now());
    shared.live().gone(line.id);
    line.finish(departure);
    if was_here {
        shared.tell(Event::Left(peer, departure));
    }
}
