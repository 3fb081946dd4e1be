#!/usr/bin/env python3
"""Times how long the programs take to start, with an existing data directory
and unsealed keys: `doctor` until it serves, `patient inbox` until it has ended,
with the doctor's server there and without. Then `doctor` once more with many
old messages in its books.

    benches/startup.py [--rounds 21] [--messages 1000000] [--bin target/release]
"""

import argparse
import os
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

# Patients who got the old messages, and how many of these went to all of them.
PATIENTS, BROADCASTS = 5_000, 200

# Patients whose certificates nobody will use, and messages that have arrived:
# most of them private, each to one device, the others to all.
GROW = """
PRAGMA cache_size = -400000;
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {patients})
INSERT INTO certificate (serial, fingerprint, subject, bytes, state, created, not_after)
SELECT randomblob(16), randomblob(32), 'Old' || i, randomblob(1706), 'active', 1, 9000000000000
FROM n;
CREATE TEMP TABLE device AS
SELECT row_number() OVER (ORDER BY fingerprint) - 1 AS i, fingerprint, subject
FROM certificate WHERE created = 1;
CREATE UNIQUE INDEX temp.device_i ON device (i);
CREATE UNIQUE INDEX temp.device_subject ON device (subject);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {messages})
INSERT INTO message (id, kind, patient, urgent, written, sealed)
SELECT randomblob(16), iif(n.i % {every} = 0, 'broadcast', 'private'),
       iif(n.i % {every} = 0, NULL, device.subject), 0, 1000 + n.i, randomblob(336)
FROM n CROSS JOIN device WHERE device.i = n.i % {patients};
INSERT INTO delivery (message, device, patient, queued, sent, delivered, open)
SELECT message.number, device.fingerprint, device.subject, 1000, 1001, 1002, 0
FROM message CROSS JOIN device ON device.subject IS message.patient
WHERE message.written < 1000 + {messages};
INSERT INTO delivery (message, device, patient, queued, sent, delivered, open)
SELECT message.number, device.fingerprint, device.subject, 1000, 1001, 1002, 0
FROM message CROSS JOIN device
WHERE message.written < 1000 + {messages} AND message.kind = 'broadcast';
COMMIT;
"""

PLACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Doctor:
    """A running server; `started` is how long it took, on the clock and of the
    processor, in seconds."""

    def __init__(self, command, address):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--listen", address, "serve"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if "is serving on " in line:
                self.started = time.monotonic() - begun, self.spent()
                self.address = line.rsplit(" ", 1)[1].strip()
                return
        sys.exit("startup.py: the server ended at once: " + "".join(said))

    def spent(self):
        """The processor's time of all its threads (proc(5), schedstat)."""
        tasks = f"/proc/{self.process.pid}/task"
        spent = 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent / 1e9

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.read()
        self.process.wait()


def run(command, **options):
    """Runs a command that is to succeed; gives its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"startup.py: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def timed(command, rounds):
    """Seconds on the clock and of the processor for each run. A run may find the
    server away."""
    times = []
    for _ in range(rounds):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        clock, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        times.append((clock, spent))
    return times


def grow(database, messages):
    """Puts old messages into the books of a server that does not run."""
    every = max(1, messages // BROADCASTS)
    books = sqlite3.connect(database, isolation_level=None)
    books.executescript(GROW.format(patients=PATIENTS, messages=messages, every=every))
    books.close()


def starts(command, address, rounds):
    times = []
    for _ in range(rounds):
        doctor = Doctor(command, address)
        times.append(doctor.started)
        doctor.stop()
    return times


def show(what, times, target):
    clock, spent = (sorted(1e3 * seconds for seconds in column) for column in zip(*times))
    print(
        f"| {what} | {statistics.median(clock):.1f} | {clock[0]:.1f} to {clock[-1]:.1f} |"
        f" {statistics.median(spent):.1f} | {target or '-'} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, help="how often each thing is done (default 21)")
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many old ones (default 1000000)")
    parser.add_argument("--bin", help="where the programs are (default: target/release, built if need be)")
    args = parser.parse_args()
    if not args.bin:
        subprocess.run(["make", "build"], cwd=PLACE, check=True)
        args.bin = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(PLACE, "target")), "release")
    with tempfile.TemporaryDirectory() as base:
        doctor = [os.path.join(args.bin, "doctor"), "--data", f"{base}/doctor", "--id", "D1", "--plain-keys"]
        patient = [os.path.join(args.bin, "patient"), "--data", f"{base}/patient", "--plain-keys"]
        first = Doctor(doctor, "127.0.0.1:0")
        address = first.address
        ticket = run([*doctor, "enrol", "P1"]).split()[0]
        run([*patient, "enrol", "-"], input=ticket + "\n")
        inbox = [*patient, "--id", "P1", "inbox"]
        run([*doctor, "broadcast", "the practice is closed on Monday"])
        run(inbox)
        with_server = timed(inbox, args.rounds)
        first.stop()
        without = timed(inbox, args.rounds)
        existing = starts(doctor, address, args.rounds)
        grow(f"{base}/doctor/D1/telemed.db", args.messages)
        grown = starts(doctor, address, args.rounds)
        print("| what | median, ms | least to most | processor, ms | at most |")
        print("| --- | ---: | ---: | ---: | ---: |")
        show("`doctor` until it serves", existing, 200)
        show(f"the same with {args.messages:,} old messages", grown, 200)
        show("`patient inbox`, without the server", without, 50)
        show("`patient inbox`, with a full handshake and what is new", with_server, 50)


if __name__ == "__main__":
    main()
