//! Whom a certificate, a prekey or a list of revoked doctors is believed.

mod certificates;
mod roster;
mod trust;
