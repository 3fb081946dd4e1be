//! What somebody can open who keeps every group key she was ever given, and
//! does not care what her program would refuse.

use telemed::aes::SealingKey;
use telemed::codec::Reader;
use telemed::framing::{Frame, HEADER_LEN};
use telemed::kdf::{Prk, label};
use telemed::protocol::message::Message;
use telemed::protocol::record::GroupKey;

/// Length of a broadcast's fields before the box: conference, epoch, number,
/// time, name of the key.
const FIELDS_LEN: usize = 16 + 8 + 8 + 8 + 32;

/// Every group key of one patient.
#[derive(Default)]
pub struct GroupKeys(Vec<GroupKey>);

impl GroupKeys {
    /// Keeps the key in the body of a `GROUP_KEY` record.
    pub fn keep(&mut self, record: &[u8]) {
        self.0.push(GroupKey::decode(record).unwrap());
    }

    /// The message in a recorded broadcast, if one of the keys opens it, for
    /// whatever epoch it was meant.
    pub fn open(&self, broadcast: &Frame) -> Option<Message> {
        let front = &broadcast.as_bytes()[..HEADER_LEN + FIELDS_LEN];
        let mut reader = Reader::new(&broadcast.body()[FIELDS_LEN..]);
        let sealed = reader.lp32().unwrap();
        let said = &broadcast.body()[16..24];
        self.0.iter().find_map(|key| {
            [said, &key.epoch.to_be_bytes()]
                .into_iter()
                .find_map(|epoch| {
                    let prk = Prk::from_secret(key.key.duplicate());
                    let seal = prk.expand(label::GROUP_SEAL, &[&key.conference, epoch]);
                    let content = SealingKey::new(seal).open(&[front], sealed).ok()?;
                    Message::decode(content.expose()).ok()
                })
        })
    }
}
