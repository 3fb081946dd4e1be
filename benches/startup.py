#!/usr/bin/env python3
"""Times how long the programs take to start, with an existing data directory
and unsealed keys: `doctor` until it serves, `patient inbox` until it has ended,
with the doctor's server there and without.

    benches/startup.py [--rounds 21] [--bin target/release]
"""

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

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


def show(what, times, target):
    clock, spent = (sorted(1e3 * seconds for seconds in column) for column in zip(*times))
    print(
        f"| {what} | {statistics.median(clock):.1f} | {clock[0]:.1f} to {clock[-1]:.1f} |"
        f" {statistics.median(spent):.1f} | {target or '-'} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, help="how often each thing is done (default 21)")
    parser.add_argument("--bin", help="where the programs are (default: target/release, built if need be)")
    args = parser.parse_args()
    if not args.bin:
        subprocess.run(["cargo", "build", "--locked", "--release", "--bins"], cwd=PLACE, check=True)
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
        starts = []
        for _ in range(args.rounds):
            again = Doctor(doctor, address)
            starts.append(again.started)
            again.stop()
        print("| what | median, ms | least to most | processor, ms | at most |")
        print("| --- | ---: | ---: | ---: | ---: |")
        show("`doctor` until it serves", starts, 200)
        show("`patient inbox`, without the server", without, 50)
        show("`patient inbox`, with a full handshake and what is new", with_server, None)


if __name__ == "__main__":
    main()
