//! Those who knock: how many strangers are heard at once, how much work each
//! address may cause, and which one is blocked for what it failed to prove.

mod conduct;
#[cfg(test)]
mod tests;

pub use conduct::{Block, BlockRule};

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::doctor::allowance::Allowance;

use conduct::Conduct;

/// Connections at once that have proved nothing yet.
const MAX_STRANGERS: usize = 512;
/// The same from one address.
const MAX_STRANGERS_PER_ADDRESS: usize = 64;
/// First messages an address gets back per minute. A blocked one has no more
/// than these at once: a patient who shares it is let in all the same.
const REFILL_PER_MINUTE: f64 = 5.0;
/// Connections at once that pay with no first message: those from an address
/// that is blocked or has used up its first messages, and those on which only
/// came what costs next to no work, as a request to resume that proves nothing.
/// Each takes a thread all the same.
const SLOW_CONNECTIONS: f64 = 32.0;
/// Those it gets back per minute: 5 a second.
const SLOW_CONNECTIONS_PER_MINUTE: f64 = 300.0;
/// Addresses remembered; beyond that those that behaved are dropped.
const MAX_ADDRESSES: usize = 16_384;
/// Handshakes that may wait for a processor.
const MAX_WAITING: usize = 64;

/// Bounds what strangers can cost. All of it is in memory and starts afresh
/// with the program.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    /// First messages an address may send at once.
    burst: u32,
    rule: BlockRule,
    processors: usize,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<IpAddr, Address>,
    /// By age: a later one has a higher number.
    strangers: BTreeMap<u64, Stranger>,
    next: u64,
    working: usize,
    waiting: usize,
    /// First messages that were given a processor.
    heard: u64,
    /// Nobody is let in any more.
    closed: bool,
}

#[derive(Debug)]
struct Stranger {
    address: IpAddr,
    stream: Weak<TcpStream>,
    /// Nothing that costs anything has come from it.
    idle: bool,
}

#[derive(Debug)]
struct Address {
    strangers: usize,
    /// First messages it may still send.
    allowance: Allowance,
    /// Connections it may still open that pay with no first message. Without one
    /// it may open none at all.
    connections: Allowance,
    conduct: Conduct,
}

/// Who somebody with a first message says to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Knocker {
    /// Somebody with a ticket.
    Newcomer,
    /// Somebody with a certificate.
    Patient,
}

/// One stranger's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
    number: u64,
    /// Whether one of the address's connections was taken.
    has_connection: Cell<bool>,
    /// Whether a first message was taken off the address's allowance.
    has_paid: Cell<bool>,
}

/// A processor for one handshake; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a>(&'a Gate);

