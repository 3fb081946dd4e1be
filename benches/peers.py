#!/usr/bin/env python3
"""Measures what others do for the same job beside our own server, in the same
run. `make bench-peers` builds what it needs of ours.

    benches/peers.py handshakes    TLS 1.3 of OpenSSL, certificates on both sides
    benches/peers.py broadcasts    Mosquitto and NATS over TLS 1.3; -n 100 -n 1000 ...

The peers neither sign what they send nor keep anything on the disk.

Needs a C compiler, python3 and, on Debian, the packages libssl-dev, openssl,
mosquitto and nats-server; for 5,000 patients a limit of 12,000 open files.
"""

import argparse
import contextlib
import json
import os
import pwd
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PLACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The server's and the clients' certificates.
RSA = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]
P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]


def fail(sentence):
    sys.exit(f"peers.py: {sentence}")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def quietly(*command):
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compiled(name, directory):
    """A program of ours that talks to a peer."""
    source = os.path.join(PLACE, "benches", "peers", f"{name}.c")
    program = os.path.join(directory, name)
    subprocess.run(["cc", "-O2", source, "-o", program, "-lssl", "-lcrypto"], check=True)
    return program


def certified(algorithm, directory):
    """Throw-away certificates for a server and a client."""
    os.makedirs(directory, exist_ok=True)
    at = lambda name: os.path.join(directory, name)
    for who in ["ca", "server", "client"]:
        quietly("openssl", "genpkey", *algorithm, "-out", at(f"{who}.key"))
    quietly("openssl", "req", "-x509", "-new", "-key", at("ca.key"), "-sha256",
            "-subj", "/CN=ca", "-days", "30", "-out", at("ca.pem"))
    for who in ["server", "client"]:
        quietly("openssl", "req", "-new", "-key", at(f"{who}.key"), "-subj", f"/CN={who}",
                "-out", at(f"{who}.csr"))
        quietly("openssl", "x509", "-req", "-in", at(f"{who}.csr"), "-CA", at("ca.pem"),
                "-CAkey", at("ca.key"), "-CAcreateserial", "-sha256", "-days", "30",
                "-out", at(f"{who}.pem"))
    return directory


def load(args, patients, *arguments):
    """The lines that examples/load prints."""
    program = os.path.join(args.built, "examples", "load")
    if not os.path.exists(program):
        fail(f"there is no '{program}'; 'make bench-peers' builds it")
    lines = output(program, "--patients", str(patients), "--json", *arguments)
    return [json.loads(line) for line in lines.splitlines()]


def handshakes(args, directory):
    print(output("openssl", "version").strip())
    program = compiled("tls_handshake", directory)
    rsa = certified(RSA, os.path.join(directory, "rsa"))
    ours = {line["what"]: line["server_cpu_ms"] for line in load(args, 500, "--broadcasts", "1")
            if "server_cpu_ms" in line}
    print(f"{'server, ms of processor time':44} {'peer':>8} {'telemed':>8} {'ratio':>6}")
    for name, mode, what in [("TLS 1.3, RSA-3072 twice, ffdhe3072", "full", "full handshake"),
                             ("TLS 1.3, PSK with ffdhe3072", "resume", "resumption")]:
        runs = [json.loads(output(program, rsa, "ffdhe3072", mode, "5", "4")) for _ in range(3)]
        peer = sorted(run["server_cpu_ms"] for run in runs)[1]
        print(f"{name:44} {peer:8.2f} {ours[what]:8.2f} {ours[what] / peer:6.2f}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def broker(kind, directory):
    """A fresh broker that demands certificates: its port and process."""
    port, path = free_port(), lambda name: os.path.join(directory, name)
    if kind == "mosquitto":
        lines = [f"user {pwd.getpwuid(os.getuid()).pw_name}", "persistence false", "log_dest none",
                 "allow_anonymous true", "set_tcp_nodelay true", f"listener {port} 127.0.0.1",
                 f"cafile {path('ca.pem')}", f"certfile {path('server.pem')}",
                 f"keyfile {path('server.key')}", "require_certificate true"]
    else:
        lines = ["host: 127.0.0.1", f"port: {port}", "logtime: false",
                 f"tls {{ cert_file: \"{path('server.pem')}\", key_file: \"{path('server.key')}\", "
                 f"ca_file: \"{path('ca.pem')}\", verify: true, timeout: 10 }}"]
    with open(path("conf"), "w") as conf:
        conf.write("\n".join(lines) + "\n")
    program = shutil.which(kind, path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        fail(f"there is no program '{kind}' here; install Debian's package of that name")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, "-c", path("conf")], **quiet)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            fail(f"{kind} does not listen")
        yield port, process
    finally:
        process.kill()
        process.wait()


def broadcasts(args, directory):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    program = compiled("broker_clients", directory)
    ec = certified(P256, os.path.join(directory, "ec"))
    print(f"{'N':>6} {'':10} {'p50, ms':>8} {'p99, ms':>8} {'ms per 1,000':>12} {'KiB each':>9} {'after':>6}")
    row = "{:6} {:10} {:8.1f} {:8.1f} {:12.1f} {:9.1f} {:6.1f}".format
    for patients in args.n or [100, 1000, 5000]:
        for kind, protocol in [("mosquitto", "mqtt"), ("nats-server", "nats")]:
            with broker(kind, ec) as (port, process):
                line = json.loads(output(program, protocol, ec, str(port), str(process.pid),
                                         str(patients), "50", "200"))
            print(row(patients, kind, line["answered_ms"]["p50"], line["answered_ms"]["p99"],
                      line["cpu_ms_per_1000"], line["kib_each"], line["kib_each_after"]))
        lines = load(args, patients, "--size", "200")
        sent = next(line for line in lines if line["what"] == "broadcast")
        kib = [line["kib_each"] for line in lines if line["what"] == "memory"]
        print(row(patients, "telemed", sent["committed_ms"]["p50"], sent["committed_ms"]["p99"],
                  sent["server_cpu_ms_per_1000"], kib[0], kib[-1]), flush=True)


def main():
    parser = argparse.ArgumentParser(description="our server beside others, in one run")
    parser.add_argument("what", choices=["handshakes", "broadcasts"])
    parser.add_argument("-n", type=int, action="append", help="patients (100, 1000 and 5000)")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(PLACE, "target"))
    parser.add_argument("--built", default=os.path.join(target, "release"),
                        help="where the programs are (target/release)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        {"handshakes": handshakes, "broadcasts": broadcasts}[args.what](args, directory)


if __name__ == "__main__":
    main()
