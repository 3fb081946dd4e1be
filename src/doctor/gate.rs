//! Those who knock: how many strangers are heard at once, and how much work
//! each address may cause.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::doctor::allowance::Allowance;

/// Connections at once that have proved nothing yet.
const MAX_STRANGERS: usize = 512;
/// The same from one address.
const MAX_STRANGERS_PER_ADDRESS: usize = 64;
/// First messages an address gets back per minute.
const REFILL_PER_MINUTE: f64 = 5.0;
/// Addresses remembered; beyond that those with a full allowance are dropped.
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
    allowance: Allowance,
}

/// One stranger's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
    number: u64,
}

/// A processor for one handshake; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a>(&'a Gate);

impl Gate {
    /// A gate that lets each address send `burst` first messages at once, and
    /// as many handshakes at a time as there are processors.
    #[must_use]
    pub fn new(burst: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            burst,
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
    /// up. None if there is no silent connection.
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
        let here = state.address(address, self.burst, now).strangers;
        if here >= MAX_STRANGERS_PER_ADDRESS && !state.evict(address) {
            return None;
        }
        if state.strangers.len() >= MAX_STRANGERS && !state.evict_from_busiest() {
            return None;
        }
        state.address(address, self.burst, now).strangers += 1;
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
        })
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
        Some(Permit(self))
    }
}

impl Place {
    /// Takes one first message off the address's allowance. False if it is
    /// used up.
    #[must_use]
    pub fn spend(&self, now: Instant) -> bool {
        let mut state = self.gate.lock();
        let entry = state.address(self.address, self.gate.burst, now);
        let allowed = entry.allowance.spend();
        if allowed && let Some(stranger) = state.strangers.get_mut(&self.number) {
            stranger.idle = false;
        }
        allowed
    }

    /// Gives it back: it was no stranger.
    pub fn refund(&self, now: Instant) {
        let burst = self.gate.burst;
        let mut state = self.gate.lock();
        let entry = state.address(self.address, burst, now);
        entry.allowance.give_back(f64::from(burst));
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

    fn address(&mut self, address: IpAddr, burst: u32, now: Instant) -> &mut Address {
        let full = f64::from(burst);
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&address) {
            for entry in self.addresses.values_mut() {
                entry.allowance.refill(full, REFILL_PER_MINUTE, now);
            }
            self.addresses
                .retain(|_, entry| entry.strangers > 0 || !entry.allowance.is_full(full));
        }
        if self.addresses.len() >= MAX_ADDRESSES {
            // So many addresses at once are an attack: forget whoever holds no
            // place, rather than grow.
            self.addresses.retain(|_, entry| entry.strangers > 0);
        }
        let entry = self.addresses.entry(address).or_insert(Address {
            strangers: 0,
            allowance: Allowance::new(full, now),
        });
        entry.allowance.refill(full, REFILL_PER_MINUTE, now);
        entry
    }
}

/// An IPv6 customer has a whole /64: it counts as one address.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Any connection.
    fn stream() -> Arc<TcpStream> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_spends_its_allowance_and_gets_it_back_by_the_minute() {
        let gate = Arc::new(Gate::new(2));
        let now = Instant::now();
        let place = gate.enter(address(1), &stream(), now).unwrap();
        assert!(place.spend(now) && place.spend(now) && !place.spend(now));
        let other = gate.enter(address(2), &stream(), now).unwrap();
        assert!(other.spend(now));
        let later = now + Duration::from_secs(12);
        assert!(place.spend(later) && !place.spend(later));
        place.refund(later);
        assert!(place.spend(later));
        let much_later = now + Duration::from_secs(3600);
        assert!(place.spend(much_later) && place.spend(much_later) && !place.spend(much_later));
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let gate = Arc::new(Gate::new(100));
        let now = Instant::now();
        let enter = |from| gate.enter(address(from), &stream(), now);
        let places: Vec<_> = std::iter::from_fn(|| {
            let place = enter(1)?;
            assert!(place.spend(now));
            Some(place)
        })
        .collect();
        assert_eq!(places.len(), MAX_STRANGERS_PER_ADDRESS);
        assert!(enter(2).is_some());
        drop(places);
        assert!(enter(1).is_some());
    }

    #[test]
    fn the_oldest_idle_connection_makes_room_at_its_own_address_only() {
        let gate = Arc::new(Gate::new(100));
        let now = Instant::now();
        let streams: Vec<_> = (0..MAX_STRANGERS_PER_ADDRESS).map(|_| stream()).collect();
        let mut places: Vec<_> = streams
            .iter()
            .map(|stream| gate.enter(address(1), stream, now).unwrap())
            .collect();
        assert!(places[0].spend(now));
        let other = gate.enter(address(2), &stream(), now).unwrap();
        let newer = gate.enter(address(1), &stream(), now).unwrap();
        let is_out = |number: u64| !gate.lock().strangers.contains_key(&number);
        assert!(is_out(places[1].number));
        assert!(!is_out(places[0].number) && !is_out(other.number));
        // The place was handed on: giving it back twice frees nothing.
        drop(places.remove(1));
        assert_eq!(gate.lock().strangers.len(), MAX_STRANGERS_PER_ADDRESS + 1);
        drop((places, newer, other));
        let state = gate.lock();
        assert!(state.strangers.is_empty());
        assert!(state.addresses.values().all(|entry| entry.strangers == 0));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let c: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(network_of(a), network_of(b));
        assert_ne!(network_of(a), network_of(c));
        assert_eq!(network_of("::ffff:10.0.0.1".parse().unwrap()), address(1));
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let gate = Arc::new(Gate::new(2));
        let now = Instant::now();
        let stream = stream();
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 100 {
            let address = IpAddr::from(number.to_be_bytes());
            let place = gate.enter(address, &stream, now).unwrap();
            assert!(place.spend(now));
        }
        assert!(gate.lock().addresses.len() <= MAX_ADDRESSES);
    }

    #[test]
    fn work_waits_for_a_processor_and_not_beyond_the_deadline() {
        let gate = Arc::new(Gate::new(2));
        let held: Vec<_> = (0..gate.processors)
            .map(|_| gate.work(Instant::now()).unwrap())
            .collect();
        assert!(gate.work(Instant::now()).is_none());
        drop(held);
        assert!(gate.work(Instant::now()).is_some());
    }
}
