//! A client whose server is a few lines of this file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{CONNECT, Client, Config, Door};
use crate::store::StoreFault;
use crate::store::postgres::fault::is_away;

/// That the user is let in, and that the server is ready.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
/// Longer than anything here takes that is not waited for.
const SOON: Duration = Duration::from_secs(3);

fn listener() -> (TcpListener, Config) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(listener.local_addr().unwrap().port())
        .user("clinic");
    (listener, config)
}

/// Lets the next client in.
fn welcome(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(WELCOME).unwrap();
    stream
}

fn connected() -> (Client, TcpStream) {
    let (listener, config) = listener();
    let server = thread::spawn(move || welcome(&listener));
    let client = Client::connect(config, None, &Door::default()).unwrap();
    (client, server.join().unwrap())
}

/// Reads to the end of what the client says.
fn last_words(mut stream: TcpStream) -> Vec<u8> {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    said
}

fn assert_away<T>(result: Result<T, StoreFault>) {
    let fault = result.err().unwrap();
    assert!(is_away(&fault), "{fault:?}");
}

#[test]
fn while_an_attempt_to_connect_hangs_no_other_is_made() {
    let (listener, config) = listener();
    let door = Door::default();
    let connect = || Client::connect(config.clone(), None, &door);
    let began = Instant::now();
    thread::scope(|scope| {
        for attempt in [(); 3].map(|()| scope.spawn(connect)) {
            assert_away(attempt.join().unwrap());
        }
    });
    assert!(began.elapsed() < CONNECT + SOON, "one waited for another");
    let began = Instant::now();
    assert_away(connect());
    assert!(began.elapsed() < SOON, "it was tried");
    // When it gets its answer after all nobody is there any more.
    let said = last_words(welcome(&listener));
    assert!(said.ends_with(b"X\0\0\0\x04"), "no goodbye: {said:?}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "another was made meanwhile");
    listener.set_nonblocking(false).unwrap();
    let server = thread::spawn(move || welcome(&listener));
    drop(connect().unwrap());
    last_words(server.join().unwrap());
}

#[test]
fn an_attempt_that_fails_lets_the_next_one_through() {
    let (listener, config) = listener();
    let door = Door::default();
    let server = thread::spawn(move || {
        drop(listener.accept().unwrap());
        welcome(&listener)
    });
    assert_away(Client::connect(config.clone(), None, &door));
    drop(Client::connect(config, None, &door).unwrap());
    last_words(server.join().unwrap());
}

#[test]
fn who_waits_is_cut_off_at_once_and_the_connection_is_of_no_use() {
    let (mut client, mut stream) = connected();
    let (asks, asked) = mpsc::channel();
    let scissors = client.scissors().clone();
    let cutter = thread::spawn(move || {
        let mut bytes = [0; 1000];
        let mut said = Vec::new();
        // The beginning, and then the question.
        while !said.windows(4).any(|text| text == b"WAIT") {
            let len @ 1.. = stream.read(&mut bytes).unwrap() else {
                break;
            };
            said.extend_from_slice(&bytes[..len]);
        }
        asks.send(Instant::now()).unwrap();
        scissors.cut();
        stream
    });
    client.answer_within(None);
    assert_away(client.simple_query("WAIT"));
    assert!(asked.recv().unwrap().elapsed() < SOON);
    assert_away(client.simple_query("MORE"));
    let began = Instant::now();
    drop(client);
    assert!(began.elapsed() < SOON, "its end was waited for");
    // The thread that is left ends with what it waits for.
    let mut stream = cutter.join().unwrap();
    stream.write_all(b"I\0\0\0\x04Z\0\0\0\x05I").unwrap();
    assert_eq!(last_words(stream), b"X\0\0\0\x04");
}

#[test]
fn what_is_not_answered_in_time_is_given_up() {
    let (mut client, stream) = connected();
    client.answer_within(Some(Duration::from_millis(100)));
    let began = Instant::now();
    assert_away(client.simple_query("WAIT"));
    assert!(began.elapsed() < SOON);
    assert!(client.scissors().is_cut());
    drop(stream);
}

#[test]
fn a_thread_that_panics_is_not_waited_for() {
    let (client, stream) = connected();
    let began = Instant::now();
    assert_away(client.ask::<()>(None, |_| panic!("as this test wants it")));
    assert_away(client.ask(None, |_| Ok(())));
    assert!(began.elapsed() < SOON);
    drop(client);
    last_words(stream);
}

#[test]
fn a_client_that_is_dropped_says_goodbye() {
    let (client, stream) = connected();
    drop(client);
    assert!(last_words(stream).ends_with(b"X\0\0\0\x04"));
}
