//! Whether a device is in use twice: its keys may have been copied, with a
//! backup or a disk.
//!
//! Both copies have the same certificate, so that each takes the place of the
//! other's session, whose program then stops. Once, that is a device that has
//! found another network; again and again it is not.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::doctor::messages::device_code;
use crate::doctor::peer::Peer;
use crate::identity::certificate::Fingerprint;

/// So many replaced sessions within [`WINDOW`] are told as two copies.
const SUSPICIOUS: usize = 3;
/// How long a replaced session counts.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// A newer session of a device has replaced an older one that had not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    /// Whose device.
    pub peer: Peer,
    /// Where the newer session comes from.
    pub address: IpAddr,
    /// Where the older one came from.
    pub older: IpAddr,
    /// How long the older one had been silent.
    pub silent: Duration,
    /// Whether it happens so often that two copies may be in use.
    pub maybe_copied: bool,
}

impl Replacement {
    /// Whether the device has moved, or is in two places.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.address != self.older
    }

    /// What to do if the device was copied.
    #[must_use]
    pub fn remedy(&self) -> String {
        let (patient, device) = (&self.peer.patient, device_code(&self.peer.device));
        format!(
            "doctor revoke {patient} --device {device} --reason \"copied\", and then a new \
             ticket: doctor enrol {patient}"
        )
    }
}

/// Where the sessions of devices come from and how often they are replaced; one
/// entry for each device that was connected since the start.
#[derive(Debug, Default)]
pub struct Copies {
    devices: Mutex<HashMap<Fingerprint, Seen>>,
}

#[derive(Debug)]
struct Seen {
    address: IpAddr,
    /// When its last sessions were replaced, at most [`SUSPICIOUS`].
    replaced: VecDeque<Instant>,
}

impl Copies {
    /// A session of a device has begun; gives the address of the one before it,
    /// if there was one since the start.
    pub fn joined(&self, device: &Fingerprint, address: IpAddr) -> Option<IpAddr> {
        // Each change is complete in itself: a panic leaves the map usable.
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.to_canonical();
        let Some(seen) = devices.get_mut(device) else {
            let replaced = VecDeque::new();
            devices.insert(*device, Seen { address, replaced });
            return None;
        };
        Some(std::mem::replace(&mut seen.address, address))
    }

    /// It has replaced one that had not ended. Whether that happens so often that
    /// two copies may be in use.
    ///
    /// One that goes on from an earlier session does not count: the token for it
    /// lies on no disk and is good once, so that it is the same program, whose
    /// line was lost.
    pub fn replaced(&self, device: &Fingerprint, resumed: bool, now: Instant) -> bool {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = devices.get_mut(device).filter(|_| !resumed) else {
            return false;
        };
        let is_old = |at: &mut Instant| now.saturating_duration_since(*at) >= WINDOW;
        while seen.replaced.pop_front_if(is_old).is_some() {}
        if seen.replaced.len() == SUSPICIOUS {
            seen.replaced.pop_front();
        }
        seen.replaced.push_back(now);
        seen.replaced.len() == SUSPICIOUS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Fingerprint = [7; 32];
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    #[test]
    fn a_device_that_is_replaced_three_times_in_ten_minutes_may_be_copied() {
        let (copies, start) = (Copies::default(), Instant::now());
        assert_eq!(copies.joined(&DEVICE, HOME), None);
        assert_eq!(copies.joined(&DEVICE, AWAY), Some(HOME));
        assert_eq!(copies.joined(&DEVICE, AWAY), Some(AWAY));
        let minute = |count: u32| start + Duration::from_secs(60) * count;
        let said = |at: u32| copies.replaced(&DEVICE, false, minute(at));
        assert_eq!([0, 1, 9, 10].map(said), [false, false, true, true]);
        // Those of the first minutes do not count any more.
        assert_eq!([19, 29, 30].map(said), [false; 3]);
        assert!(said(31));
        assert!(!copies.replaced(&[8; 32], false, start), "another device");
    }

    #[test]
    fn one_that_goes_on_with_its_token_is_no_copy() {
        let (copies, now) = (Copies::default(), Instant::now());
        copies.joined(&DEVICE, HOME);
        for _ in 0..10 {
            assert!(!copies.replaced(&DEVICE, true, now));
        }
        assert!(!copies.replaced(&DEVICE, false, now));
    }

    #[test]
    fn an_address_is_the_same_in_both_its_forms() {
        let copies = Copies::default();
        copies.joined(&DEVICE, "::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(copies.joined(&DEVICE, HOME), Some(HOME));
    }
}
