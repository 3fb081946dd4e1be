//! A man in the middle: it passes frames on between patients and a doctor's
//! server, knows nothing but their headers, and does one thing to one of them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use telemed::framing::HEADER_LEN;
use telemed::protocol::opcode;

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the patient to the doctor.
    Up,
    /// From the doctor to the patient.
    Down,
}

pub use Way::{Down, Up};

/// A kind of frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    pub way: Way,
    pub opcode: u8,
    pub sub: u8,
}

/// What makes another frame of one.
pub type Edit = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What is done to a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attack {
    /// Turns one bit over: in the length.
    FlipLength,
    /// In the version.
    FlipVersion,
    /// In the opcode.
    FlipOpcode,
    /// In the sub-code.
    FlipSub,
    /// In the first byte of the body.
    FlipFirst,
    /// In the middle of the body.
    FlipMiddle,
    /// In the last byte of the body.
    FlipLast,
    /// Takes it away.
    Drop,
    /// Sends it twice.
    Repeat,
    /// Lets the next frame that goes the same way overtake it.
    Reorder,
    /// Gives it the body of the frame before it.
    Splice,
    /// Takes the last byte away, and says so in the length.
    Shorten,
    /// Stops in the middle of it, and ends the connection.
    Cut,
    /// Sends it a little later.
    Delay,
    /// Sends it back to where it came from instead.
    Reflect,
    /// Sends what [`Proxy::set_edit`] makes of it.
    Edit,
    /// Gives it to the other one of two sessions, and that one's to this.
    Exchange,
}

/// One attack on one frame.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub kind: Kind,
    pub attack: Attack,
    /// How many frames of this kind are let pass before.
    pub after: usize,
}

/// A frame that came by.
#[derive(Clone, Debug)]
pub struct Seen {
    pub connection: usize,
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// The proxy. Its threads end with the connections they serve.
pub struct Proxy {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    server: Mutex<SocketAddr>,
    rule: Mutex<Option<Rule>>,
    edit: Mutex<Option<Edit>>,
    seen: Mutex<Vec<Seen>>,
    open: Mutex<HashMap<usize, [TcpStream; 2]>>,
    connections: AtomicUsize,
    /// How often a rule was carried out.
    done: AtomicUsize,
    exchange: Mutex<Vec<(usize, Vec<u8>)>>,
    exchanged: Condvar,
    ended: AtomicBool,
}

/// How long a session waits for the other one to exchange a frame with.
const PARTNER: Duration = Duration::from_secs(2);
/// How long a frame is held up: far less than anybody waits for one.
const HOLD: Duration = Duration::from_millis(40);

impl Proxy {
    /// A proxy in front of `server`.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            server: Mutex::new(server),
            rule: Mutex::default(),
            edit: Mutex::default(),
            seen: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            exchange: Mutex::default(),
            exchanged: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                accepting.serve(stream.unwrap());
            }
        });
        Self { address, inner }
    }

    /// Sends later connections to another server.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.inner.server.lock().unwrap() = server;
    }

    /// What to do from now on, once; in an exchange once to each of two.
    pub fn set(&self, rule: Rule) {
        self.inner.done.store(0, Ordering::SeqCst);
        self.inner.exchange.lock().unwrap().clear();
        *self.inner.rule.lock().unwrap() = Some(rule);
    }

    /// Changes the next frame of this kind with `edit`.
    pub fn set_edit(&self, kind: Kind, edit: Edit) {
        *self.inner.edit.lock().unwrap() = Some(edit);
        let attack = Attack::Edit;
        let after = 0;
        self.set(Rule {
            kind,
            attack,
            after,
        });
    }

    /// Does nothing any more.
    pub fn calm(&self) {
        *self.inner.rule.lock().unwrap() = None;
    }

    /// How often it did what it was told since [`Proxy::set`].
    pub fn done(&self) -> usize {
        self.inner.done.load(Ordering::SeqCst)
    }

    /// Everything that came by, as it came.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Cuts all lines.
    pub fn cut(&self) {
        for (_, pair) in self.inner.open.lock().unwrap().drain() {
            for stream in pair {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Connects from an address that nobody has used before: the server counts what
/// an address fails to prove, and here all come from one machine.
fn dial(server: SocketAddr) -> Option<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 0x00f0_0000;
    let own = IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + number));
    let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&descriptor, &SocketAddr::new(own, 0)).unwrap();
    connect(&descriptor, &server).ok()?;
    Some(TcpStream::from(descriptor))
}

impl Inner {
    fn serve(self: &Arc<Self>, patient: TcpStream) {
        let Some(doctor) = dial(*self.server.lock().unwrap()) else {
            return;
        };
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        for stream in [&patient, &doctor] {
            stream.set_nodelay(true).unwrap();
        }
        let pair = [patient.try_clone().unwrap(), doctor.try_clone().unwrap()];
        self.open.lock().unwrap().insert(connection, pair);
        let handles = [patient.try_clone().unwrap(), doctor.try_clone().unwrap()];
        let [from_patient, from_doctor] = handles;
        for (way, from, to) in [(Up, from_patient, doctor), (Down, from_doctor, patient)] {
            let inner = Arc::clone(self);
            thread::spawn(move || {
                let mut pump = Pump {
                    inner: &inner,
                    connection,
                    way,
                    to: &to,
                    back: &from,
                    held: None,
                    before: Vec::new(),
                };
                pump.run(&from);
                pump.release();
                let _ = to.shutdown(Shutdown::Write);
                let _ = from.shutdown(Shutdown::Read);
            });
        }
    }

