//! Assistants and auditors of a clinic, with the real programs: they have no
//! server, and work on the clinic's database.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use postgres::{Client, NoTls};

use super::{LOOPBACK, Schema, serve, shown};
use crate::clinic::{Clinic, Doctor};
use crate::process::{Finished, Running, run};

/// A clinic whose doctor D1 serves, and whose root key lies beside her server.
struct Scene {
    schema: Schema,
    clinic: Clinic,
    doctor: Doctor,
}

impl Scene {
    fn new() -> Option<Self> {
        let schema = Schema::new()?;
        let clinic = Clinic::new();
        let doctor = serve(&clinic, LOOPBACK, &schema.store());
        Some(Self {
            schema,
            clinic,
            doctor,
        })
    }

    /// `doctor` as somebody who works in the clinic.
    fn command(&self, name: &str, line: &[&str]) -> Command {
        let store = self.schema.store();
        self.clinic
            .doctor(&[&["--id", name, "--store", &store], line].concat())
    }

    fn run(&self, name: &str, line: &[&str]) -> Finished {
        run(self.command(name, line))
    }

    /// Somebody joins; the running server answers.
    fn join(&self, name: &str, role: &str) {
        let line = ["enrol-doctor", name, "--role", role];
        let said = self.clinic.command(&line).code(0).out;
        let ticket = said.lines().find(|line| line.starts_with("telemedjoin1-"));
        let joined = self.run(name, &["enrol", ticket.unwrap()]);
        let said = joined.code(0);
        let said = said.says(&format!("has joined the clinic as {role}"));
        // And what she does next.
        match role {
            "doctor" => said.says("Start her server: doctor --"),
            _ => said.says("She has no server. She says what is to be done: doctor --"),
        };
    }

    /// A patient who is connected to the doctor.
    fn patient(&mut self, name: &str) -> Running {
        self.clinic.enrol(name);
        let patient = self.clinic.connect(name);
        self.doctor.program.expect(&format!("{name} is connected"));
        patient
    }
}

#[test]
fn an_assistant_reaches_patients_through_the_doctors_server_and_sees_what_came_of_it() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.join("A1", "assistant");
    let mut patient = scene.patient("P1");
    scene.run("A1", &["list"]).code(0).says("P1 (device ");
    // Everybody of the clinic: she has no patients of her own.
    let line = ["broadcast", "--wait", "60", "The water is off today."];
    let mut waiting = Running::start(scene.command("A1", &line));
    let came = patient.expect("Message 1 (from A1 (through D1), ");
    assert!(came.contains("to everyone"), "{came}");
    patient.expect("    The water is off today.");
    // Meanwhile she can do something else.
    scene
        .run("A1", &["message", "P1", "Please bring your card."])
        .code(0)
        .says("1 device gets it from another doctor's server");
    patient.expect("    Please bring your card.");
    patient.type_lines(&["5", "1"]);
    waiting.expect("Everybody has confirmed.");
    waiting.close_input();
    waiting.finish().code(0);
    scene
        .run("A1", &["deliveries", "1"])
        .code(0)
        .says("confirmed")
        .says("The water is off today.");
    // How the patient is reached she may know, and nothing else of the record.
    let record = [
        "--name",
        "Ada Lovelace",
        "--phone",
        "+44 20 123",
        "--notes",
        "allergic",
    ];
    let line = [&["patients", "add", "P1", "--tag", "asthma"][..], &record].concat();
    scene.clinic.command(&line).code(0);
    let line = ["patients", "note", "P1", "She sleeps badly."];
    scene.clinic.command(&line).code(0);
    for line in [&["list"][..], &["show", "P1"], &["search", "Lovelace"]] {
        let line = [&["patients"], line].concat();
        let said = scene.run("A1", &line).code(0).says("Ada Lovelace");
        let said = said.says("are for the clinic's doctors");
        said.never_says("allergic")
            .never_says("asthma")
            .never_says("sleeps");
    }
    scene
        .run("A1", &["deliveries", "2", "--unconfirmed"])
        .code(0)
        .says("+44 20 123");
    // A doctor's words are none of hers.
    let line = ["message", "P1", "Your test is positive."];
    scene.clinic.command(&line).code(0);
    patient.expect("    Your test is positive.");
    for line in [&["deliveries"][..], &["report"], &["history", "P1"]] {
        let said = scene.run("A1", line).code(0).never_says("positive");
        said.says("by D1): (not for assistants)")
            .says("Please bring your card.");
    }
    patient.type_lines(&["3", "Thank you for the test."]);
    scene.doctor.program.expect("P1 writes (");
    let history = scene.run("A1", &["--json", "history", "P1"]).code(0);
    history
        .never_says("Thank you")
        .says(r#""text":null,"author":"D1","doubted":false"#);
    // The doctor sees whose words they are.
    let doctors = scene.clinic.command(&["history", "P1"]).code(0);
    doctors.says("by A1): Please bring your card.");
}

