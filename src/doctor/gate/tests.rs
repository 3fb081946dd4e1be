//! What the gate lets through, what it counts, and what it forgets.

use std::time::Duration;

use super::*;

/// Any connection.
fn stream() -> Arc<TcpStream> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
}

fn gate(burst: u32) -> Arc<Gate> {
    Arc::new(Gate::new(burst, BlockRule::default()))
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn pays(place: &Place, now: Instant) -> bool {
    place.spend(Knocker::Patient, now)
}

#[test]
fn an_address_spends_its_allowance_and_gets_it_back_by_the_minute() {
    let gate = gate(2);
    let now = Instant::now();
    let place = gate.enter(address(1), &stream(), now).unwrap();
    assert!(pays(&place, now) && pays(&place, now) && !pays(&place, now));
    let other = gate.enter(address(2), &stream(), now).unwrap();
    assert!(pays(&other, now));
    let later = now + Duration::from_secs(12);
    assert!(pays(&place, later) && !pays(&place, later));
    place.refund(later);
    assert!(pays(&place, later));
    let much_later = now + Duration::from_secs(3600);
    assert!(pays(&place, much_later) && pays(&place, much_later) && !pays(&place, much_later));
}

#[test]
fn one_address_cannot_take_every_place() {
    let gate = gate(100);
    let now = Instant::now();
    let enter = |from| gate.enter(address(from), &stream(), now);
    let places: Vec<_> = std::iter::from_fn(|| {
        let place = enter(1)?;
        assert!(pays(&place, now));
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
    let gate = gate(100);
    let now = Instant::now();
    let streams: Vec<_> = (0..MAX_STRANGERS_PER_ADDRESS).map(|_| stream()).collect();
    let mut places: Vec<_> = streams
        .iter()
        .map(|stream| gate.enter(address(1), stream, now).unwrap())
        .collect();
    assert!(pays(&places[0], now));
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
    let gate = gate(2);
    let now = Instant::now();
    let stream = stream();
    for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 100 {
        let address = IpAddr::from(number.to_be_bytes());
        let place = gate.enter(address, &stream, now).unwrap();
        assert!(pays(&place, now));
    }
    assert!(gate.lock().addresses.len() <= MAX_ADDRESSES);
}

#[test]
fn all_addresses_together_take_no_more_places_than_there_are() {
    let gate = gate(100);
    let now = Instant::now();
    let enter = |from| gate.enter(address(from), &stream(), now);
    let mut places = Vec::new();
    for from in 1..=8 {
        for _ in 0..MAX_STRANGERS_PER_ADDRESS {
            let place = enter(from).unwrap();
            assert!(pays(&place, now));
            places.push(place);
        }
    }
    assert_eq!(places.len(), MAX_STRANGERS);
    assert!(enter(9).is_none());
    drop(places);
    assert!(enter(9).is_some());
}

#[test]
fn so_many_wait_for_a_processor_and_no_more() {
    let gate = gate(2);
    let held: Vec<_> = (0..gate.processors)
        .map(|_| gate.work(Instant::now()).unwrap())
        .collect();
    let long = Duration::from_secs(20);
    std::thread::scope(|scope| {
        for _ in 0..MAX_WAITING {
            scope.spawn(|| gate.work(Instant::now() + long).map(drop));
        }
        let begun = Instant::now();
        while gate.lock().waiting < MAX_WAITING {
            assert!(begun.elapsed() < long, "they do not wait");
            std::thread::yield_now();
        }
        let begun = Instant::now();
        assert!(gate.work(begun + long).is_none());
        assert!(begun.elapsed() < long, "one more has waited");
        drop(held);
    });
}

#[test]
fn work_waits_for_a_processor_and_not_beyond_the_deadline() {
    let gate = gate(2);
    let held: Vec<_> = (0..gate.processors)
        .map(|_| gate.work(Instant::now()).unwrap())
        .collect();
    assert!(gate.work(Instant::now()).is_none());
    drop(held);
    assert!(gate.work(Instant::now()).is_some());
}

/// Has an address fail until it is blocked; for how long.
fn block(gate: &Gate, last: u8, now: Instant) -> Duration {
    let failures = (0..100).find_map(|_| gate.failed(address(last), now));
    failures.unwrap()
}

#[test]
fn a_blocked_address_is_heard_at_the_slow_pace_and_only_as_somebody_known() {
    let gate = gate(100);
    let now = Instant::now();
    let place = gate.enter(address(1), &stream(), now).unwrap();
    assert!(place.spend(Knocker::Newcomer, now));
    let time = block(&gate, 1, now);
    // Newcomers take nothing from patients.
    assert!((0..100).all(|_| !place.spend(Knocker::Newcomer, now)));
    let heard = |now| (0..100).filter(|_| pays(&place, now)).count();
    assert_eq!(heard(now), 5);
    assert_eq!(heard(now + Duration::from_secs(60)), 5);
    // Others are not blocked, and in the end it is not any more.
    let other = gate.enter(address(2), &stream(), now).unwrap();
    assert!(other.spend(Knocker::Newcomer, now));
    assert_eq!(gate.blocks(now).len(), 1);
    assert!(gate.ended_blocks(now).is_empty());
    let later = now + time;
    assert!(gate.blocks(later).is_empty());
    let ended = gate.ended_blocks(later);
    assert_eq!(ended.len(), 1);
    assert!(ended[0].0 == address(1) && ended[0].1.refused > 200);
    assert!(gate.ended_blocks(later).is_empty());
    assert!(place.spend(Knocker::Newcomer, later));
}

#[test]
fn who_proved_a_token_is_let_on_where_nobody_else_is_and_takes_what_there_is() {
    let gate = gate(2);
    let now = Instant::now();
    let place = gate.enter(address(1), &stream(), now).unwrap();
    place.charge(now);
    assert!(place.has_paid());
    let other = gate.enter(address(1), &stream(), now).unwrap();
    assert!(pays(&other, now) && !pays(&other, now));
    // Nothing is left: nothing is taken, and nothing will be given back.
    let late = gate.enter(address(1), &stream(), now).unwrap();
    late.charge(now);
    assert!(!late.has_paid());
    late.welcome(now);
    assert!(!pays(&other, now));
    place.welcome(now);
    assert!(pays(&other, now) && !pays(&other, now));
}

#[test]
fn what_was_taken_is_given_back_once() {
    let gate = gate(3);
    let now = Instant::now();
    let place = gate.enter(address(1), &stream(), now).unwrap();
    let other = gate.enter(address(1), &stream(), now).unwrap();
    assert!(pays(&place, now) && pays(&other, now) && pays(&other, now));
    place.refund(now);
    place.refund(now);
    place.welcome(now);
    assert!(pays(&other, now) && !pays(&other, now));
}

#[test]
fn a_blocked_or_exhausted_address_opens_few_connections_and_never_none_for_long() {
    let second = Duration::from_secs(1);
    for is_blocked in [true, false] {
        let gate = gate(1);
        let now = Instant::now();
        if is_blocked {
            block(&gate, 1, now);
        } else {
            let place = gate.enter(address(1), &stream(), now).unwrap();
            assert!(pays(&place, now));
        }
        let enter = |now| gate.enter(address(1), &stream(), now);
        let opened = |now| (0..100).filter_map(|_| enter(now)).count();
        assert_eq!(opened(now), 32);
        assert_eq!(opened(now + second), 5);
        // Who gets in takes none from the others.
        let place = enter(now + 2 * second).unwrap();
        place.welcome(now + 2 * second);
        assert_eq!(opened(now + 2 * second), 5);
        assert!(gate.enter(address(2), &stream(), now).is_some());
    }
}

#[test]
fn who_only_asks_takes_a_connection_and_without_one_nobody_comes_in() {
    let gate = gate(1_000);
    let now = Instant::now();
    let asks = |now| {
        let place = gate.enter(address(1), &stream(), now)?;
        place.take_connection(now);
        // Once a connection.
        place.take_connection(now);
        Some(())
    };
    assert_eq!((0..100).filter_map(|_| asks(now)).count(), 32);
    assert!(gate.enter(address(1), &stream(), now).is_none());
    assert!(gate.enter(address(2), &stream(), now).is_some());
    let later = now + Duration::from_secs(1);
    assert_eq!((0..100).filter_map(|_| asks(later)).count(), 5);
}

#[test]
fn who_asked_first_and_then_sends_a_first_message_takes_no_connection() {
    let gate = gate(1_000);
    let now = Instant::now();
    // As many patients of one address do after a restart of the server.
    for _ in 0..200 {
        let place = gate.enter(address(1), &stream(), now).unwrap();
        place.take_connection(now);
        assert!(pays(&place, now));
        // It has paid now, whatever else it asks.
        place.take_connection(now);
    }
    for _ in 0..200 {
        let place = gate.enter(address(1), &stream(), now).unwrap();
        place.take_connection(now);
        place.welcome(now);
    }
    assert!(gate.enter(address(1), &stream(), now).is_some());
}

#[test]
fn a_block_is_lifted_for_one_address_or_all() {
    let gate = gate(100);
    let now = Instant::now();
    for last in 1..=3 {
        assert!((0..100).any(|_| gate.failed(address(last), now).is_some()));
    }
    assert_eq!(gate.lift(Some(address(2)), now).len(), 1);
    assert!(gate.lift(Some(address(2)), now).is_empty());
    assert_eq!(gate.blocks(now).len(), 2);
    assert_eq!(gate.lift(None, now).len(), 2);
    assert!(gate.blocks(now).is_empty());
}

#[test]
fn blocked_addresses_are_remembered_longer_than_others_but_not_without_end() {
    let gate = gate(2);
    let now = Instant::now();
    let stream = stream();
    let fill = |from: u32| {
        for number in from..from + u32::try_from(MAX_ADDRESSES).unwrap() {
            let place = gate.enter(IpAddr::from(number.to_be_bytes()), &stream, now);
            assert!(pays(&place.unwrap(), now));
        }
    };
    assert!((0..100).any(|_| gate.failed(address(1), now).is_some()));
    fill(1 << 24);
    assert_eq!(gate.blocks(now).len(), 1);
    for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
        let address = IpAddr::from((number | 1 << 31).to_be_bytes());
        assert!((0..100).any(|_| gate.failed(address, now).is_some()));
    }
    fill(1 << 25);
    assert!(gate.lock().addresses.len() <= MAX_ADDRESSES);
}
