use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use argh::{ArgsInfo, FlagInfoKind};
use tempfile::TempDir;

use super::super::args::{self, DoctorArgs, PatientArgs, Request};
use super::super::options::{DoctorOptions, PatientOptions};
use super::*;

/// A file with this in it, in a directory of its own.
fn file(text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("telemed.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

/// The options that a command line leads to, with these variables.
fn doctor(line: &[&str], variables: &[(&str, &str)]) -> Result<DoctorOptions, Failure> {
    match args::doctor(line.iter().map(OsString::from))? {
        Request::Run(args) => DoctorOptions::new(args, &environment(variables)),
        Request::Print(text) => panic!("{text}"),
    }
}

fn patient(line: &[&str], variables: &[(&str, &str)]) -> Result<PatientOptions, Failure> {
    match args::patient(line.iter().map(OsString::from))? {
        Request::Run(args) => PatientOptions::new(args, &environment(variables)),
        Request::Print(text) => panic!("{text}"),
    }
}

fn environment<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    move |name| {
        let home = ("HOME", "/nowhere");
        let mut known = variables.iter().chain([&home]);
        known
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    }
}

/// Three values of a key that differ from each other and from the default.
fn values(key: &str) -> [&'static str; 3] {
    match key {
        "id" | "doctor-id" => ["A1", "A2", "A3"],
        "listen" | "public-address" | "connect" => ["h1:1", "h2:2", "h3:3"],
        "data" | "audit-heads" | "passphrase-file" | "backup.directory" => ["/d1", "/d2", "/d3"],
        "tolerance" | "handshakes-per-address" | "block-after" | "backup.keep" => {
            ["11", "12", "13"]
        }
        "group" => ["ffdhe2048", "ffdhe4096", "ffdhe2048"],
        "backup.every" | "block" => ["1h", "2h", "3h"],
        "store" => [
            "postgres://a@/x?host=/a",
            "postgres://b@/x?host=/a",
            "postgres://c@/x?host=/a",
        ],
        "on-message" => ["one", "two", "three"],
        other => panic!("no values for {other}"),
    }
}

fn in_file(key: &str, kind: Kind, value: &str) -> String {
    match kind {
        Kind::Text | Kind::Path => format!("{key} = \"{value}\"\n"),
        Kind::Number | Kind::Switch => format!("{key} = {value}\n"),
    }
}

/// What comes of a command line and these variables.
type Outcome<'a> = &'a dyn Fn(&[&str], &[(&str, &str)]) -> String;

fn of_doctor(line: &[&str], variables: &[(&str, &str)]) -> String {
    let mut options = doctor(line, variables).unwrap();
    options.data_option.clear();
    options.place_option.clear();
    options.keys.data_option.clear();
    format!("{options:?}")
}

fn of_patient(line: &[&str], variables: &[(&str, &str)]) -> String {
    let mut options = patient(line, variables).unwrap();
    options.data_option.clear();
    options.keys.data_option.clear();
    format!("{options:?}")
}

/// Checks one key: the file counts more than the default, a variable more than
/// the file, and what is typed most.
fn check_precedence((key, kind): Key, options: Outcome<'_>, option: bool) {
    let [first, second, third] = values(key);
    // Nothing is backed up, and nothing said of it, without a directory.
    let backup = match key {
        "backup.every" | "backup.keep" => "backup.directory = \"/b\"\n",
        _ => "",
    };
    let (_empty, empty) = file(backup);
    let (_file, path) = file(&format!("{backup}{}", in_file(key, kind, first)));
    let name = variable_name(key);
    let default = options(&["--config", &empty], &[]);
    let by_file = options(&["--config", &path], &[]);
    let by_variable = options(&["--config", &path], &[(&name, second)]);
    assert_ne!(default, by_file, "{key}");
    assert_ne!(by_file, by_variable, "{key}");
    let alone = options(&["--config", &empty], &[(&name, second)]);
    assert_eq!(by_variable, alone, "{key}");
    // A variable that is empty says nothing.
    let unset = options(&["--config", &path], &[(&name, "")]);
    assert_eq!(by_file, unset, "{key}");
    if option {
        let option = format!("--{key}={third}");
        let typed = options(&["--config", &path, &option], &[(&name, second)]);
        assert_ne!(by_variable, typed, "{key}");
        assert_eq!(typed, options(&["--config", &empty, &option], &[]), "{key}");
    }
}

#[test]
fn what_is_typed_counts_more_than_the_environment_and_that_more_than_the_file() {
    // Where there is no PostgreSQL there is one store only.
    let has_values = |key: &str| key != "store" || cfg!(feature = "postgres");
    let keys = DOCTOR.iter().filter(|(key, _)| has_values(key));
    for key in keys.filter(|(_, kind)| *kind != Kind::Switch) {
        check_precedence(*key, &of_doctor, !key.0.contains('.'));
    }
    for key in PATIENT.iter().filter(|(_, kind)| *kind != Kind::Switch) {
        check_precedence(*key, &of_patient, true);
    }
}

#[test]
fn a_switch_is_on_where_the_last_word_says_so() {
    let strict = |text: &str, line: &[&str], variables: &[(&str, &str)]| {
        let (_file, path) = file(text);
        let line = [&["--config", &path], line].concat();
        doctor(&line, variables).unwrap().strict_clock
    };
    let variable = "TELEMED_STRICT_CLOCK";
    assert!(!strict("", &[], &[]));
    assert!(strict("strict-clock = true", &[], &[]));
    assert!(!strict("strict_clock = true", &[], &[(variable, "false")]));
    assert!(strict("", &[], &[(variable, "true")]));
    assert!(strict(
        "strict-clock = false",
        &["--strict-clock"],
        &[(variable, "false")]
    ));
    let failover = |text: &str, line: &[&str]| {
        let (_file, path) = file(text);
        let line = [&["--config", &path], line].concat();
        patient(&line, &[]).unwrap().failover
    };
    assert!(!failover("", &[]));
    assert!(failover("failover = true", &[]));
    assert!(failover("failover = false", &["--failover"]));
}

/// What is said each time anew.
const OF_ONE_RUN: [&str; 6] = [
    "help",
    "json",
    "plain",
    "config",
    "plain-keys",
    "accept-older-database",
];

#[test]
fn the_keys_are_the_options_of_the_program() {
    for (program, flags) in [
        (Program::Doctor, DoctorArgs::get_args_info().flags),
        (Program::Patient, PatientArgs::get_args_info().flags),
    ] {
        let mut options: Vec<_> = flags
            .iter()
            .map(|flag| {
                let is_switch = flag.kind == FlagInfoKind::Switch;
                (flag.long.trim_start_matches("--"), is_switch)
            })
            .filter(|(name, _)| !OF_ONE_RUN.contains(name))
            .collect();
        let keys = keys(program).iter();
        let mut keys: Vec<_> = keys
            .filter(|(key, _)| !key.contains('.'))
            .map(|(key, kind)| (*key, *kind == Kind::Switch))
            .collect();
        options.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, options);
    }
}

