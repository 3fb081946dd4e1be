//! How long the patient's program waits for what.

use std::ops::RangeInclusive;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The limits of a connection. The default is the protocol's; tests shorten
/// them.
#[derive(Clone, Debug)]
pub struct Config {
    /// For a connection to one network address.
    pub connect: Duration,
    /// For the next frame of a handshake.
    pub frame: Duration,
    /// For a whole handshake.
    pub handshake: Duration,
    /// Own silence after which a sign of life is sent.
    pub heartbeat: Duration,
    /// The doctor's silence after which the connection counts as lost.
    pub idle: Duration,
    /// How long a write may make no progress.
    pub write: Duration,
    /// After how long without a receipt the person is told that a message of hers
    /// is not taken yet.
    pub not_taken: Duration,
    /// When, after a token, the session's keys are renewed; the instant is
    /// drawn from here.
    pub renewal: RangeInclusive<Duration>,
    /// Records in one direction after which the keys are renewed.
    pub renewal_records: u64,
    /// How often the certificates' dates are looked at.
    pub certificate_check: Duration,
    /// The first wait before connecting again; each further one is twice as
    /// long.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
    /// How long a session lasts before the waits begin anew after it.
    pub good_session: Duration,
    /// How far the doctor's clock may be off before the person is told.
    pub tolerance: Duration,
    /// Whether to go on with another doctor of the clinic when the one who was
    /// asked for is not reached.
    pub failover: bool,
    /// How often it is looked whether she is back.
    pub look: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            frame: Duration::from_secs(10),
            handshake: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            idle: Duration::from_secs(45),
            write: Duration::from_secs(45),
            not_taken: Duration::from_secs(5),
            renewal: MINUTE.saturating_mul(45)..=MINUTE.saturating_mul(55),
            renewal_records: 1 << 20,
            certificate_check: MINUTE,
            first_wait: Duration::from_secs(1),
            longest_wait: MINUTE,
            good_session: Duration::from_secs(10),
            tolerance: Duration::from_secs(30),
            failover: false,
            look: MINUTE.saturating_mul(5),
        }
    }
}