#[test]
fn what_is_for_doctors_is_refused_to_an_assistant_in_a_sentence() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.join("A1", "assistant");
    scene.clinic.enrol("P1");
    let lines: [&[&str]; 22] = [
        &["inbox"],
        &["consult", "P1"],
        &["enrol", "P2"],
        &["devices"],
        &["tickets"],
        &["fingerprint"],
        &["purge", "--older-than", "1y", "--dry-run"],
        &["broadcast", "--tag", "diabetes", "Come."],
        &["deliveries", "--verify"],
        &["audit", "list"],
        &["audit", "verify"],
        &["authority", "show"],
        &["patients", "add", "P2", "--name", "Eve"],
        &["patients", "list", "--tag", "asthma"],
        &["patients", "note", "P1", "She sleeps badly."],
        &["backup", "/nowhere/a.backup"],
        &["stop"],
        // What would ask a person asks her role first.
        &["revoke", "P1", "--reason", "lost"],
        &["purge", "--older-than", "1y"],
        &["recovery-code"],
        &["patients", "edit", "P1"],
        &["authority", "revoke-doctor", "D1", "--reason", "x"],
    ];
    for line in lines {
        scene
            .run("A1", line)
            .code(4)
            .complains(&["A1 is an assistant of this clinic", "is for its doctors"])
            .never_says("--yes");
    }
    let store = scene.schema.store();
    let copy = ["store", "copy", "--from", &store, "--to", "sqlite"];
    scene
        .run("A1", &copy)
        .code(4)
        .complains(&["A1 is an assistant of this clinic"]);
    // Neither with the menu nor without is there a server for her.
    for line in [&[][..], &["serve"]] {
        scene.run("A1", line).code(4).complains(&[
            "A1 is an assistant of the clinic, and has no server",
            "broadcast",
        ]);
    }
    // Her keys are her own.
    let shown_keys = scene.run("A1", &["key", "show"]).code(0).says("column.key");
    shown_keys.says("signing.key: the signing key of a doctor, assistant or auditor, ");
    let passphrase = scene.clinic.path("passphrase");
    fs::write(&passphrase, "correct horse battery\n").unwrap();
    fs::set_permissions(&passphrase, Permissions::from_mode(0o600)).unwrap();
    let file = shown(&passphrase);
    let passwd = ["key", "passwd", "--new-passphrase-file", file];
    scene.run("A1", &passwd).code(0);
    let line = ["--passphrase-file", file, "list"];
    scene.run("A1", &line).code(0);
}

#[test]
fn an_auditor_verifies_every_log_and_sees_no_patient() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.join("A1", "assistant");
    scene.join("R1", "auditor");
    scene.clinic.enrol("P1");
    for line in [&["patients", "list"][..], &["list"], &["deliveries"]] {
        scene
            .run("R1", line)
            .code(4)
            .complains(&["R1 is an auditor of this clinic", "nothing else"]);
    }
    scene
        .run("R1", &[])
        .code(4)
        .complains(&["R1 is an auditor of the clinic, and has no server"]);
    let verified = scene.run("R1", &["audit", "verify"]).code(0);
    verified
        .says("Log of A1:")
        .says("Log of D1:")
        .says("Log of R1:")
        .says("Nothing was changed");
    scene
        .run("R1", &["audit", "list", "--doctor", "D1"])
        .code(0)
        .says("staff admitted");
    let listed = scene.run("R1", &["--json", "audit", "search", "enrolled"]);
    listed.code(0).says(r#""log":"D1""#);
    let export = scene.clinic.path("d1.jsonl");
    let line = ["audit", "export", "--doctor", "D1", shown(&export)];
    scene.run("R1", &line).code(0);
    scene
        .run("R1", &["audit", "export", shown(&scene.clinic.path("all"))])
        .code(2)
        .complains(&["--doctor: A1, D1, R1"]);
    scene
        .run("R1", &["audit", "list", "--doctor", "R1"])
        .code(0)
        .says("verified, log of D1");
    // A doctor may look, too.
    let line = [
        "--store",
        &scene.schema.store(),
        "audit",
        "verify",
        "--doctor",
        "A1",
    ];
    let verified = scene.clinic.command(&line).code(0).says("Log of A1:");
    verified
        .says("Nothing was changed")
        .never_says("Log of D1:");
    // Whoever writes to the database is found out.
    let sql = format!(
        "UPDATE {}.audit_entry SET detail = 'nothing' WHERE doctor = 'D1' AND number = 2",
        scene.schema.name
    );
    scene.schema.client().batch_execute(&sql).unwrap();
    scene
        .run("R1", &["audit", "verify"])
        .code(7)
        .says("Log of D1:")
        .complains(&["wrong with the audit log"]);
}