#[track_caller]
fn check_default(program: Program, key: &str, default: &str) {
    let options: Outcome<'_> = match program {
        Program::Doctor => &of_doctor,
        Program::Patient => &of_patient,
    };
    let backup = [("TELEMED_BACKUP_DIRECTORY", "/b")];
    let name = variable_name(key);
    let said = [backup[0], (&name, default)];
    assert_eq!(options(&[], &backup), options(&[], &said), "{key}");
}

#[test]
fn every_key_is_documented_with_its_variable_and_default() {
    let document = include_str!("../../../docs/configuration.md");
    let mut sections = document.split("\n## `").skip(1);
    for program in [Program::Doctor, Program::Patient] {
        let section = sections.next().unwrap();
        assert!(section.starts_with(program.name()));
        let rows: Vec<_> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .collect();
        let documented: Vec<_> = rows.iter().map(|row| (row[1], row[2])).collect();
        let keys: Vec<_> = keys(program)
            .iter()
            .map(|(key, _)| (format!("`{key}`"), format!("`{}`", variable_name(key))))
            .collect();
        let keys: Vec<_> = keys.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(documented, keys);
        for row in rows {
            let (key, default) = (row[1].trim_matches('`'), row[4]);
            assert!(!row[3].is_empty() && !default.is_empty(), "{key}");
            // A default that is a value changes nothing if it is said.
            if default.starts_with('`') && !default.contains('~') {
                check_default(program, key, default.trim_matches('`'));
            }
        }
    }
}

