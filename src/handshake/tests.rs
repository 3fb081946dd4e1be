//! What the handshakes do, and what they refuse.

mod damage;
mod enrolment;
mod first_message;
mod forge;
mod issuers;
mod refusals;
mod resumption;
mod second_message;
mod success;