#[test]
fn an_auditor_is_shown_no_other_root_and_no_log_of_nobody() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.join("R1", "auditor");
    let verify = || scene.run("R1", &["audit", "verify"]);
    // What it cannot show it says.
    let verified = verify().code(0);
    verified
        .says("only heads that were kept elsewhere can show")
        .says("compare the names with those who work in the clinic")
        .says("compare it with the clinic's papers");
    // A copy of a log whose heads fit, under another name.
    let name = &scene.schema.name;
    for table in ["audit_entry", "audit_certificate", "audit_head"] {
        let sql = format!(
            "CREATE TEMPORARY TABLE copied AS SELECT * FROM {name}.{table} WHERE doctor = 'D1';
             UPDATE copied SET doctor = 'D 1';
             INSERT INTO {name}.{table} SELECT * FROM copied; DROP TABLE copied"
        );
        scene.schema.client().batch_execute(&sql).unwrap();
    }
    let verified = verify().code(7);
    verified
        .says("Log of D 1:")
        .says("under what cannot be anybody's name");
    // The root in the database is held to the one she has joined with.
    let noted = scene.clinic.doctor_files().with_file_name("R1");
    let noted = noted.join("clinic.json");
    let text = fs::read_to_string(&noted).unwrap();
    let other = format!("{{\"v\":2,\"root\":\"{}", "0".repeat(64));
    let text = other.clone() + &text[other.len()..];
    fs::write(&noted, text).unwrap();
    verify()
        .code(7)
        .complains(&["the root in the database is not the clinic's that is noted there"]);
}

/// The statements of docs/clinic.md for an auditor's own login.
fn grants(schema: &str, login: &str) -> String {
    let document = include_str!("../../../docs/clinic.md");
    let (_, rest) = document.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    statements
        .replace("SCHEMA public", &format!("SCHEMA {schema}"))
        .replace("auditor_r1", login)
}

#[test]
fn an_auditors_login_reads_the_logs_and_writes_to_her_own_alone() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.join("R1", "auditor");
    let login = format!("{}_auditor", scene.schema.name);
    let mut admin = scene.schema.client();
    let path = format!("SET search_path = {}", scene.schema.name);
    admin.batch_execute(&path).unwrap();
    let statements = grants(&scene.schema.name, &login);
    admin.batch_execute(&statements).unwrap();
    let server = scene
        .schema
        .url
        .replacen("telemed@", &format!("{login}@"), 1);
    assert_ne!(server, scene.schema.url);
    let store = format!("{server}?options=-csearch_path%3D{}", scene.schema.name);
    let audit = |line: &[&str]| {
        let line = [&["--id", "R1", "--store", &store, "audit"], line].concat();
        run(scene.clinic.doctor(&line))
    };
    audit(&["verify"]).code(0).says("Log of D1:");
    audit(&["list", "--doctor", "D1"]).code(0).says("founded");
    audit(&["list", "--doctor", "R1"])
        .code(0)
        .says("listed, log of D1");
    let mut client = Client::connect(&server, NoTls).unwrap();
    client.batch_execute(&path).unwrap();
    for sql in [
        "SELECT * FROM record",
        "SELECT * FROM message",
        "SELECT * FROM certificate",
        "UPDATE audit_entry SET detail = ''",
        "DELETE FROM audit_entry",
        "INSERT INTO fact VALUES ('', 'revoked doctors', '')",
        "INSERT INTO audit_entry
         SELECT doctor, 1000, at, actor, action, subject, detail, link FROM audit_entry
         WHERE doctor = 'D1' LIMIT 1",
    ] {
        assert!(client.batch_execute(sql).is_err(), "{sql}");
    }
    let changed = client.execute("UPDATE audit_head SET at = 0 WHERE doctor = 'D1'", &[]);
    assert_eq!(changed.unwrap_or(0), 0);
    // Nor the counts by which others see what was committed: only those of her own
    // connections are there for her.
    let connection = [7_u8; 16];
    let insert = "INSERT INTO last_commit (connection, number, at) VALUES ($1, 1, now())";
    admin.execute(insert, &[&&connection[..]]).unwrap();
    for sql in [
        "UPDATE last_commit SET number = 9 WHERE connection = $1",
        "DELETE FROM last_commit WHERE connection = $1",
        "SELECT number FROM last_commit WHERE connection = $1 FOR UPDATE",
    ] {
        assert_eq!(
            client.execute(sql, &[&&connection[..]]).unwrap(),
            0,
            "{sql}"
        );
    }
    let own = [8_u8; 16];
    assert_eq!(client.execute(insert, &[&&own[..]]).unwrap(), 1);
    let give = "UPDATE last_commit SET owner = 'telemed', connection = $1";
    assert!(client.execute(give, &[&&connection[..]]).is_err());
    drop(client);
    let drop = format!("DROP OWNED BY {login}; DROP ROLE {login}");
    admin.batch_execute(&drop).unwrap();
}

