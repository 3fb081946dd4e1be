//! What goes over a session, and what is refused there.

mod messages;
mod records;
mod rekeys;
mod roster;
mod start;
