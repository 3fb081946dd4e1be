//! Which identity is meant, and which doctor.

use std::thread;
use std::time::{Duration, Instant};

use super::failure;
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::PatientOptions;
use crate::control;
use crate::identity::data_dir::{DataDir, DataDirFault, location};
use crate::identity::id::Identifier;
use crate::patient::control::{Answer, Request};
use crate::patient::files::{self, Heard, Name};

/// How long another program may take to begin or end on a directory.
const HANDOVER: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);

/// The doctor to whom the person wants to be connected with this identity.
pub(super) fn asked(options: &PatientOptions, name: &Name) -> Identifier {
    options.doctor_id.as_ref().unwrap_or(&name.doctor).clone()
}

/// The one identity that is meant: the one of this patient with this doctor, or
/// else one of hers in whose clinic this doctor is.
pub(super) fn choose(options: &PatientOptions) -> Result<Name, Failure> {
    let all = files::list(&options.data).map_err(|e| failure::directory(&e))?;
    let is_hers = |name: &&Name| options.id.as_ref().is_none_or(|id| *id == name.patient);
    let hers: Vec<&Name> = all.iter().filter(is_hers).collect();
    let Some(doctor) = &options.doctor_id else {
        return match hers[..] {
            [] => Err(failure::not_enrolled(options, &[])),
            [name] => Ok(name.clone()),
            _ => Err(several(&hers, None)),
        };
    };
    let of_doctor: Vec<&Name> = hers
        .iter()
        .filter(|name| name.doctor == *doctor)
        .copied()
        .collect();
    match of_doctor[..] {
        [] => of_clinic(options, &hers, doctor),
        [name] => Ok(name.clone()),
        _ => Err(several(&of_doctor, None)),
    }
}

/// One of these identities, in whose clinic the doctor is.
fn of_clinic(
    options: &PatientOptions,
    hers: &[&Name],
    doctor: &Identifier,
) -> Result<Name, Failure> {
    let mut known = Vec::new();
    for name in hers {
        if let Some(heard) = heard(options, name)? {
            known.push(((*name).clone(), heard));
        }
    }
    let found: Vec<&(Name, Heard)> = known
        .iter()
        .filter(|(_, heard)| heard.doctors.contains(doctor))
        .collect();
    let Some((first, clinic)) = found.first() else {
        return Err(failure::not_enrolled(options, &known));
    };
    // With several doctors of the clinic it has enrolled: any of them will do.
    let is_same =
        |(name, heard): &&(Name, Heard)| name.patient == first.patient && heard.root == clinic.root;
    if found.iter().all(is_same) {
        return Ok(first.clone());
    }
    let names: Vec<&Name> = found.iter().map(|(name, _)| name).collect();
    Err(several(&names, Some(doctor)))
}

/// Several are meant. `doctor`: she is of the clinics of all of them.
fn several(names: &[&Name], doctor: Option<&Identifier>) -> Failure {
    let lines: Vec<String> = names
        .iter()
        .map(|name| {
            let doctor = doctor.unwrap_or(&name.doctor);
            format!("--id {} --doctor-id {doctor}", name.patient)
        })
        .collect();
    let is_one_patient = names.iter().all(|name| name.patient == names[0].patient);
    if doctor.is_some() && is_one_patient {
        let whose: Vec<String> = names.iter().map(ToString::to_string).collect();
        let sentence = format!(
            "the clinics of {} all have a doctor of that name",
            whose.join(" and of ")
        );
        return Failure::new(Exit::Usage, sentence)
            .hint("enrol with the one you mean, with a ticket of hers");
    }
    let sentence = "there are several identities; say which one is meant";
    Failure::new(Exit::Usage, sentence).hint(lines.join("\n"))
}