#[test]
fn a_wrong_file_is_refused_with_file_line_and_key() {
    for (text, sentence) in [
        (
            "id = \"D1\"\nlisen = \"h\"\n",
            "line 2: there is no key \"lisen\"",
        ),
        ("\n[backp]\nkeep = 1\n", "line 2: there is no key \"backp\""),
        (
            "[backup]\nevry = \"1d\"",
            "line 2: there is no key \"backup.evry\"",
        ),
        ("backup = 1", "line 1: there is no key \"backup\""),
        (
            "listen = 7400",
            "line 1: listen: the value is to be a text in quotation marks",
        ),
        (
            "tolerance = \"30\"",
            "line 1: tolerance: the value is to be a whole number",
        ),
        (
            "strict-clock = 1",
            "line 1: strict-clock: the value is to be true or false",
        ),
        ("id = [\"D1\"]", "line 1: id: the value is to be a text"),
        (
            "id = \"D1\"\n\ntolerance = 0",
            "line 3: tolerance \"0\": the tolerance is a whole",
        ),
        ("listen = \"x:y\"", "line 1: listen \"x:y\": "),
        (
            "[backup]\ndirectory = \"/b\"\nevery = \"1\"",
            "line 3: backup.every \"1\": ",
        ),
        ("[backup]\nkeep = 3", "but not backup.directory"),
        (
            "public-address = \"a\"\npublic_address = \"b\"",
            "public-address is given twice",
        ),
        ("id = \"D1\"\nid = \"D2\"", "line 2: duplicate key"),
        ("id = \"D1\"\nlisten = ", "line 2: "),
    ] {
        let (_file, path) = file(text);
        // Also where something else is typed.
        let failure = doctor(&["--config", &path, "--id", "D9"], &[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let shown = &failure.sentence;
        assert!(shown.contains(sentence), "{shown} lacks {sentence}");
        assert!(
            shown.contains(&path) || sentence.contains("backup.directory"),
            "{shown} lacks {path}"
        );
    }
    let (_file, path) = file("lisen = \"h\"");
    let failure = patient(&["--config", &path], &[]).unwrap_err();
    assert!(
        failure
            .hint
            .unwrap()
            .starts_with("the keys are id, doctor-id, ")
    );
}

#[test]
fn a_wrong_variable_is_refused_by_name() {
    for (name, value) in [
        ("TELEMED_LISTEN", "x:y"),
        ("TELEMED_TOLERANCE", "0"),
        ("TELEMED_STRICT_CLOCK", "yes"),
    ] {
        let failure = doctor(&["--listen", "h:1"], &[(name, value)]).unwrap_err();
        let start = format!("{name} \"{value}\": ");
        assert!(failure.sentence.starts_with(&start), "{failure}");
    }
    let broken = |name: &str| (name == "TELEMED_ID").then(|| OsString::from_vec(vec![b'P', 0xff]));
    let failure = Configuration::read(Program::Patient, None, &broken)
        .err()
        .unwrap();
    assert!(failure.sentence.contains("not valid UTF-8"), "{failure}");
}

#[test]
fn the_file_is_the_one_named_or_the_first_of_the_usual_ones() {
    let home = tempfile::tempdir().unwrap();
    let shown = home.path().to_str().unwrap();
    let own = home.path().join(".config/telemed");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("doctor.toml"), "id = \"HOME\"").unwrap();
    let other = home.path().join("telemed");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("doctor.toml"), "id = \"XDG\"").unwrap();
    let (_file, named) = file("id = \"NAMED\"");
    let id = |line: &[&str], variables: &[(&str, &str)]| {
        doctor(line, variables).unwrap().id.unwrap().to_string()
    };
    let at_home = ("HOME", shown);
    let elsewhere = ("XDG_CONFIG_HOME", shown);
    assert_eq!(id(&[], &[at_home]), "HOME");
    assert_eq!(id(&[], &[at_home, ("XDG_CONFIG_HOME", "relative")]), "HOME");
    assert_eq!(id(&[], &[at_home, elsewhere]), "XDG");
    let by_variable = ("TELEMED_CONFIG", named.as_str());
    assert_eq!(id(&[], &[at_home, elsewhere, by_variable]), "NAMED");
    let (_other, other) = file("id = \"TYPED\"");
    assert_eq!(id(&["--config", &other], &[at_home, by_variable]), "TYPED");
    let usual = places(Program::Patient, &environment(&[at_home]));
    assert_eq!(usual[0], home.path().join(".config/telemed/patient.toml"));
    assert_eq!(usual[1..], [PathBuf::from("/etc/telemed/patient.toml")]);

    let failure = doctor(&["--config", "/nowhere/x.toml"], &[]).unwrap_err();
    assert!(
        failure
            .sentence
            .contains("cannot read the configuration '/nowhere/x.toml'")
    );
    assert_eq!(failure.exit, Exit::Failure);
}

