//! The group's key and broadcasts.

use telemed::elgamal::Group;
use telemed::group::receiver::Receiver;
use telemed::group::sender::Sender;
use telemed::kdf::{Prk, label};
use telemed::protocol::message::Message;
use telemed::protocol::opcode;
use telemed::protocol::record::GroupKey;
use telemed::random::{self, OsRandom};
use telemed::secret::Secret;
use telemed::session::channel::Sealer;
use telemed::session::{Direction, SessionKey};

use crate::clinic::{Clinic, NOW};
use crate::timed;
use crate::timing::median;

/// How many members a group has.
const MEMBERS: [u32; 4] = [10, 100, 1_000, 10_000];

struct Member {
    device: [u8; 32],
    contribution: Secret<32>,
    sealer: Sealer,
}

impl Member {
    fn new() -> Self {
        let session = SessionKey::new(Prk::from_secret(random::secret(&mut OsRandom)), [7; 64]);
        Self {
            device: random::array(&mut OsRandom),
            contribution: session.group_contribution(),
            sealer: Sealer::new(&session, Direction::DoctorToPatient),
        }
    }
}

/// A key of all members' contributions, sealed for each of them.
pub fn rekeys(rounds: usize) {
    println!("\n| members | new group key, ms | sealed for all, ms | µs a member |");
    println!("| ---: | ---: | ---: | ---: |");
    for members in MEMBERS {
        let mut sender = Sender::new(&mut OsRandom);
        let mut group: Vec<Member> = (0..members).map(|_| Member::new()).collect();
        let (mut keys, mut sealings) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (mut key, mut sealing) = (0.0, 0.0);
            let shares = group
                .iter()
                .map(|member| (member.device, &member.contribution));
            let shares = shares.collect();
            let record = timed(&mut key, || sender.rekey(shares, &mut OsRandom));
            timed(&mut sealing, || {
                for member in &mut group {
                    let sealer = &mut member.sealer;
                    sealer.seal(opcode::GROUP_KEY, record.expose(), &mut OsRandom);
                }
            });
            keys.push(1e3 * key);
            sealings.push(1e3 * sealing);
        }
        let (key, sealing) = (median(keys), median(sealings));
        let each = 1e3 * (key + sealing) / f64::from(members);
        println!("| {members} | {key:.3} | {sealing:.3} | {each:.2} |");
    }
}

/// Sealing and signing a broadcast, and opening it.
pub fn broadcasts(rounds: usize) {
    let clinic = Clinic::new(&Group::ffdhe3072());
    let doctor = &clinic.doctor;
    println!(
        "\n| broadcast, bytes | sealed and signed, ms | signed, ms | opened and verified, ms |"
    );
    println!("| ---: | ---: | ---: | ---: |");
    for size in [200, 4_096] {
        let mut sender = Sender::new(&mut OsRandom);
        let member = Member::new();
        let share = vec![(member.device, &member.contribution)];
        let key = GroupKey::decode(sender.rekey(share, &mut OsRandom).expose()).unwrap();
        let mut receiver = Receiver::new(*sender.conference(), None);
        receiver.on_group_key(&key).unwrap();
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let mut round = [0.0; 3];
            let message = Message::new(&"x".repeat(size), false, NOW, &mut OsRandom).unwrap();
            let sealed = timed(&mut round[0], || {
                sender.seal(&message, doctor, NOW, &mut OsRandom)
            });
            let sealed = sealed.unwrap();
            timed(&mut round[1], || {
                doctor
                    .signing
                    .sign(label::SIG_ENC_MSG, &[&[7; 96]], &mut OsRandom)
            });
            timed(&mut round[2], || {
                receiver.open(&sealed.frame, clinic.known.certificate())
            })
            .unwrap();
            for (times, time) in times.iter_mut().zip(round) {
                times.push(1e3 * time);
            }
        }
        let [sealed, signed, opened] = times.map(median);
        println!("| {size} | {sealed:.3} | {signed:.3} | {opened:.3} |");
    }
}
