//! The numbers of messages, given in the order of commits.

use crate::store::StoreFault;
use crate::store::postgres::connection::{Connection, value};
use crate::store::postgres::values::limit;

/// The largest number that is given, far from where counting on would overflow.
const LARGEST: i64 = i64::MAX / 2;

/// What is numbered, each in a table of its own.
#[derive(Clone, Copy)]
pub(super) enum Numbered {
    /// Doctors' messages.
    Message,
    /// Patients'.
    Incoming,
}

impl Numbered {
    /// The name of its table and of its counter.
    const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Incoming => "incoming",
        }
    }
}

/// A number behind which so many are free: the last of this kind that was given, or
/// a later one if somebody has put rows of his own there, which must not stop the
/// others. Nobody else is given one until this transaction has ended.
pub(super) fn last_number(
    connection: &mut Connection,
    kind: Numbered,
    count: usize,
) -> Result<i64, StoreFault> {
    let (name, count) = (kind.name(), limit(count));
    let sql = format!(
        "SELECT last, EXISTS (SELECT 1 FROM {name}
             WHERE number > last AND number <= least(last, {LARGEST}) + $2)
         FROM counter WHERE name = $1 FOR UPDATE"
    );
    let Some(row) = connection.first(&sql, &[&name, &count])? else {
        return Err(StoreFault::Damaged(format!(
            "the counter of '{name}' is gone"
        )));
    };
    let (mut last, is_taken): (i64, bool) = (value(&row, 0)?, value(&row, 1)?);
    if is_taken {
        last = before_gap(connection, name, last, count)?;
    }
    match last {
        0..LARGEST => Ok(last),
        last => Err(StoreFault::Damaged(format!(
            "the counter of '{name}' stands at {last}"
        ))),
    }
}

/// The first number from this one on behind which so many are free.
fn before_gap(
    connection: &mut Connection,
    name: &str,
    last: i64,
    count: i64,
) -> Result<i64, StoreFault> {
    let sql = format!(
        "SELECT number FROM (
             SELECT number, lead(number) OVER (ORDER BY number) AS next
             FROM (SELECT $1::bigint AS number
                   UNION ALL SELECT number FROM {name} WHERE number > $1) AS taken
         ) AS gaps
         WHERE next IS NULL OR next - number > $2::bigint ORDER BY number LIMIT 1"
    );
    let row = connection.first(&sql, &[&last, &count])?;
    row.map_or(Ok(last), |row| value(&row, 0))
}
