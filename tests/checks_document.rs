//! docs/checks.md names files, functions and tests: all of them exist.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The name of the function that begins on this line, if one does.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// The names of all tests in a source.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(name) = function(line).filter(|_| is_test && !line.starts_with('#')) {
            names.push(name.to_owned());
            is_test = false;
        }
    }
    names
}

/// What stands between backticks in a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_file_function_and_test_in_the_list_of_checks_exists() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for directory in ["src", "tests"] {
        sources(&base.join(directory), &mut paths);
    }
    let sources = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let tests: HashSet<_> = sources.flat_map(|source| tests_in(&source)).collect();

    let document = fs::read_to_string(base.join("docs/checks.md")).unwrap();
    let mut rows = 0;
    for line in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.split(" | ").collect();
        let [check, made, fails, tried] = cells[..] else {
            unreachable!("four columns: {line}");
        };
        if ["| check", "| ---"].contains(&check) {
            continue;
        }
        rows += 1;
        let [file, name] = quoted(made)[..] else {
            unreachable!("a file and a function: {line}");
        };
        let source = fs::read_to_string(base.join(file)).unwrap_or_default();
        let is_there = source.lines().any(|line| function(line) == Some(name));
        assert!(is_there, "{file} has no function {name}: {line}");
        assert!(!quoted(fails).is_empty(), "no test: {line}");
        for test in quoted(fails) {
            assert!(tests.contains(test), "there is no test {test}: {line}");
        }
        assert!(["|", "yes |"].contains(&tried.trim()), "{line}");
    }
    assert!(rows > 100, "only {rows} checks were found");
}
