//! What whoever can write to the database puts into the books.

use telemed::clock::Timestamp;
use telemed::store::Store;
use telemed::store::messages::{Kind, MessageRow};

/// A broadcast to the first device, P1's, of these bytes under this name.
pub fn put_broadcast(
    store: &dyn Store,
    (name, sealed): ([u8; 16], Vec<u8>),
    urgent: bool,
    written: Timestamp,
) -> MessageRow {
    let row = MessageRow {
        number: 0,
        id: name,
        kind: Kind::Broadcast,
        patient: None,
        boundary: None,
        urgent,
        written,
        expires: None,
        sealed,
    };
    let device = store.certificates().unwrap()[0].fingerprint;
    let devices = [(device, "P1".to_owned())];
    let number = store.add_message(&row, &devices, &[]).unwrap();
    MessageRow { number, ..row }
}