impl Gate {
    /// A gate that lets each address send `burst` first messages at once, and
    /// as many handshakes at a time as there are processors.
    #[must_use]
    pub fn new(burst: u32, rule: BlockRule) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            burst,
            rule,
            processors,
        }
    }

    /// Counts only: a panic under the lock leaves them usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection. If all of an address are taken, its
    /// connection that has said nothing for longest makes room: many patients
    /// may share an address with somebody who only holds connections open. If
    /// all there are are taken, the address with the most silent ones gives one
    /// up. None if there is no silent connection, or if the address opens too
    /// fast connections that pay with no first message. It may open some,
    /// whatever it did: somebody there may have a token.
    #[must_use]
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        stream: &Arc<TcpStream>,
        now: Instant,
    ) -> Option<Place> {
        let address = network_of(address);
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let entry = self.address(&mut state, address, now);
        let is_slow = entry.conduct.block(now).is_some() || !entry.allowance.has_one();
        let may_open = match is_slow {
            true => entry.connections.spend(),
            false => entry.connections.has_one(),
        };
        if !may_open {
            entry.conduct.refused();
            return None;
        }
        let here = entry.strangers;
        if here >= MAX_STRANGERS_PER_ADDRESS && !state.evict(address) {
            return None;
        }
        if state.strangers.len() >= MAX_STRANGERS && !state.evict_from_busiest() {
            return None;
        }
        self.address(&mut state, address, now).strangers += 1;
        let number = state.next;
        state.next += 1;
        let stranger = Stranger {
            address,
            stream: Arc::downgrade(stream),
            idle: true,
        };
        state.strangers.insert(number, stranger);
        Some(Place {
            gate: Arc::clone(self),
            address,
            number,
            has_connection: Cell::new(is_slow),
            has_paid: Cell::new(false),
        })
    }

    /// Notes that somebody there failed to prove something; how long the address
    /// is blocked for it, if that begins now.
    #[must_use]
    pub fn failed(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let entry = self.address(&mut state, network_of(address), now);
        let time = entry.conduct.failed(&self.rule, now)?;
        entry.allowance.cap(REFILL_PER_MINUTE);
        Some(time)
    }

    /// The addresses that are blocked; an IPv6 network stands as its first one.
    #[must_use]
    pub fn blocks(&self, now: Instant) -> Vec<(IpAddr, Block)> {
        let state = self.lock();
        let blocks = state
            .addresses
            .iter()
            .filter_map(|(address, entry)| Some((*address, *entry.conduct.block(now)?)));
        let mut blocks: Vec<_> = blocks.collect();
        blocks.sort_by_key(|(address, _)| *address);
        blocks
    }

    /// Lifts the block of an address, or all there are; gives those.
    #[must_use]
    pub fn lift(&self, address: Option<IpAddr>, now: Instant) -> Vec<(IpAddr, Block)> {
        let only = address.map(network_of);
        self.release(|address| only.is_none_or(|only| only == *address), now)
    }

    /// Gives each block that has ended, once.
    #[must_use]
    pub fn ended_blocks(&self, now: Instant) -> Vec<(IpAddr, Block)> {
        self.release(|_| false, now)
    }

    fn release(&self, lifted: impl Fn(&IpAddr) -> bool, now: Instant) -> Vec<(IpAddr, Block)> {
        let mut state = self.lock();
        let released = state.addresses.iter_mut().filter_map(|(address, entry)| {
            let block = entry.conduct.release(&self.rule, lifted(address), now)?;
            Some((*address, block))
        });
        let mut released: Vec<_> = released.collect();
        released.sort_by_key(|(address, _)| *address);
        released
    }

    /// What is known of an address, refilled.
    fn address<'a>(&self, state: &'a mut State, address: IpAddr, now: Instant) -> &'a mut Address {
        let full = f64::from(self.burst);
        if state.addresses.len() >= MAX_ADDRESSES && !state.addresses.contains_key(&address) {
            state.make_room(full, &self.rule, now);
        }
        let entry = state.addresses.entry(address).or_insert(Address {
            strangers: 0,
            allowance: Allowance::new(full, now),
            connections: Allowance::new(SLOW_CONNECTIONS, now),
            conduct: Conduct::new(&self.rule, now),
        });
        let full = match entry.conduct.block(now) {
            Some(_) => REFILL_PER_MINUTE.min(full),
            None => full,
        };
        entry.allowance.refill(full, REFILL_PER_MINUTE, now);
        entry
            .connections
            .refill(SLOW_CONNECTIONS, SLOW_CONNECTIONS_PER_MINUTE, now);
        entry
    }

    /// Ends every stranger's connection and lets nobody in any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.strangers.values().for_each(Stranger::hang_up);
    }

    /// Waits for a processor; none if too many wait, or none is free in time.
    #[must_use]
    pub fn work(&self, deadline: Instant) -> Option<Permit<'_>> {
        let mut state = self.lock();
        if state.waiting >= MAX_WAITING {
            return None;
        }
        state.waiting += 1;
        while state.working >= self.processors {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting -= 1;
                return None;
            }
            let (guard, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
        }
        state.waiting -= 1;
        state.working += 1;
        state.heard += 1;
        Some(Permit(self))
    }

    /// How many first messages were given a processor: each costs an
    /// exponentiation at least.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.lock().heard
    }
}

impl Place {
    /// Takes one first message off the address's allowance, and says whether it
    /// may be looked at. A newcomer's is not where the address is blocked, and
    /// takes nothing from the patients there.
    #[must_use]
    pub fn spend(&self, knocker: Knocker, now: Instant) -> bool {
        let mut state = self.gate.lock();
        let entry = self.gate.address(&mut state, self.address, now);
        let is_shut = knocker == Knocker::Newcomer && entry.conduct.block(now).is_some();
        if is_shut || !entry.allowance.spend() {
            entry.conduct.refused();
            return false;
        }
        self.has_paid.set(true);
        if self.has_connection.take() {
            entry.connections.give_back(SLOW_CONNECTIONS);
        }
        state.is_not_idle(self.number);
        true
    }