#[test]
fn backups_are_made_as_the_table_says() {
    let schedule = |text: &str| {
        let (_file, path) = file(text);
        doctor(&["--config", &path], &[]).unwrap().backup
    };
    assert_eq!(schedule(""), None);
    let daily = schedule("[backup]\ndirectory = \"/b\"").unwrap();
    assert_eq!((daily.every.as_secs(), daily.keep.get()), (86_400, 7));
    let often = schedule("[backup]\ndirectory = \"/b\"\nevery = \"12h\"\nkeep = 14").unwrap();
    assert_eq!((often.every.as_secs(), often.keep.get()), (43_200, 14));
    assert_eq!(often.directory, Path::new("/b"));
}

#[test]
fn a_configuration_that_is_no_file_or_has_no_end_is_refused_at_once() {
    let (_long, long) = file(&"#".repeat(MAX_FILE as usize + 1));
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    for (path, reason) in [
        (long.as_str(), "longer than 1 MiB"),
        ("/dev/zero", "not a regular file"),
        (fifo.to_str().unwrap(), "not a regular file"),
    ] {
        let failure = patient(&["--config", path], &[]).unwrap_err();
        assert!(failure.sentence.contains(reason), "{failure}");
    }
}

#[test]
fn a_path_in_the_file_is_absolute_or_in_the_home() {
    let (_file, path) = file("data = \"~/telemed\"\n");
    let options = patient(&["--config", &path], &[("HOME", "/home/ada")]).unwrap();
    assert_eq!(options.data, PathBuf::from("/home/ada/telemed"));
    let failure = patient(&["--config", &path], &[("HOME", "here")]).unwrap_err();
    assert!(failure.sentence.contains("HOME"), "{failure}");
    for (key, text) in [
        ("data", "\ndata = \"telemed\"\n"),
        ("audit-heads", "\naudit-heads = \"heads\"\n"),
        ("backup.directory", "[backup]\ndirectory = \"~ada/b\"\n"),
    ] {
        let (_file, path) = file(text);
        let failure = doctor(&["--config", &path], &[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        for part in ["line 2: ", key, "must begin with / or ~/"] {
            assert!(failure.sentence.contains(part), "{failure}");
        }
    }
}
