//! Who somebody is: identifiers, keys and certificates, and where they lie on
//! the disk.

pub mod authority;
pub mod certificate;
pub mod closing;
pub mod data_dir;
pub mod group_file;
pub mod id;
pub mod join;
pub mod key_file;
pub mod keyring;
pub mod known_doctor;
pub mod patient_identity;
pub mod prekey;
pub mod revocation;
pub mod roster;
#[cfg(test)]
mod tests;
pub mod ticket;