    /// Takes one of the address's connections, if there is one, unless this one
    /// has paid already: for what is answered without a first message, and
    /// proves nothing. A first message that is paid for later gives it back, so
    /// that many patients of one address may come whose tokens were forgotten.
    pub fn take_connection(&self, now: Instant) {
        if self.has_paid.get() || self.has_connection.get() {
            return;
        }
        let mut state = self.gate.lock();
        let entry = self.gate.address(&mut state, self.address, now);
        self.has_connection.set(entry.connections.spend());
    }

    /// Takes one first message off the allowance, if there is one: whoever has
    /// proved a token is let on in any case.
    pub fn charge(&self, now: Instant) {
        let mut state = self.gate.lock();
        let entry = self.gate.address(&mut state, self.address, now);
        if entry.allowance.spend() {
            self.has_paid.set(true);
        }
        state.is_not_idle(self.number);
    }

    /// Whether a first message was taken off and not given back.
    #[must_use]
    pub const fn has_paid(&self) -> bool {
        self.has_paid.get()
    }

    /// Gives back the first message that was taken off: it was never looked at,
    /// or is no fault of the address.
    pub fn refund(&self, now: Instant) {
        if self.has_paid.take() {
            let mut state = self.gate.lock();
            let entry = self.gate.address(&mut state, self.address, now);
            entry.allowance.give_back(f64::from(self.gate.burst));
        }
    }

    /// Gives everything back that the connection took: it was no stranger.
    pub fn welcome(self, now: Instant) {
        self.refund(now);
        if self.has_connection.take() {
            let mut state = self.gate.lock();
            let entry = self.gate.address(&mut state, self.address, now);
            entry.connections.give_back(SLOW_CONNECTIONS);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.lock().remove(self.number);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working = state.working.saturating_sub(1);
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Stranger {
    /// Its thread reads the end, and ends.
    fn hang_up(&self) {
        if let Some(stream) = self.stream.upgrade() {
            // Fails only where the other side has ended it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    /// Nothing if it was pushed out before.
    fn remove(&mut self, number: u64) {
        let Some(stranger) = self.strangers.remove(&number) else {
            return;
        };
        if let Some(entry) = self.addresses.get_mut(&stranger.address) {
            entry.strangers = entry.strangers.saturating_sub(1);
        }
    }

    /// Something that costs has come from it.
    fn is_not_idle(&mut self, number: u64) {
        if let Some(stranger) = self.strangers.get_mut(&number) {
            stranger.idle = false;
        }
    }

    /// Ends the oldest idle connection of whichever address has the most idle
    /// ones, if there is any: somebody who only holds connections open, from
    /// however many addresses, keeps nobody out.
    fn evict_from_busiest(&mut self) -> bool {
        let mut idle: HashMap<IpAddr, usize> = HashMap::new();
        for stranger in self.strangers.values().filter(|stranger| stranger.idle) {
            *idle.entry(stranger.address).or_default() += 1;
        }
        let busiest = idle.into_iter().max_by_key(|(_, count)| *count);
        busiest.is_some_and(|(address, _)| self.evict(address))
    }

    /// Ends the oldest idle connection from an address, if there is one.
    fn evict(&mut self, address: IpAddr) -> bool {
        let oldest = self
            .strangers
            .iter()
            .find(|(_, stranger)| stranger.idle && stranger.address == address);
        let Some((&number, stranger)) = oldest else {
            return false;
        };
        stranger.hang_up();
        self.remove(number);
        true
    }

    /// Forgets who behaved, or else whoever holds no place.
    fn make_room(&mut self, full: f64, rule: &BlockRule, now: Instant) {
        self.addresses.retain(|_, entry| {
            entry.allowance.refill(full, REFILL_PER_MINUTE, now);
            entry
                .connections
                .refill(SLOW_CONNECTIONS, SLOW_CONNECTIONS_PER_MINUTE, now);
            entry.strangers > 0
                || !entry.allowance.is_full(full)
                || !entry.connections.is_full(SLOW_CONNECTIONS)
                || !entry.conduct.is_clean(rule, now)
        });
        if self.addresses.len() >= MAX_ADDRESSES {
            // So many addresses at once are an attack: rather forget than grow.
            self.addresses
                .retain(|_, entry| entry.strangers > 0 || entry.conduct.block(now).is_some());
        }
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.retain(|_, entry| entry.strangers > 0);
        }
    }
}

/// An IPv6 customer has a whole /64: it counts as one address.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}