#[test]
fn a_ticket_to_join_that_is_good_no_more_ends_with_exit_code_5() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let invite = |name: &str| {
        let line = ["enrol-doctor", name, "--role", "assistant"];
        let said = scene.clinic.command(&line).code(0).out;
        let ticket = said.lines().find(|line| line.starts_with("telemedjoin1-"));
        ticket.unwrap().to_owned()
    };
    let ticket = invite("A1");
    scene.run("A1", &["enrol", &ticket]).code(0);
    // The same command goes on with what is there.
    scene.run("A1", &["enrol", &ticket]).code(0);
    let directory = scene.clinic.path("doctor");
    fs::rename(directory.join("A1"), directory.join("away")).unwrap();
    scene
        .run("A1", &["enrol", &ticket])
        .code(5)
        .complains(&["was used already", "a ticket is good once"]);
    // Of what came to nothing nothing is left.
    assert!(!directory.join("A1").exists());
    let ticket = invite("A2");
    let listed = scene.clinic.command(&["--plain", "tickets"]).code(0).out;
    let row = listed.lines().find(|line| line.contains("A2")).unwrap();
    let code = row
        .split('\t')
        .find(|field| field.len() >= 6 && field.bytes().all(|byte| byte.is_ascii_hexdigit()));
    scene
        .clinic
        .command(&["tickets", "revoke", code.unwrap()])
        .code(0);
    scene
        .run("A2", &["enrol", &ticket])
        .code(5)
        .complains(&["was taken back"]);
}

#[test]
fn an_older_copy_of_the_database_is_gone_on_with_only_if_that_is_said() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.join("A1", "assistant");
    let name = &scene.schema.name;
    let put = |last: u32| {
        let sql = format!("UPDATE {name}.counter SET last = {last} WHERE name = 'message'");
        scene.schema.client().batch_execute(&sql).unwrap();
    };
    put(5);
    scene.run("A1", &["list"]).code(0);
    put(4);
    scene.run("A1", &["list"]).code(7).complains(&[
        "older copy",
        "number 5 was seen",
        "--accept-older-database",
    ]);
    scene
        .run("A1", &["--accept-older-database", "list"])
        .code(0);
    scene.run("A1", &["list"]).code(0);
}

#[test]
fn a_new_recovery_code_is_made_if_the_other_doctors_are_known_and_they_are_told() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.clinic.command(&["recovery-code"]).code(0);
    scene.join("D2", "doctor");
    let store = scene.schema.store();
    let line = ["--id", "D2", "--store", &store, "--listen", LOOPBACK];
    let mut second = Doctor::start(scene.clinic.doctor(&line));
    // Her server knows which one is good.
    let name = &scene.schema.name;
    let known =
        format!("SELECT count(*) FROM {name}.fact WHERE doctor = 'D2' AND name = 'recovery known'");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let known = || -> i64 {
        let row = scene.schema.client().query_one(&known, &[]).unwrap();
        row.get(0)
    };
    while known() == 0 {
        assert!(std::time::Instant::now() < deadline, "nothing is noted");
    }
    scene
        .clinic
        .command(&["recovery-code"])
        .code(2)
        .complains(&["also that of D2", "nothing has changed", "--yes"]);
    scene.clinic.command(&["recovery-code", "--yes"]).code(0);
    second
        .program
        .expect("octor D1 has made a new recovery code for the clinic");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let log = scene.run("D2", &["audit", "list"]).code(0).out;
        if log.contains("doctor D1 has made a new recovery code") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{log}");
    }
}
