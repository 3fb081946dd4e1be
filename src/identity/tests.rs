//! Whom a certificate, a prekey or a list of revoked doctors is believed.

mod certificates;
mod join;
mod roster;
mod trust;
