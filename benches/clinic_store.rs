//! How many commits of how many nodes a clinic's PostgreSQL server takes: each
//! node is a connection of its own that writes receipts, one in a commit, or as
//! many as have gathered while the last commit was on its way, as the program
//! does.
//!
//! `make bench-clinic` starts a throw-away server and runs it; docs/scaling.md has the
//! figures of one machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[cfg(feature = "postgres")]
#[path = "clinic_store/nodes.rs"]
mod nodes;

fn main() {
    // `cargo test --benches` only wants to see that it compiles.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    #[cfg(feature = "postgres")]
    nodes::main();
    #[cfg(not(feature = "postgres"))]
    println!("clinic_store: needs the feature postgres; 'make bench-clinic' runs it");
}
