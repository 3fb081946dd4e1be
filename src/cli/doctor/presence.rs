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
    let state = match node.silent_seconds {
        Some(seconds) => format!(" (has said nothing for {seconds} s)"),
        None => format!(" (since {})", node.started),
    };
    let mut lines = match node.devices.len() {
        0 if node.silent_seconds.is_some() => {
            format!("{doctor}{state}: nobody is known to be connected.")
        }
        0 => format!("{doctor}{state}: nobody is connected."),
        1 => format!("{doctor}{state}: 1 device is connected:"),
        count => format!("{doctor}{state}: {count} devices are connected:"),
    };
    for device in &node.devices {
        lines += &line(device, "");
    }
    lines
}

/// A line of its own about a device that is connected; `at` says where.
fn line(device: &Elsewhere, at: &str) -> String {
    let name = format!("{} (device {})", device.patient, device.device);
    format!("\n  {name:<32}  {at}since {}", device.since)
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
        objects.extend(devices_of(node));
    }
    objects
}

/// The devices that are connected to a node, for programs.
pub fn devices_of(node: &Node) -> Vec<Object> {
    let object = |present: &Elsewhere| {
        Object::new("device_elsewhere")
            .with("doctor", node.doctor.as_str())
            .with("patient", present.patient.as_str())
            .with("device", present.device.as_str())
            .with("since", present.since)
    };
    node.devices.iter().map(object).collect()
}

/// A doctor's own patients who are connected to other doctors, in words and on
/// lines of their own; nothing if there are none.
pub fn own_elsewhere(nodes: &[Node]) -> String {
    let mut lines = String::new();
    if !nodes.is_empty() {
        lines += "\nYour patients who are connected to other doctors of the clinic:";
    }
    for node in nodes {
        let at = format!("at {} ", node.doctor);
        for device in &node.devices {
            lines += &line(device, &at);
        }
    }
    lines
}
