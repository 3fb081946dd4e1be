//! What the nodes of a clinic tell each other: tables, and notifications on a
//! channel named after the schema.
//!
//! Who is connected where is not worth waiting for the disk: after a crash of
//! the server each node says it again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postgres::Row;

use super::connection::{Connection, Params, value};
use super::messages::incoming;
use super::seat::{HELD, is_held};
use super::transaction::Lock;
use super::values::{limit, number};
use super::{PostgresStore, bounds};
use crate::clock::Timestamp;
use crate::store::messages::{Device, IncomingRow};
use crate::store::nodes::{
    Answered, Claim, News, NodeRow, NodeStore, OpenUpTo, PresenceRow, Seat, SeatHolder,
    SessionName, Stamp,
};
use crate::store::{StoreError, StoreFault, stored_millis};

/// Each trigger notifies once a statement, and the server tells what is the same
/// once a transaction. A device's first session anywhere concerns no other node.
pub(super) const SCHEMA: &str = r#"
CREATE TABLE node (
    doctor TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    started TIMESTAMPTZ NOT NULL,
    seen TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE presence (
    device BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(device) = 32),
    doctor TEXT COLLATE "C" NOT NULL,
    session BYTEA NOT NULL CHECK (octet_length(session) = 16),
    answered TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX presence_of_doctor ON presence (doctor);

CREATE TABLE roster (
    doctor TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    entry BYTEA NOT NULL
);

CREATE FUNCTION telemed_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;

CREATE TRIGGER message_notify AFTER INSERT ON message
    FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();
CREATE TRIGGER certificate_notify AFTER UPDATE OF state ON certificate
    FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();
CREATE TRIGGER assignment_notify AFTER UPDATE ON assignment
    FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();
CREATE TRIGGER roster_notify AFTER INSERT OR UPDATE OR DELETE ON roster
    FOR EACH STATEMENT EXECUTE FUNCTION telemed_notify();
CREATE TRIGGER presence_notify AFTER UPDATE ON presence
    FOR EACH ROW WHEN (old.doctor <> new.doctor) EXECUTE FUNCTION telemed_notify();
CREATE TRIGGER fact_notify AFTER INSERT OR UPDATE ON fact
    FOR EACH ROW WHEN (new.name = 'revoked doctors') EXECUTE FUNCTION telemed_notify();
"#;

/// A session is newer if it was answered later; one that is claimed again is the
/// same. $4 is its age, or $5 the time that was given to it before, in
/// microseconds. What bears a time that is still to come was written by somebody
/// else, or before the clock was set back: it keeps nobody out. Nor, where that is
/// asked, does a row of a doctor who has no seat: she has no sessions.
fn claim_sql(is_seat_asked: bool) -> String {
    let (held, nobodys) = match is_seat_asked {
        true => (
            format!("WITH held AS MATERIALIZED ({HELD})"),
            format!(
                "OR (presence.doctor <> excluded.doctor AND NOT {})",
                is_held("presence.doctor")
            ),
        ),
        false => (String::new(), String::new()),
    };
    format!(
        "{held}
         INSERT INTO presence (device, doctor, session, answered)
         VALUES ($1, $2, $3, coalesce(
             transaction_timestamp() - $4::bigint * interval '1 microsecond',
             timestamptz 'epoch' + $5::bigint * interval '1 microsecond'))
         ON CONFLICT (device) DO UPDATE
         SET doctor = excluded.doctor, session = excluded.session, answered = excluded.answered
         WHERE presence.session = excluded.session OR presence.answered <= excluded.answered
            OR presence.answered > clock_timestamp() {nobodys}
         RETURNING (extract(epoch FROM answered) * 1000000)::bigint"
    )
}

const BEAT: &str = "
    INSERT INTO node (doctor, started, seen)
    VALUES ($1, clock_timestamp() - $2::bigint * interval '1 microsecond', clock_timestamp())
    ON CONFLICT (doctor) DO UPDATE SET seen = excluded.seen";

/// Deliveries that are looked for at once.
const AT_ONCE: usize = 65_536;

/// The devices of each message, where no more than `most` rows were asked for.
fn by_message(mut rows: Vec<(u64, Device)>, most: usize, up_to: u64) -> OpenUpTo {
    let mut all_up_to = up_to;
    if rows.len() == most
        && let Some(&(last, _)) = rows.last()
    {
        // There may be more devices for the last one.
        rows.retain(|(message, _)| *message < last);
        all_up_to = last - 1;
    }
    let mut open: Vec<(u64, Vec<Device>)> = Vec::new();
    for (message, device) in rows {
        match open.last_mut() {
            Some((last, devices)) if *last == message => devices.push(device),
            _ => open.push((message, vec![device])),
        }
    }
    (open, all_up_to)
}

/// A past time of the server's clock in milliseconds, as [`Timestamp`] reads it.
pub(super) fn millis(column: &str) -> String {
    format!(
        "(extract(epoch FROM {}) * 1000)::bigint",
        bounds::past(column)
    )
}

fn duration(row: &Row, place: usize) -> Result<Duration, StoreFault> {
    Ok(Duration::from_millis(value(row, place)?))
}

/// How long ago something was, in microseconds.
fn age(at: Instant) -> i64 {
    i64::try_from(at.elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// A node that has begun then is the doctor's, and holds these sessions of hers
/// alone.
pub(super) fn begin(
    connection: &mut Connection,
    doctor: &str,
    began: Instant,
    sessions: &[SessionName],
) -> Result<(), StoreFault> {
    let sessions: Vec<&[u8]> = sessions.iter().map(|session| &session[..]).collect();
    let forget = "DELETE FROM presence WHERE doctor = $1 AND session <> ALL ($2::bytea[])";
    connection.execute(forget, &[&doctor, &sessions])?;
    let sql = format!("{BEAT}, started = excluded.started");
    connection.execute(&sql, &[&doctor, &age(began)]).map(drop)
}

/// A node that has begun then runs.
pub(super) fn beat(
    connection: &mut Connection,
    doctor: &str,
    began: Instant,
) -> Result<(), StoreFault> {
    connection.execute(BEAT, &[&doctor, &age(began)]).map(drop)
}

/// The doctor's node is over.
pub(super) fn end(connection: &mut Connection, doctor: &str) -> Result<(), StoreFault> {
    for table in ["presence", "node"] {
        let sql = format!("DELETE FROM {table} WHERE doctor = $1");
        connection.execute(&sql, &[&doctor])?;
    }
    Ok(())
}

impl PostgresStore {
    /// Runs a statement that may be done twice, without waiting for the disk.
    fn jot(&self, sql: &str, params: Params<'_>) -> Result<(), StoreError> {
        self.jot_with(|connection| connection.execute(sql, params).map(drop))
    }

    /// The same of a statement that depends on when it is run, or that answers.
    fn jot_with<T>(
        &self,
        mut statement: impl FnMut(&mut Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreError> {
        self.read(|connection| {
            connection.batch("BEGIN; SET LOCAL synchronous_commit = off")?;
            let done = statement(connection);
            // A connection with half a transaction must not be used again.
            connection.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            done
        })
    }
}

impl NodeStore for PostgresStore {
    fn doctor(&self) -> &str {
        &self.doctor
    }

    fn state(&self) -> Result<([u8; 16], u64), StoreError> {
        let sql = "SELECT identity, has_table_privilege('counter', 'SELECT') FROM telemed_schema";
        self.read(|connection| {
            let Some(row) = connection.first(sql, &[])? else {
                return Err(StoreFault::Foreign);
            };
            let (database, may_count) = (value(&row, 0)?, value(&row, 1)?);
            let last = "SELECT last FROM counter WHERE name = 'message'";
            match may_count {
                true => Ok((database, connection.number(last, &[])?)),
                // An auditor's login.
                false => Ok((database, 0)),
            }
        })
    }

    fn take_seat(
        &self,
        began: Instant,
        sessions: &[SessionName],
    ) -> Result<Box<dyn Seat>, StoreError> {
        self.sit_down(began, sessions)
    }

    fn seat_holder(&self) -> Result<Option<SeatHolder>, StoreError> {
        self.read(|connection| self.holder(connection))
    }

    fn running(&self) -> Result<Vec<NodeRow>, StoreError> {
        let sql = format!(
            "WITH held AS MATERIALIZED ({HELD})
             SELECT doctor, {}, greatest(0, (extract(epoch FROM clock_timestamp() - {})
                 * 1000)::bigint), {}
             FROM node WHERE {} ORDER BY doctor {}",
            millis("started"),
            bounds::past("seen"),
            is_held("node.doctor"),
            bounds::is_name("doctor"),
            bounds::of_members()
        );
        self.rows(&sql, &[], |row| {
            Ok(NodeRow {
                doctor: value(row, 0)?,
                started: value(row, 1)?,
                silent: duration(row, 2)?,
                has_seat: value(row, 3)?,
            })
        })
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Stamp>, StoreError> {
        let (device, session) = (claim.device.as_slice(), claim.session.as_slice());
        self.jot_with(|connection| {
            // How old it is now that the transaction has begun: while a connection
            // or a lock is waited for a newer session may begin elsewhere.
            let (age, stamp) = match claim.answered {
                Answered::Here(at) => (Some(age(at)), None),
                Answered::Stored(Stamp(stamp)) => (None, Some(stamp)),
            };
            let params: Params<'_> = &[&device, &self.doctor, &session, &age, &stamp];
            let row = match connection.first(&claim_sql(false), params)? {
                // A newer one is elsewhere, or somebody has only put its row there.
                None => connection.first(&claim_sql(true), params)?,
                row => row,
            };
            row.map(|row| value(&row, 0).map(Stamp)).transpose()
        })
    }

    fn release(&self, sessions: &[(Device, SessionName)]) -> Result<(), StoreError> {
        let devices: Vec<&[u8]> = sessions.iter().map(|(device, _)| &device[..]).collect();
        let sessions: Vec<&[u8]> = sessions.iter().map(|(_, session)| &session[..]).collect();
        let sql = "DELETE FROM presence
                   USING unnest($1::bytea[], $2::bytea[]) AS given (device, session)
                   WHERE presence.device = given.device AND presence.session = given.session";
        self.jot(sql, &[&devices, &sessions])
    }

    fn release_others(&self, held: &[SessionName]) -> Result<(), StoreError> {
        let held: Vec<&[u8]> = held.iter().map(|session| &session[..]).collect();
        let sql = "DELETE FROM presence
                   WHERE doctor = $1 AND session <> ALL ($2::bytea[])
                     AND NOT answered BETWEEN clock_timestamp() - interval '1 minute'
                                          AND clock_timestamp() + interval '1 minute'";
        self.jot(sql, &[&self.doctor, &held])
    }

    fn unclaimed(&self, claims: &[Claim]) -> Result<Vec<SessionName>, StoreError> {
        let devices: Vec<&[u8]> = claims.iter().map(|claim| &claim.device[..]).collect();
        let sessions: Vec<&[u8]> = claims.iter().map(|claim| &claim.session[..]).collect();
        let sql = "SELECT given.session
                   FROM unnest($1::bytea[], $2::bytea[]) AS given (device, session)
                        LEFT JOIN presence ON presence.device = given.device
                   WHERE presence.session IS DISTINCT FROM given.session";
        let params: Params<'_> = &[&devices, &sessions];
        self.rows(sql, params, |row| value(row, 0))
    }

    fn present(&self) -> Result<Vec<PresenceRow>, StoreError> {
        let sql = format!(
            "SELECT presence.doctor, presence.device, certificate.subject, {}
             FROM presence JOIN certificate ON certificate.fingerprint = presence.device
             WHERE {} AND {}
             ORDER BY presence.doctor, certificate.subject, presence.device",
            millis("presence.answered"),
            bounds::is_name("presence.doctor"),
            bounds::is_name("certificate.subject")
        );
        self.rows(&sql, &[], |row| {
            Ok(PresenceRow {
                doctor: value(row, 0)?,
                device: value(row, 1)?,
                patient: value(row, 2)?,
                since: value(row, 3)?,
            })
        })
    }

    fn stopped(&self, devices: &[Device]) -> Result<Vec<Device>, StoreError> {
        let devices: Vec<&[u8]> = devices.iter().map(|device| &device[..]).collect();
        let sql = "SELECT given.device FROM unnest($1::bytea[]) AS given (device)
                   WHERE NOT EXISTS (SELECT 1 FROM certificate
                                     WHERE certificate.fingerprint = given.device
                                       AND certificate.state = 'active')";
        self.rows(sql, &[&devices], |row| value(row, 0))
    }

    fn open_for(
        &self,
        devices: &[(Device, u64)],
        up_to: u64,
        now: Timestamp,
    ) -> Result<OpenUpTo, StoreError> {
        let given: Vec<i64> = devices.iter().map(|(_, given)| number(*given)).collect();
        let Some(after) = given.iter().min().copied() else {
            return Ok((Vec::new(), up_to));
        };
        // More than one message can have.
        let most = AT_ONCE + devices.len();
        let devices: Vec<&[u8]> = devices.iter().map(|(device, _)| &device[..]).collect();
        // A message to one patient has few recipients, and every node asks for
        // them: it looks at these and not at each device that is connected to it.
        // Of the others, who may be many, it looks for those at its own devices,
        // and only if there is one.
        let sql = "WITH given AS MATERIALIZED (
                       SELECT * FROM unnest($1::bytea[], $2::bigint[]) AS given (device, after)
                   ), candidate AS MATERIALIZED (
                       SELECT number, kind FROM message WHERE number > $5 AND number <= $3
                           AND (expires IS NULL OR expires > $4)
                   )
                   SELECT delivery.message, delivery.device
                   FROM candidate
                        JOIN delivery ON delivery.message = candidate.number AND delivery.open
                        JOIN given ON given.device = delivery.device
                                  AND given.after < delivery.message
                   WHERE candidate.kind = 'private'
                   UNION ALL
                   SELECT delivery.message, delivery.device
                   FROM given
                        JOIN delivery ON delivery.device = given.device AND delivery.open
                                     AND delivery.message > given.after
                                     AND delivery.message <= $3
                        JOIN candidate ON candidate.number = delivery.message
                   WHERE candidate.kind <> 'private'
                     AND EXISTS (SELECT 1 FROM candidate WHERE kind <> 'private')
                   ORDER BY 1 LIMIT $6";
        let params: Params<'_> = &[
            &devices,
            &given,
            &number(up_to),
            &stored_millis(now),
            &after,
            &limit(most),
        ];
        let rows = self.rows(sql, params, |row| Ok((value(row, 0)?, value(row, 1)?)))?;
        Ok(by_message(rows, most, up_to))
    }

    fn newest_incoming(&self) -> Result<u64, StoreError> {
        let sql = "SELECT last FROM counter WHERE name = 'incoming'";
        self.read(|connection| connection.number(sql, &[]))
    }

    fn came_elsewhere(
        &self,
        after: u64,
        up_to: u64,
        limit: usize,
    ) -> Result<Vec<(String, IncomingRow)>, StoreError> {
        incoming::elsewhere(self, after, up_to, limit)
    }

    fn others_patients(&self) -> Result<HashSet<String>, StoreError> {
        let sql = format!(
            "SELECT patient FROM assignment WHERE doctor <> $1 AND {}",
            bounds::is_name("patient")
        );
        let patients = self.rows(&sql, &[&self.doctor], |row| value(row, 0))?;
        Ok(patients.into_iter().collect())
    }

    fn put_roster_entry(&self, entry: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO roster (doctor, entry) VALUES ($1, $2)
                   ON CONFLICT (doctor) DO UPDATE SET entry = excluded.entry";
        self.change(Lock::Shared, sql, &[&self.doctor, &entry])
            .map(drop)
    }

    fn own_roster_entry(&self) -> Result<Option<Vec<u8>>, StoreError> {
        // By its name: rows of others may leave no room for it in a list.
        let sql = format!(
            "SELECT entry FROM roster WHERE doctor = $1 AND {}",
            bounds::is_paper("entry")
        );
        self.first(&sql, &[&self.doctor], |row| value(row, 0))
    }

    fn roster(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = format!(
            "SELECT doctor, entry FROM roster WHERE {} AND {} ORDER BY doctor {}",
            bounds::is_name("doctor"),
            bounds::is_paper("entry"),
            bounds::of_members()
        );
        self.rows(&sql, &[], |row| Ok((value(row, 0)?, value(row, 1)?)))
    }

    fn unfit(&self) -> Result<Vec<(String, u64)>, StoreError> {
        bounds::unfit(self)
    }
}

/// Adds what is told of.
pub(super) fn hear(news: &mut News, table: &str) {
    match table {
        "message" => news.messages = true,
        "certificate" => news.certificates = true,
        "presence" => news.claims = true,
        "assignment" => news.transfers = true,
        "incoming" => news.letters = true,
        "roster" | "fact" => news.papers = true,
        // Of a newer version.
        _ => *news = News::ALL,
    }
}
