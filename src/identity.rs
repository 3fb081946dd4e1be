//! Who somebody is: identifiers, keys and certificates, and where they lie on
//! the disk.

pub mod data_dir;
pub mod id;
pub mod key_file;