    /// Takes the rule if it is for this frame and this is its turn.
    fn rule_for(&self, kind: Kind) -> Option<Attack> {
        let mut slot = self.rule.lock().unwrap();
        let rule = slot.as_mut().filter(|rule| rule.kind == kind)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        let attack = rule.attack;
        // An exchange has two sides.
        if attack != Attack::Exchange {
            *slot = None;
        }
        drop(slot);
        Some(attack)
    }

    /// The other session's frame, if both have one in time; its own otherwise.
    fn exchange(&self, connection: usize, own: Vec<u8>) -> Vec<u8> {
        let mut table = self.exchange.lock().unwrap();
        if table.len() >= 2 || table.iter().any(|(other, _)| *other == connection) {
            return own;
        }
        table.push((connection, own.clone()));
        self.exchanged.notify_all();
        let (table, _) = self
            .exchanged
            .wait_timeout_while(table, PARTNER, |table| table.len() < 2)
            .unwrap();
        let other = table.iter().find(|(other, _)| *other != connection);
        let Some((_, other)) = other else {
            return own;
        };
        self.done.fetch_add(1, Ordering::SeqCst);
        other.clone()
    }
}

/// One direction of one connection.
struct Pump<'a> {
    inner: &'a Inner,
    connection: usize,
    way: Way,
    to: &'a TcpStream,
    back: &'a TcpStream,
    /// A frame that is to be overtaken by the next.
    held: Option<Vec<u8>>,
    /// The body of the frame before.
    before: Vec<u8>,
}

impl Pump<'_> {
    /// Passes frames on until the line ends, or it is to end here.
    fn run(&mut self, from: &TcpStream) {
        while let Some(frame) = read_frame(from) {
            let kind = Kind {
                way: self.way,
                opcode: frame[5],
                sub: frame[6],
            };
            self.inner.seen.lock().unwrap().push(Seen {
                connection: self.connection,
                kind,
                bytes: frame.clone(),
            });
            let body = frame[HEADER_LEN..].to_vec();
            let goes_on = match self.inner.rule_for(kind) {
                None => self.pass(&frame),
                Some(attack) => self.attack(attack, frame),
            };
            self.before = body;
            if !goes_on {
                return;
            }
        }
    }

    fn pass(&mut self, frame: &[u8]) -> bool {
        self.send(frame);
        self.release();
        true
    }

    fn attack(&mut self, attack: Attack, mut frame: Vec<u8>) -> bool {
        if attack == Attack::Exchange {
            let other = self.inner.exchange(self.connection, frame);
            return self.pass(&other);
        }
        // Before its effect can be seen.
        self.inner.done.fetch_add(1, Ordering::SeqCst);
        if attack == Attack::Reorder {
            self.held = Some(frame);
            return true;
        }
        let middle = usize::midpoint(HEADER_LEN, frame.len());
        let flipped = match attack {
            // By one, so that nobody waits for many bytes that never come.
            Attack::FlipLength => Some(3),
            Attack::FlipVersion => Some(4),
            Attack::FlipOpcode => Some(5),
            Attack::FlipSub => Some(6),
            Attack::FlipFirst => Some(HEADER_LEN),
            Attack::FlipMiddle => Some(middle),
            Attack::FlipLast => Some(frame.len() - 1),
            _ => None,
        };
        if let Some(at) = flipped {
            // Where there is no body, its place is the sub-code's.
            let at = at.min(frame.len() - 1);
            frame[at] ^= 1;
        }
        match attack {
            Attack::Edit => {
                let edit = self.inner.edit.lock().unwrap().take().unwrap();
                self.pass(&edit(&frame))
            }
            Attack::Drop => true,
            Attack::Repeat => self.pass(&frame) && self.pass(&frame),
            Attack::Splice => {
                let spliced = with_body(&frame, &self.before);
                self.pass(&spliced)
            }
            Attack::Shorten => {
                let body = &frame[HEADER_LEN..];
                let less = with_body(&frame, &body[..body.len().saturating_sub(1)]);
                self.pass(&less)
            }
            Attack::Cut => {
                self.send(&frame[..frame.len() / 2]);
                false
            }
            Attack::Delay => {
                thread::park_timeout(HOLD);
                self.pass(&frame)
            }
            Attack::Reflect => {
                let _ = (&*self.back).write_all(&frame);
                true
            }
            _ => self.pass(&frame),
        }
    }

    fn send(&self, bytes: &[u8]) {
        // Whether the other side still reads is for the two to find out.
        let mut to = self.to;
        let _ = to.write_all(bytes);
    }

    fn release(&mut self) {
        if let Some(frame) = self.held.take() {
            self.send(&frame);
        }
    }
}

/// The header of `frame` with another body, its length put right.
pub fn with_body(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + HEADER_LEN - 4).unwrap();
    [&length.to_be_bytes(), &frame[4..HEADER_LEN], body].concat()
}

fn read_frame(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes(*frame.first_chunk()?);
    let mut rest = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut rest).ok()?;
    frame.extend_from_slice(&rest);
    Some(frame)
}

/// Frames up, and what they are called.
pub const fn up(opcode: u8, sub: u8) -> Kind {
    Kind {
        way: Up,
        opcode,
        sub,
    }
}

/// Frames down.
pub const fn down(opcode: u8, sub: u8) -> Kind {
    Kind {
        way: Down,
        opcode,
        sub,
    }
}

impl Kind {
    /// Whether it is a frame of a session.
    pub const fn is_in_session(self) -> bool {
        !matches!(self.opcode, opcode::KEY_VERIFICATION | opcode::ENROL)
    }
}
