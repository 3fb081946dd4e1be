//! What the frames and records of the protocol are called and hold.
//!
//! A frame has an opcode and, where one opcode has several forms, a sub-code.
//! Opcodes 10 to 60 in steps of ten are the course assignment's; those between
//! and above them are this protocol's own.

pub mod message;
pub mod record;

/// Opcodes: the second byte after a frame's length.
pub mod opcode {
    /// Handshake and resumption.
    pub const KEY_VERIFICATION: u8 = 10;
    /// The doctor's confirmation of a session, with the token that resumes it.
    pub const SESSION_TOKEN: u8 = 20;
    /// The group key of a new epoch.
    pub const GROUP_KEY: u8 = 30;
    /// A broadcast, sealed under the group key.
    pub const ENC_MSG: u8 = 40;
    /// A message for everyone or for chosen recipients, under a session's key.
    pub const DIRECT: u8 = 41;
    /// A device's receipt: it decrypted a broadcast.
    pub const DEC_MSG: u8 = 50;
    /// A person's confirmation, signed.
    pub const ACK: u8 = 51;
    /// The end of a session, with its reason.
    pub const DISCONNECT: u8 = 60;
    /// A message between doctor and one patient.
    pub const PRIVATE: u8 = 70;
    /// A receipt for DIRECT, PRIVATE and ACK.
    pub const RECEIPT: u8 = 71;
    /// A sign of life, with the number of the last broadcast.
    pub const HEARTBEAT: u8 = 80;
    /// The clinic's doctors, and where each is reached.
    pub const ROSTER: u8 = 85;
    /// Enrolment.
    pub const ENROL: u8 = 90;

    /// An opcode's name, for people.
    #[must_use]
    pub const fn name(opcode: u8) -> &'static str {
        match opcode {
            KEY_VERIFICATION => "KEY_VERIFICATION",
            SESSION_TOKEN => "SESSION_TOKEN",
            GROUP_KEY => "GROUP_KEY",
            ENC_MSG => "ENC_MSG",
            DIRECT => "DIRECT",
            DEC_MSG => "DEC_MSG",
            ACK => "ACK",
            DISCONNECT => "DISCONNECT",
            PRIVATE => "PRIVATE",
            RECEIPT => "RECEIPT",
            HEARTBEAT => "HEARTBEAT",
            ROSTER => "ROSTER",
            ENROL => "ENROL",
            _ => "unknown",
        }
    }
}

/// Sub-codes of `KEY_VERIFICATION`.
pub mod sub {
    /// No sub-code: every opcode with one form only.
    pub const NONE: u8 = 0;
    /// M1: the patient's first message.
    pub const M1: u8 = 1;
    /// M2: the doctor's answer.
    pub const M2: u8 = 2;
    /// M3: the session key's verification.
    pub const M3: u8 = 3;
    /// RETRY: prove freshness with this nonce.
    pub const RETRY: u8 = 4;
    /// The patient's request to resume.
    pub const RESUME: u8 = 5;
    /// The doctor's answer to it.
    pub const RESUMED: u8 = 6;
    /// CERT?: who are you?
    pub const CERT_REQUEST: u8 = 7;
    /// CERT: the doctor's certificate, prekey and revocations.
    pub const CERT: u8 = 8;
    /// ALERT: a refusal that only the doctor can have made.
    pub const ALERT: u8 = 9;
    /// `NO_TOKEN`: not resumed, make a full handshake.
    pub const NO_TOKEN: u8 = 10;
}

/// Sub-codes of `ENROL`.
pub mod enrol_sub {
    /// E1: the patient's keys and proofs.
    pub const E1: u8 = 1;
    /// E2: the certificate.
    pub const E2: u8 = 2;
    /// E3: the patient has it.
    pub const E3: u8 = 3;
    /// E4: the certificate is active.
    pub const E4: u8 = 4;
    /// A refusal that only the doctor can have made.
    pub const REFUSED: u8 = 5;
}

/// The one cipher suite: ElGamal over the clinic's group, SHA-512, A256CBC-HS512.
pub const SUITE: u16 = 1;

/// Why a doctor refuses somebody whose signature or ticket was right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlertCode {
    /// The device's clock is wrong, and this doctor is strict about it.
    Clock,
    /// The certificate has ended.
    Ended,
    /// The certificate is frozen or revoked.
    Revoked,
    /// The certificate's time has not begun.
    NotYetValid,
    /// The certificate is not active, or not known here.
    NotActive,
    /// The server is full or stopping.
    Busy,
    /// The ticket has expired.
    TicketExpired,
    /// The ticket was used by another device.
    TicketUsed,
    /// The ticket was withdrawn, or frozen after a second use.
    TicketWithdrawn,
}

impl AlertCode {
    const ALL: [Self; 9] = [
        Self::Clock,
        Self::Ended,
        Self::Revoked,
        Self::NotYetValid,
        Self::NotActive,
        Self::Busy,
        Self::TicketExpired,
        Self::TicketUsed,
        Self::TicketWithdrawn,
    ];

    /// The code on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Clock => 1,
            Self::Ended => 2,
            Self::Revoked => 3,
            Self::NotYetValid => 4,
            Self::NotActive => 5,
            Self::Busy => 6,
            Self::TicketExpired => 7,
            Self::TicketUsed => 8,
            Self::TicketWithdrawn => 9,
        }
    }

    /// The code with this byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.to_byte() == byte)
    }
}

/// Why a session ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisconnectReason {
    /// The patient asked for it.
    AskedByPatient,
    /// The doctor ended it for everyone.
    EndedByDoctor,
    /// The server is shutting down.
    ShuttingDown,
    /// The certificate was revoked.
    Revoked,
    /// The same certificate has opened a newer session.
    Superseded,
    /// Certificate or session expired: a new handshake is needed.
    Expired,
    /// The other side broke the protocol.
    ProtocolError,
    /// The other side did not read what was sent to it.
    QueueFull,
    /// A message went missing on the way.
    MessageMissing,
}

impl DisconnectReason {
    const ALL: [Self; 9] = [
        Self::AskedByPatient,
        Self::EndedByDoctor,
        Self::ShuttingDown,
        Self::Revoked,
        Self::Superseded,
        Self::Expired,
        Self::ProtocolError,
        Self::QueueFull,
        Self::MessageMissing,
    ];

    /// The reason on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::AskedByPatient => 1,
            Self::EndedByDoctor => 2,
            Self::ShuttingDown => 3,
            Self::Revoked => 4,
            Self::Superseded => 5,
            Self::Expired => 6,
            Self::ProtocolError => 7,
            Self::QueueFull => 8,
            Self::MessageMissing => 9,
        }
    }

    /// The reason with this byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.to_byte() == byte)
    }

    /// Whether a patient's program comes back by itself after it. Two programs
    /// with one certificate would otherwise push each other out for ever.
    #[must_use]
    pub const fn comes_back(self) -> bool {
        matches!(
            self,
            Self::ShuttingDown | Self::Expired | Self::QueueFull | Self::MessageMissing
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_survive_the_wire() {
        for byte in 0..=u8::MAX {
            assert_eq!(
                AlertCode::from_byte(byte).map_or(byte, AlertCode::to_byte),
                byte
            );
            let reason = DisconnectReason::from_byte(byte);
            assert_eq!(reason.is_some(), (1..=9).contains(&byte));
            assert_eq!(reason.map_or(byte, DisconnectReason::to_byte), byte);
        }
    }
}
