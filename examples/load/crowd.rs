//! Patients with sessions: threads that wait for frames of many of them, and
//! answer each broadcast in the name of each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use telemed::framing::{Frame, FrameError, FrameReader};
use telemed::identity::certificate::{Fingerprint, VerifiedCertificate};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::protocol::message::MessageId;
use telemed::protocol::opcode;
use telemed::protocol::record::{Conference, DecMsg, Disconnect, GroupKey, Heartbeat};
use telemed::random::OsRandom;
use telemed::secret::Secret;
use telemed::session::channel::{Opener, Sealer};
use telemed::session::{Direction, SessionKey, receipt};

use crate::{GLANCE, Result};

/// How often new patients are looked for while no frame comes.
const TICK: Duration = Duration::from_millis(20);
/// After so long a patient says that she is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A patient's session.
pub struct Client {
    stream: TcpStream,
    reader: FrameReader,
    sealer: Sealer,
    opener: Opener,
    receipt_key: Secret<64>,
    conference: Conference,
    device: Fingerprint,
    spoke: Instant,
}

impl Client {
    pub fn new(
        stream: TcpStream,
        reader: FrameReader,
        key: &SessionKey,
        opener: Opener,
        conference: Conference,
        device: Fingerprint,
    ) -> Self {
        Self {
            stream,
            reader,
            sealer: Sealer::new(key, Direction::PatientToDoctor),
            opener,
            receipt_key: key.receipt_key(),
            conference,
            device,
            spoke: Instant::now(),
        }
    }

    fn send(&mut self, opcode: u8, body: &[u8]) -> io::Result<()> {
        let frame = self.sealer.seal(opcode, body, &mut OsRandom);
        self.spoke = Instant::now();
        let mut rest = frame.as_bytes();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.stream, PollFlags::OUT)], None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A broadcast that was opened, and whose signature was right.
#[derive(Clone)]
struct Judged {
    frame: Arc<Frame>,
    broadcast: receipt::Broadcast,
    id: MessageId,
}

/// Opens each broadcast once, for everybody.
struct Judge {
    doctor: VerifiedCertificate,
    /// None before the first session.
    receiver: Option<telemed::group::receiver::Receiver>,
    epoch: u64,
    last: Option<Judged>,
}

impl Judge {
    /// Takes a group key, which comes to each patient under her session's key.
    fn take_key(&mut self, conference: Conference, key: &GroupKey) -> Result<()> {
        let receiver = self
            .receiver
            .get_or_insert_with(|| telemed::group::receiver::Receiver::new(conference, None));
        if key.epoch > self.epoch {
            receiver
                .on_group_key(key)
                .map_err(|_| "a group key that does not follow")?;
            self.epoch = key.epoch;
        }
        Ok(())
    }

    fn judge(&mut self, frame: Frame) -> Result<Judged> {
        if let Some(last) = &self.last
            && *last.frame == frame
        {
            return Ok(last.clone());
        }
        let receiver = self.receiver.as_mut().ok_or("a broadcast before the key")?;
        let opened = receiver.open(&frame, &self.doctor);
        let (message, broadcast) = opened.map_err(|_| "a broadcast that is not genuine")?;
        let judged = Judged {
            frame: Arc::new(frame),
            broadcast,
            id: message.id(),
        };
        self.last = Some(judged.clone());
        Ok(judged)
    }
}

struct Shared {
    judge: Mutex<Judge>,
    /// Broadcasts that came to somebody, and when the last did.
    received: Mutex<(usize, Instant)>,
    connected: AtomicUsize,
    hanging_up: AtomicBool,
    trouble: Mutex<Option<String>>,
}

/// All patients who are connected.
pub struct Crowd {
    shared: Arc<Shared>,
    /// One for each thread.
    doors: Vec<Sender<Client>>,
    next: AtomicUsize,
}

impl Crowd {
    /// A crowd without anybody in it: patients of this doctor, whom so many
    /// threads share.
    pub fn gather(doctor: &KnownDoctor, threads: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            judge: Mutex::new(Judge {
                doctor: doctor.certificate().clone(),
                receiver: None,
                epoch: 0,
                last: None,
            }),
            received: Mutex::new((0, Instant::now())),
            connected: AtomicUsize::new(0),
            hanging_up: AtomicBool::new(false),
            trouble: Mutex::default(),
        });
        let mut doors = Vec::new();
        for _ in 0..threads {
            let (door, newcomers) = mpsc::channel();
            let mut part = Part {
                shared: Arc::clone(&shared),
                newcomers,
                epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
                clients: HashMap::new(),
                next: 0,
                last: None,
                beat: Instant::now(),
            };
            thread::spawn(move || {
                if let Err(error) = part.run() {
                    let mut trouble = part
                        .shared
                        .trouble
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    trouble.get_or_insert(error.to_string());
                }
            });
            doors.push(door);
        }
        Ok(Self {
            shared,
            doors,
            next: AtomicUsize::new(0),
        })
    }

    /// Takes somebody in.
    pub fn take(&self, client: Client) -> Result<()> {
        self.check()?;
        self.shared.connected.fetch_add(1, Ordering::SeqCst);
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.doors.len();
        self.doors[at]
            .send(client)
            .map_err(|_| "a thread has ended".into())
    }

    fn check(&self) -> Result<()> {
        let trouble = self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*trouble {
            Some(sentence) => Err(sentence.clone().into()),
            None => Ok(()),
        }
    }

    /// How many broadcasts will have come when everybody has one more.
    pub fn expect(&self) -> usize {
        let received = self
            .shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        received.0 + self.shared.connected.load(Ordering::SeqCst)
    }

    /// Waits until so many have come; when the last one did.
    pub fn wait(&self, count: usize, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        loop {
            self.check()?;
            let (received, last) = *self
                .shared
                .received
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if received >= count {
                return Ok(last);
            }
            if Instant::now() > deadline {
                return Err(format!("{} have not got a broadcast", count - received).into());
            }
            thread::sleep(GLANCE);
        }
    }

    /// Cuts all lines, and waits until it is done.
    pub fn hang_up(&self, patience: Duration) -> Result<()> {
        self.shared.hanging_up.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + patience;
        while self.shared.connected.load(Ordering::SeqCst) > 0 {
            self.check()?;
            if Instant::now() > deadline {
                return Err("lines that cannot be cut".into());
            }
            thread::sleep(TICK);
        }
        self.shared.hanging_up.store(false, Ordering::SeqCst);
        Ok(())
    }
}

