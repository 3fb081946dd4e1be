//! What a practice's database consists of, table by table. This is the one
//! place that names it for a copy; tests hold it against both schemas.

use super::Kind::{Bytes, Flag, Number, Text};
use super::{Kind, Owner, Table};

/// Rows of a batch of small rows.
const MANY: usize = 2_000;
/// The same where a row may be long.
const FEW: usize = 200;

/// All tables, each behind those that it refers to; what makes a practice of it
/// comes last.
pub(in crate::store) const TABLES: &[Table] = &[
    Table {
        name: "ticket",
        key: 1,
        columns: &[
            ("id", Bytes),
            ("subject", Text),
            ("sealed", Bytes),
            ("created", Number),
            ("expires", Number),
            ("state", Text),
        ],
        owner: Owner::Maker,
        batch: MANY,
    },
    Table {
        name: "certificate",
        key: 1,
        columns: &[
            ("serial", Bytes),
            ("fingerprint", Bytes),
            ("subject", Text),
            ("bytes", Bytes),
            ("state", Text),
            ("ticket", Bytes),
            ("created", Number),
            ("not_after", Number),
        ],
        owner: Owner::Maker,
        batch: MANY,
    },
    Table {
        name: "last_timestamp",
        key: 1,
        columns: &[("serial", Bytes), ("at", Number)],
        owner: Owner::Nobody,
        batch: MANY,
    },
    Table {
        name: "prekey",
        key: 1,
        columns: &[
            ("kid", Bytes),
            ("bytes", Bytes),
            ("not_before", Number),
            ("not_after", Number),
        ],
        owner: Owner::Doctor,
        batch: MANY,
    },
    Table {
        name: "audit_entry",
        key: 1,
        columns: &[
            ("number", Number),
            ("at", Number),
            ("actor", Text),
            ("action", Text),
            ("subject", Text),
            ("detail", Text),
            ("link", Bytes),
        ],
        owner: Owner::Doctor,
        batch: MANY,
    },
    Table {
        name: "audit_certificate",
        key: 1,
        columns: &[("fingerprint", Bytes), ("bytes", Bytes)],
        owner: Owner::Doctor,
        batch: MANY,
    },
    Table {
        name: "audit_head",
        key: 1,
        columns: &[
            ("number", Number),
            ("link", Bytes),
            ("at", Number),
            ("certificate", Bytes),
            ("signature", Bytes),
        ],
        owner: Owner::Doctor,
        batch: MANY,
    },
    Table {
        name: "record",
        key: 1,
        columns: &[
            ("patient", Text),
            ("created", Number),
            ("changed", Number),
            ("archived", Number),
            ("version", Number),
            ("sealed", Bytes),
            ("contact", Bytes),
        ],
        owner: Owner::Nobody,
        batch: FEW,
    },
    Table {
        name: "consultation",
        key: 1,
        columns: &[
            ("id", Bytes),
            ("patient", Text),
            ("written", Number),
            ("begun", Number),
            ("ended", Number),
            ("sealed", Bytes),
        ],
        owner: Owner::Nobody,
        batch: FEW,
    },
    Table {
        name: "message",
        key: 1,
        columns: &[
            ("number", Number),
            ("id", Bytes),
            ("kind", Text),
            ("patient", Text),
            ("boundary", Text),
            ("urgent", Flag),
            ("written", Number),
            ("expires", Number),
            ("ended", Flag),
            ("sealed", Bytes),
        ],
        owner: Owner::Maker,
        batch: FEW,
    },
    Table {
        name: "delivery",
        key: 2,
        columns: &[
            ("message", Number),
            ("device", Bytes),
            ("patient", Text),
            ("queued", Number),
            ("sent", Number),
            ("delivered", Number),
            ("confirmed", Number),
            ("sealed_confirmation", Bytes),
            ("open", Flag),
        ],
        owner: Owner::Nobody,
        batch: MANY,
    },
    Table {
        name: "welcomed",
        key: 1,
        columns: &[("device", Bytes)],
        owner: Owner::Nobody,
        batch: MANY,
    },
    Table {
        name: "incoming",
        key: 1,
        columns: &[
            ("number", Number),
            ("device", Bytes),
            ("patient", Text),
            ("id", Bytes),
            ("boundary", Text),
            ("written", Number),
            ("received", Number),
            ("shown", Number),
            ("sealed", Bytes),
        ],
        owner: Owner::Maker,
        batch: FEW,
    },
    Table {
        name: "fact",
        key: 1,
        columns: &[("name", Text), ("value", Bytes)],
        owner: Owner::Fact,
        batch: FEW,
    },
];

/// The tables whose rows are numbered, with the last numbers that were given
/// kept beside them.
pub(in crate::store) const COUNTED: [&str; 2] = ["message", "incoming"];

impl Table {
    /// The columns, as a statement names them.
    pub(in crate::store) fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Those of the key, which come first.
    pub(in crate::store) fn key_columns(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key]
    }

    /// Their names, each with this behind it.
    pub(in crate::store) fn key_names(&self, behind: &str) -> String {
        let keys = self.key_columns().iter();
        let names: Vec<_> = keys.map(|(name, _)| format!("{name}{behind}")).collect();
        names.join(", ")
    }

    /// What leaves out the rows that belong to a copy and not to a practice.
    pub(in crate::store) fn condition(&self) -> String {
        match self.owner {
            Owner::Fact => format!(
                "name NOT IN ('{}', '{}')",
                crate::store::fact::COPYING,
                crate::store::fact::MOVED_TO
            ),
            _ => "TRUE".to_owned(),
        }
    }
}
