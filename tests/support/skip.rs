//! Tests that cannot run on every machine.

use std::env;

/// Says that a test is skipped, and for want of what. That is a failure where
/// the environment variable `CI` is set to anything but `false`: there all tests
/// must run.
#[track_caller]
pub fn skip(missing: &str) {
    let ci = env::var_os("CI").unwrap_or_default();
    assert!(ci.is_empty() || ci == "false", "skipped in CI: {missing}");
    eprintln!("skipped: {missing}");
}
