#!/usr/bin/env python3
"""Times OpenSSL beside our own benchmarks, in turns, so that both have the same
good and bad moments of the machine; prints the ratios.

    benches/openssl.py sealing     AES-256-CBC with HMAC-SHA-512, 64 KiB
    benches/openssl.py primes      safe primes of 2048 bits, one core each

Needs the program `openssl`; uses what `cargo bench` builds.
"""

import argparse
import json
import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

PLACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def fail(sentence):
    sys.exit(f"openssl.py: {sentence}")


def built(bench, args):
    """The benchmark's program, built if need be."""
    if args.program:
        return args.program
    # The programs are built, too: as `make build` does it.
    command = ["cargo", "bench", "--locked", "--features", "postgres", "--no-run", "--bench", bench]
    command += ["--message-format", "json-render-diagnostics"]
    lines = subprocess.run(command, cwd=PLACE, check=True, stdout=subprocess.PIPE, text=True)
    for line in lines.stdout.splitlines():
        artifact = json.loads(line)
        if artifact.get("executable") and artifact["target"]["name"] == bench:
            return artifact["executable"]
    fail(f"cargo has built no benchmark {bench}")


def ours(program, *arguments):
    """The lines that a benchmark of ours prints."""
    command = [program, "--bench", "--json", *arguments]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in lines.stdout.splitlines() if line.startswith("{")]


def speed(algorithm, size, *arguments):
    """The rate that `openssl speed` gives, in MB a second of processor time."""
    command = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(size)]
    command += [*arguments, "-evp", algorithm]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found = re.search(r"^\+F:\d+:[^:]*:([0-9.]+)", run.stdout, re.MULTILINE)
    if not found:
        fail(f"'{' '.join(command)}' printed no rate")
    return float(found[1]) / 1e6


def together(*rates):
    """The rate of several passes over the same bytes, one after the other."""
    return 1 / sum(1 / rate for rate in rates)


def sealing(args):
    program, size = built("sealing", args), 1 << 16
    rows, parts = {"seal": [], "open": []}, []
    for _ in range(args.rounds):
        own = {line["what"]: line["mb_per_second"] for line in ours(program, "--quick", "--bytes", str(size))}
        encrypt = speed("aes-256-cbc", size)
        decrypt = speed("aes-256-cbc", size, "-decrypt")
        sha = speed("sha512", size)
        parts.append((encrypt, decrypt, sha, own["HMAC-SHA-512"]))
        for what, cipher in [("seal", encrypt), ("open", decrypt)]:
            mine, theirs = own[f"A256CBC-HS512 {what}"], together(cipher, sha)
            rows[what].append((mine, theirs, mine / theirs))
    print("| 64 KiB | ours, MB/s | OpenSSL, MB/s | ratio | at least |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for what, row in rows.items():
        mine, theirs, ratio = (statistics.median(column) for column in zip(*row))
        print(f"| {what} | {mine:.0f} | {theirs:.0f} | {ratio:.2f} | 0.75 |")
    encrypt, decrypt, sha, own_sha = (statistics.median(column) for column in zip(*parts))
    print(
        f"\nOpenSSL alone: aes-256-cbc {encrypt:.0f} MB/s, decrypting {decrypt:.0f}, sha512 {sha:.0f};"
        f" our HMAC-SHA-512 {own_sha:.0f}. Medians of {args.rounds} rounds."
    )


def one_dhparam(bits):
    """Processor seconds of one `openssl dhparam`, and how many candidates it
    has tried by exponentiation: it prints a dot for each."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(["openssl", "dhparam", "-2", str(bits)], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, run.stderr.count(".")


def expected_by_openssl(bits):
    """How many candidates OpenSSL 3 tests on average: it tries p and (p - 1)/2
    by division with so many of the least primes (crypto/bn/bn_prime.c,
    calc_trial_divisions), and Mertens' third theorem says what is left."""
    count = 64 if bits <= 512 else 128 if bits <= 1024 else 384 if bits <= 2048 else 1024
    found, number = [2], 3
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 2
    euler = 0.5772156649
    chance = math.exp(euler) * math.log(found[-1]) / (bits * math.log(2))
    return 1 / chance**2


def primes(args):
    program, found, lines = built("safe_primes", args), [], []
    begun = time.monotonic()
    while len(found) < 3 or time.monotonic() - begun < args.seconds:
        found.append(one_dhparam(args.bits))
        lines += ours(program, "--bits", str(args.bits), "--seconds", "5")
    own = statistics.median(line["expected_seconds"] for line in lines)
    mean = statistics.mean(seconds for seconds, _ in found)
    # The time until the first find is exponential, and so is its spread: the
    # mean of n strays by its n-th root.
    stray = mean / math.sqrt(len(found))
    candidates = sum(count for _, count in found)
    each = sum(seconds for seconds, _ in found) / candidates
    expected = each * expected_by_openssl(args.bits)
    print(f"| safe prime of {args.bits} bits, one core | seconds | ours to that, at most 0.7 |\n| --- | ---: | ---: |")
    print(f"| ours, expected | {own:.2f} | |")
    print(f"| OpenSSL, expected the same way | {expected:.2f} | {own / expected:.3f} |")
    print(f"| OpenSSL, mean of {len(found)} searches | {mean:.2f} ± {stray:.2f} | {own / mean:.3f} |")
    print(f"\nOpenSSL has tested {candidates} candidates in {1e3 * each:.2f} ms each.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["sealing", "primes"])
    parser.add_argument("--rounds", type=int, default=7, help="of the sealing (default 7)")
    parser.add_argument("--bits", type=int, default=2048, help="of the primes (default 2048)")
    parser.add_argument("--seconds", type=float, default=300, help="how long to search for primes (default 300)")
    parser.add_argument("--program", help="the benchmark of ours, built already (default: build it)")
    args = parser.parse_args()
    if not shutil.which("openssl"):
        fail("there is no program 'openssl' on this machine: install it (apt-get install openssl), or do without this comparison")
    version = subprocess.run(["openssl", "version"], check=True, stdout=subprocess.PIPE, text=True)
    print(version.stdout.strip() + "\n")
    {"sealing": sealing, "primes": primes}[args.what](args)


if __name__ == "__main__":
    main()