/// One thread's part of the crowd.
struct Part {
    shared: Arc<Shared>,
    newcomers: Receiver<Client>,
    epoll: OwnedFd,
    clients: HashMap<u64, Client>,
    next: u64,
    /// The broadcast that came last.
    last: Option<Judged>,
    /// When it was last looked whose heartbeat is due.
    beat: Instant,
}

impl Part {
    fn run(&mut self) -> Result<()> {
        let tick = Timespec::try_from(TICK)?;
        let mut events = Vec::with_capacity(1024);
        loop {
            while let Ok(client) = self.newcomers.try_recv() {
                self.add(client)?;
            }
            if self.shared.hanging_up.load(Ordering::SeqCst) {
                let count = self.clients.len();
                self.clients.clear();
                self.shared.connected.fetch_sub(count, Ordering::SeqCst);
            }
            events.clear();
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&tick),
            )?;
            for event in &events {
                self.serve(event.data.u64())?;
            }
            self.heartbeats()?;
        }
    }

    fn add(&mut self, client: Client) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let data = epoll::EventData::new_u64(number);
        epoll::add(
            &self.epoll,
            client.stream.as_fd(),
            data,
            epoll::EventFlags::IN,
        )?;
        let waiting = client.reader.has_buffered_frame();
        self.clients.insert(number, client);
        if waiting {
            self.serve(number)?;
        }
        Ok(())
    }

    /// Takes all frames that have come to one patient.
    fn serve(&mut self, number: u64) -> Result<()> {
        let Some(client) = self.clients.get_mut(&number) else {
            return Ok(());
        };
        loop {
            let frame = match client.reader.read_frame(&mut &client.stream) {
                Ok(frame) => frame,
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(());
                }
                Err(error) => return Err(format!("a patient lost the line: {error}").into()),
            };
            if frame.opcode() == opcode::ENC_MSG {
                answer(&self.shared, &mut self.last, client, frame)?;
            } else {
                record(&self.shared, client, &frame)?;
            }
            if !client.reader.has_buffered_frame() {
                return Ok(());
            }
        }
    }

    fn heartbeats(&mut self) -> Result<()> {
        if self.beat.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.beat = Instant::now();
        for client in self.clients.values_mut() {
            if client.spoke.elapsed() >= HEARTBEAT {
                client.send(opcode::HEARTBEAT, &Heartbeat(0).encode())?;
            }
        }
        Ok(())
    }
}

/// Proves that this patient's device has the broadcast.
fn answer(
    shared: &Shared,
    last: &mut Option<Judged>,
    client: &mut Client,
    frame: Frame,
) -> Result<()> {
    if last.as_ref().is_none_or(|last| *last.frame != frame) {
        let mut judge = shared.judge.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(judge.judge(frame)?);
    }
    let Some(Judged { broadcast, id, .. }) = last else {
        return Ok(());
    };
    let mac = receipt::broadcast_mac(&client.receipt_key, &client.device, broadcast);
    let answer = DecMsg {
        conference: broadcast.conference,
        epoch: broadcast.epoch,
        mid: broadcast.mid,
        id: *id,
        mac,
    };
    client.send(opcode::DEC_MSG, &answer.encode())?;
    let mut received = shared
        .received
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *received = (received.0 + 1, Instant::now());
    Ok(())
}

fn record(shared: &Shared, client: &mut Client, frame: &Frame) -> Result<()> {
    let body = client.opener.open(frame)?;
    match frame.opcode() {
        opcode::GROUP_KEY => {
            let key = GroupKey::decode(body.expose())?;
            let mut judge = shared.judge.lock().unwrap_or_else(PoisonError::into_inner);
            judge.take_key(client.conference, &key)
        }
        opcode::DISCONNECT => {
            let last = Disconnect::decode(body.expose())?;
            Err(format!("the server ended a session: {:?}", last.reason).into())
        }
        _ => Ok(()),
    }
}
