//! Who is connected where in the clinic, as people and programs read it.

use crate::cli::output::Object;
use crate::doctor::presence::{Elsewhere, Node};

/// In words.
pub fn text(nodes: &[Node]) -> String {
    if nodes.is_empty() {
        return "This practice is one doctor's: see the list of her patients.".to_owned();
    }
    let sections: Vec<_> = nodes.iter().map(section).collect();
    sections.join("\n")
}

fn section(node: &Node) -> String {
    let doctor = &node.doctor;
    let state = match (node.started, node.silent_seconds) {
        (None, _) => " (does not run)".to_owned(),
        (Some(_), Some(seconds)) => format!(" (has said nothing for {seconds} s)"),
        (Some(started), None) => format!(" (since {started})"),
    };
    let mut lines = match node.devices.len() {
        0 => format!("{doctor}{state}: nobody is connected."),
        1 => format!("{doctor}{state}: 1 device is connected:"),
        count => format!("{doctor}{state}: {count} devices are connected:"),
    };
    for Elsewhere {
        patient,
        device,
        since,
    } in &node.devices
    {
        let name = format!("{patient} (device {device})");
        lines += &format!("\n  {name:<32}  since {since}");
    }
    lines
}

/// For programs.
pub fn objects(nodes: &[Node]) -> Vec<Object> {
    let mut objects = Vec::new();
    for node in nodes {
        objects.push(
            Object::new("node")
                .with("doctor", node.doctor.as_str())
                .with("started", node.started)
                .with("silent_seconds", node.silent_seconds)
                .with("devices", node.devices.len()),
        );
        objects.extend(node.devices.iter().map(|present| {
            Object::new("device_elsewhere")
                .with("doctor", node.doctor.as_str())
                .with("patient", present.patient.as_str())
                .with("device", present.device.as_str())
                .with("since", present.since)
        }));
    }
    objects
}
