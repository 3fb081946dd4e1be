//! What a running server tells the doctor.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
pub use crate::doctor::copies::Replacement;
pub use crate::doctor::messages::live::Progress;
use crate::doctor::peer::Peer;
use crate::handshake::doctor::RefusalReason;
use crate::identity::id::Identifier;
use crate::protocol::message::Message;

/// Something the doctor should see.
#[derive(Debug)]
pub enum Event {
    /// A patient is there.
    Joined {
        /// Who.
        patient: Peer,
        /// Whether the session goes on from an earlier one.
        resumed: bool,
        /// How far the device's clock is off, if by more than the tolerance.
        clock_off: Option<Duration>,
    },
    /// A newer session of the same device has replaced an older one.
    Superseded(Replacement),
    /// A patient has left.
    Left(Peer, Departure),
    /// A device proved that it has the message with this number; with how far a
    /// broadcast is.
    Delivered(Peer, u64, Option<Progress>),
    /// A person confirmed the message with this number.
    Confirmed(Peer, u64),
    /// A patient writes.
    Private(Peer, Message),
    /// A patient of hers has written while connected to another doctor of the
    /// clinic.
    Elsewhere {
        /// Who.
        patient: String,
        /// To whose server.
        through: String,
        /// What.
        message: Message,
    },
    /// A patient enrolled; the code is to be compared over the phone.
    Enrolled(Identifier, String),
    /// Somebody was not let in.
    Refused(IpAddr, RefusalReason),
    /// An address failed to prove too much and is blocked for so long.
    Blocked(IpAddr, Duration),
    /// The block of an address is over.
    Released {
        /// Which.
        address: IpAddr,
        /// First messages that were turned away meanwhile.
        refused: u64,
        /// Whether the doctor lifted it.
        lifted: bool,
    },
    /// So many more connections from strangers were refused since the last
    /// word of it.
    Strangers(u64),
    /// Something about the clinic that the doctor works in: a sentence.
    Clinic(String),
    /// The store on a server is away, in a sentence.
    StoreAway(String),
    /// It is back, after it was away since then.
    StoreBack(Timestamp),
    /// Another doctor of the clinic has given this patient to this one.
    Transferred(String),
    /// Something is wrong on this side.
    Trouble(String),
}

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// The patient asked for it.
    Asked,
    /// The line was lost.
    Lost,
    /// The device broke the protocol.
    Misbehaved,
    /// The certificate has ended, or the session was not renewed.
    Expired,
    /// The certificate was revoked or frozen.
    Revoked,
    /// The device did not read what was sent to it.
    Stalled,
    /// The device is connected to another doctor of the clinic now.
    Moved,
}