/// Which doctors an identity has heard of: by its directory, or by the program
/// that runs on it; none if nobody is enrolled there.
fn heard(options: &PatientOptions, name: &Name) -> Result<Option<Heard>, Failure> {
    let place = location(&options.data, &name.to_string());
    let place = place.map_err(|error| failure::directory(&error))?;
    let ask = |request| control::ask::<_, Answer>(&place, &request, control::PATIENCE);
    let deadline = Instant::now() + HANDOVER;
    loop {
        if let Ok(Some(Answer::Fingerprints(fingerprints))) = ask(Request::Fingerprints)
            && let Ok(Some(Answer::Doctors(doctors))) = ask(Request::Doctors)
        {
            let names = doctors.iter().map(|doctor| doctor.doctor.parse());
            return Ok(Some(Heard {
                root: fingerprints.root,
                doctors: names.filter_map(Result::ok).collect(),
            }));
        }
        match DataDir::open_existing(&options.data, &name.to_string()) {
            Ok(directory) => {
                return files::heard_of(&directory).map_err(|error| failure::files(&error));
            }
            Err(error)
                if matches!(error.fault(), DataDirFault::InUse) && Instant::now() < deadline =>
            {
                thread::sleep(TICK);
            }
            Err(error) => return Err(failure::directory(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use tempfile::TempDir;

    use super::*;
    use crate::address::Address;
    use crate::cli::args;
    use crate::identity::authority::DoctorIdentity;
    use crate::identity::roster::RosterEntry;
    use crate::patient::colleagues::Colleagues;
    use crate::patient::files::Files;
    use crate::random::OsRandom;
    use crate::testing::{Clinic, NOW, clinic, known};

    /// An identity of `doctor`'s patient, who has heard of these doctors.
    fn enrolled(base: &TempDir, name: &str, doctor: &DoctorIdentity, heard: &[&DoctorIdentity]) {
        let files = Files::create_or_open(base.path(), &name.parse().unwrap()).unwrap();
        let certificate = clinic().patients[0].certificate();
        let home = known(doctor);
        let ticket = [1; 16];
        files
            .complete(&ticket, certificate, &home, "h:1", NOW)
            .unwrap();
        let mut colleagues = Colleagues::default();
        for other in heard {
            let address: Address = "127.0.0.1:7400".parse().unwrap();
            let entry = RosterEntry::make(other, &address, NOW, &mut OsRandom).unwrap();
            colleagues.take(entry.as_bytes(), &home, NOW).unwrap();
        }
        files.save_colleagues(&colleagues).unwrap();
    }

    fn chosen(base: &TempDir, line: &[&str]) -> Result<String, Failure> {
        let data = base.path().to_str().unwrap();
        let line = [line, &["--data", data]].concat();
        let parsed = args::patient(line.iter().map(OsString::from)).unwrap();
        let args::Request::Run(args) = parsed else {
            panic!("{line:?}");
        };
        let options = PatientOptions::new(args, &|_| None).unwrap();
        choose(&options).map(|name| name.to_string())
    }

    #[test]
    fn an_identity_whose_clinic_has_the_doctor_is_used_for_her() {
        let base = TempDir::new().unwrap();
        let d2 = clinic().other_doctor("D2");
        let d1 = &clinic().doctor;
        enrolled(&base, "P1@D1", d1, &[d1, &d2]);
        for line in [
            &["--id", "P1", "--doctor-id", "D2"][..],
            &["--doctor-id", "D2"],
            &["--doctor-id", "D1"],
            &["--id", "P1"],
            &[],
        ] {
            assert_eq!(chosen(&base, line).unwrap(), "P1@D1", "{line:?}");
        }
        // Her own identity comes first; of two, one of them.
        enrolled(&base, "P1@D2", &d2, &[d1, &d2]);
        let of = |doctor: &str| chosen(&base, &["--doctor-id", doctor]);
        assert_eq!(of("D2").unwrap(), "P1@D2");
        let d3 = clinic().other_doctor("D3");
        enrolled(&base, "P1@D1", d1, &[&d3]);
        enrolled(&base, "P1@D2", &d2, &[&d3]);
        assert_eq!(of("D3").unwrap(), "P1@D1");
    }

    #[test]
    fn it_is_told_which_doctors_there_are_if_nobody_knows_the_one_who_was_asked_for() {
        let base = TempDir::new().unwrap();
        let d2 = clinic().other_doctor("D2");
        enrolled(&base, "P1@D1", &clinic().doctor, &[&d2]);
        let failure = chosen(&base, &["--id", "P1", "--doctor-id", "D7"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        let sentence = "P1 is not enrolled with doctor D7 here, and no clinic known here";
        assert!(failure.sentence.starts_with(sentence), "{failure}");
        let hint = failure.hint.unwrap();
        assert!(hint.starts_with("P1 can connect to D1, D2\n"), "{hint}");
        let failure = chosen(&base, &["--id", "P2", "--doctor-id", "D2"]).unwrap_err();
        let sentence = "P2 is not enrolled with doctor D2 here (";
        assert!(failure.sentence.starts_with(sentence), "{failure}");
    }

    #[test]
    fn two_clinics_with_a_doctor_of_that_name_are_told_apart() {
        let base = TempDir::new().unwrap();
        let foreign = Clinic::new();
        let ours = clinic().other_doctor("D2");
        let theirs = foreign.other_doctor("D2");
        enrolled(&base, "P1@D1", &clinic().doctor, &[&ours]);
        enrolled(&base, "P1@D9", &foreign.other_doctor("D9"), &[&theirs]);
        let failure = chosen(&base, &["--doctor-id", "D2"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.sentence.contains("P1@D1 and of P1@D9"), "{failure}");
        enrolled(&base, "P2@D1", &clinic().doctor, &[&ours]);
        let failure = chosen(&base, &["--doctor-id", "D2"]).unwrap_err();
        let hint = failure.hint.unwrap();
        assert!(hint.contains("--id P2 --doctor-id D2"), "{hint}");
    }
}
