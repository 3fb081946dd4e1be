//! A few well-formed inputs and what chance makes of them: nothing that reads
//! bytes from a stranger may panic or believe them. The same on every run; for
//! a search without end there is `fuzz/`.

use telemed::aes::sealed_len;
use telemed::framing::Frame;
use telemed::random::Random;

#[path = "corpus/check.rs"]
mod check;
#[path = "corpus/clinic.rs"]
mod clinic;
#[path = "corpus/saved.rs"]
mod saved;

/// Mutations of every seed.
const ROUNDS: usize = 3_000;

/// Marsaglia's xorshift64: chance that repeats.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `end - 1`; 0 if there is no other choice.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

impl Random for Xorshift {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte());
    }
}

/// A frame whose body is sealed together with its header.
fn sealed_frame(random: &mut Xorshift, message: &[u8]) -> Frame {
    let header = Frame::header(60, 0, sealed_len(message.len()));
    let body = check::key().seal(0, &[&header], message, random);
    Frame::new(60, 0, &body)
}

fn seeds(random: &mut Xorshift) -> Vec<Vec<u8>> {
    let empty = Frame::new(10, 7, b"");
    let fields = Frame::new(
        10,
        1,
        b"\x05\x03abc\x06\0\x02de\x07\0\0\0\x01f\x03ghijklm\x01n",
    );
    let sealed = sealed_frame(random, b"a message");
    let larger = sealed_frame(random, &[0x80; 3_000]);
    let several = [&empty, &sealed, &fields, &empty].map(|frame| frame.as_bytes().to_vec());
    vec![
        empty.into_bytes(),
        fields.into_bytes(),
        sealed.into_bytes(),
        larger.into_bytes(),
        several.concat(),
        check::key().seal(0, &[], b"no frame", random),
    ]
}

/// One change of a kind that finds mistakes in readers of lengths.
fn mutate(random: &mut Xorshift, bytes: &mut Vec<u8>) {
    const TELLING: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
    let position = random.below(bytes.len());
    let other = random.below(bytes.len());
    let (from, to) = (position.min(other), position.max(other));
    match random.below(6) {
        0 => bytes.truncate(position),
        1 => drop(bytes.drain(from..to)),
        2 => bytes.extend_from_within(from..to),
        3 => bytes.insert(position, TELLING[random.below(TELLING.len())]),
        kind => {
            // The front, where the lengths are, twice as often.
            let end = if kind == 4 { 8 } else { usize::MAX };
            let position = random.below(bytes.len().min(end));
            let value = TELLING[random.below(TELLING.len())] ^ (random.byte() & 1);
            if let Some(byte) = bytes.get_mut(position) {
                *byte = value;
            }
        }
    }
}

#[test]
fn mutated_input_never_panics() {
    let mut random = Xorshift(0x7465_6c65_6d65_6400);
    for seed in seeds(&mut random) {
        check::check(&seed);
        for _ in 0..ROUNDS {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(4) {
                mutate(&mut random, &mut bytes);
            }
            check::check(&bytes);
        }
    }
}

#[test]
fn mutated_papers_of_a_clinic_neither_panic_nor_are_believed() {
    let mut random = Xorshift(0x7465_6c65_6d65_6403);
    for ((check, rounds), seeds) in saved::seeds() {
        for seed in seeds {
            check(&seed);
            for _ in 0..rounds {
                let mut bytes = seed.clone();
                for _ in 0..=random.below(4) {
                    mutate(&mut random, &mut bytes);
                }
                check(&bytes);
            }
        }
    }
}

#[test]
fn nothing_but_the_original_opens() {
    let mut random = Xorshift(0x7465_6c65_6d65_6401);
    let seed = check::key().seal(0, &[b"ad"], b"a message", &mut random);
    let opens = |bytes: &[u8]| check::key().open(&[b"ad"], bytes).is_ok();
    assert!(opens(&seed));
    let mut changed = 0;
    for _ in 0..ROUNDS {
        let mut bytes = seed.clone();
        mutate(&mut random, &mut bytes);
        assert_eq!(opens(&bytes), bytes == seed);
        changed += usize::from(bytes != seed);
    }
    assert!(changed > ROUNDS / 2, "the mutations change too little");
}
