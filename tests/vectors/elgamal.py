#!/usr/bin/env python3
"""ElGamal signatures and key encapsulation of tmc1, written a second time.

Nothing here is shared with the Rust code: the groups are computed from the
formula of RFC 7919, the arithmetic is Python's own. Only the standard library
is needed.

    elgamal.py make   prints vectors, the same ones every time
    elgamal.py check  reads vectors from standard input, checks each one, says
                      how many there were; exit status 1 if one is wrong

A vector is a block of lines "name = value", blocks are separated by an empty
line. Bytes are hexadecimal.
"""

import hashlib
import hmac
import sys


def e_digits(bits):
    """floor(2^bits * e), from the series of 1/n!."""
    guard = 64
    term, total, n = 1 << (bits + guard), 0, 0
    while term:
        total += term
        n += 1
        term //= n
    return total >> guard


def ffdhe(bits, x):
    """RFC 7919, appendix A: the prime of the group of this size."""
    return (
        2**bits - 2 ** (bits - 64) + ((e_digits(bits - 130) + x) << 64) - 1
    )


GROUPS = {
    "ffdhe2048": ffdhe(2048, 560316),
    "ffdhe3072": ffdhe(3072, 2625351),
    "ffdhe4096": ffdhe(4096, 5736041),
}
SHORT = {256: 256, 384: 320, 512: 384}
G = 2


def size(p):
    return p.bit_length() // 8


def octets(n, p):
    return n.to_bytes(size(p), "big")


def number(b):
    return int.from_bytes(b, "big")


def sha512(*parts):
    return hashlib.sha512(b"".join(parts)).digest()


def label(text):
    return bytes([len(text)]) + text.encode()


def group_id(p):
    return sha512(
        label("tmc1 group"), size(p).to_bytes(2, "big"), octets(p, p), octets(G, p)
    )[:32]


def is_square(n, p):
    """Euler's criterion, where the Rust code computes a Jacobi symbol."""
    return pow(n, (p - 1) // 2, p) == 1


def is_element(b, p):
    return len(b) == size(p) and 1 < number(b) < p - 1 and is_square(number(b), p)


def challenge(p, domain, y, r, message):
    """What is hashed; r is empty while there is none."""
    return sha512(
        label(domain), group_id(p), y, r, len(message).to_bytes(4, "big"), message
    )


def hmac_drbg(seed, length):
    """NIST SP 800-90A, 10.1.2, one output right after instantiation."""

    def mac(key, data):
        return hmac.new(key, data, hashlib.sha512).digest()

    key, value = bytes(64), b"\x01" * 64
    for turn in (b"\x00", b"\x01"):
        key = mac(key, value + turn + seed)
        value = mac(key, value)
    output = b""
    while len(output) < length:
        value = mac(key, value)
        output += value
    return output[:length]


def sign(p, x, domain, message, fresh):
    q = (p - 1) // 2
    y = octets(pow(G, x, p), p)
    seed = (
        octets(x, p)
        + challenge(p, domain, y, b"", message)
        + fresh
        + label("tmc1 sign nonce")
    )
    k = number(hmac_drbg(seed, size(p) + 16)) % q
    r = pow(G, k, p)
    e = number(challenge(p, domain, y, octets(r, p), message))
    s = (e - x * r) * pow(k, -1, q) % q
    return octets(r, p) + octets(s, p)


def verify(p, domain, y, message, signature):
    q = (p - 1) // 2
    if len(signature) != 2 * size(p):
        return False
    r, s = number(signature[: size(p)]), number(signature[size(p) :])
    if not (1 < r < p - 1 and r % q != 0 and 0 < s < q and is_square(r, p)):
        return False
    e = number(challenge(p, domain, y, octets(r, p), message))
    if e % q == 0:
        return False
    return pow(G, e, p) == pow(number(y), r, p) * pow(r, s, p) % p


# Making vectors


def stream():
    """Bytes that are the same in every run."""
    count = 0
    while True:
        yield from sha512(b"telemed test vectors", count.to_bytes(8, "big"))
        count += 1


STREAM = stream()


def draw(length):
    return bytes(next(STREAM) for _ in range(length))


def block(kind, **values):
    print("kind =", kind)
    for name, value in values.items():
        text = value.hex() if isinstance(value, bytes) else value
        print(f"{name} = {text}".rstrip())
    print()


def make_elements(name, p):
    square = pow(G, number(draw(32)), p)
    values = {
        "a square": (octets(square, p), "yes"),
        "the generator": (octets(G, p), "yes"),
        "zero": (octets(0, p), "no"),
        "one": (octets(1, p), "no"),
        "p - 1": (octets(p - 1, p), "no"),
        "p": (octets(p, p), "no"),
        "p + 1": (octets(p + 1, p), "no"),
        "p + a square": (octets(p + 4, p), "no"),
        "not a square": (octets(p - square, p), "no"),
        "a byte short": (octets(square, p)[1:], "no"),
        "a zero byte before": (b"\x00" + octets(square, p), "no"),
        "a zero byte after": (octets(square, p) + b"\x00", "no"),
        "nothing": (b"", "no"),
    }
    for note, (value, valid) in values.items():
        block("element", note=note, group=name, value=value, valid=valid)


def make_signatures(name, p):
    q = (p - 1) // 2
    domain, other_domain = "tmc1 sig M1", "tmc1 sig M2"
    for message in (b"", b"a message", draw(1000)):
        x, fresh = number(draw(size(p) + 16)) % q, draw(32)
        y = octets(pow(G, x, p), p)
        made = sign(p, x, domain, message, fresh)
        block(
            "signature", note="good", group=name, domain=domain, key=y,
            secret=octets(x, p), fresh=fresh, message=message, signature=made,
            valid="yes",
        )
    r, s = number(made[: size(p)]), number(made[size(p) :])
    stranger = octets(pow(G, number(draw(size(p))), p), p)
    pair = lambda r, s: octets(r, p) + octets(s, p)
    bad = {
        "another message": (domain, y, message + b"\x00", made),
        "another domain": (other_domain, y, message, made),
        "another key": (domain, stranger, message, made),
        "a bit of r flipped": (domain, y, message, pair(r ^ 1, s)),
        "a bit of s flipped": (domain, y, message, pair(r, s ^ 1)),
        "r is 0": (domain, y, message, pair(0, s)),
        "r is 1": (domain, y, message, pair(1, s)),
        "r is p - 1": (domain, y, message, pair(p - 1, s)),
        "r is q": (domain, y, message, pair(q, s)),
        "r is not a square": (domain, y, message, pair(p - r, s)),
        "s is 0": (domain, y, message, pair(r, 0)),
        "s is q": (domain, y, message, pair(r, q)),
        "q added to s": (domain, y, message, pair(r, s + q)),
        "s negated": (domain, y, message, pair(r, q - s)),
        "r and s exchanged": (domain, y, message, pair(s, r % q)),
        "a byte short": (domain, y, message, made[:-1]),
        "a byte more": (domain, y, message, made + b"\x00"),
        "empty": (domain, y, message, b""),
    }
    for note, (domain, y, message, signature) in bad.items():
        block(
            "signature", note=note, group=name, domain=domain, key=y,
            message=message, signature=signature, valid="no",
        )


def make_encapsulations(name, p):
    bits = SHORT[size(p)]
    leading_zero = False
    count = 0
    while count < 3 or not leading_zero:
        ours = number(draw(bits // 8)) | 1 << (bits - 1)
        theirs = number(draw(bits // 8)) | 1 << (bits - 1)
        shared = octets(pow(G, ours * theirs, p), p)
        if count >= 3 and shared[0]:
            continue
        leading_zero |= shared[0] == 0
        count += 1
        block(
            "encapsulation", group=name, secret=ours.to_bytes(bits // 8, "big"),
            public=octets(pow(G, ours, p), p), theirs=octets(pow(G, theirs, p), p),
            shared=shared,
        )


def make():
    print("# Made by elgamal.py, which shares nothing with the Rust code.\n")
    for name in ("ffdhe2048", "ffdhe3072"):
        p = GROUPS[name]
        block("group", group=name, prime=octets(p, p), id=group_id(p))
        make_elements(name, p)
        make_signatures(name, p)
        make_encapsulations(name, p)


# Checking vectors


def is_right(vector):
    kind, p = vector["kind"], GROUPS[vector["group"]]
    value = lambda name: bytes.fromhex(vector[name])
    if kind == "group":
        return value("prime") == octets(p, p) and value("id") == group_id(p)
    if kind == "element":
        return is_element(value("value"), p) == (vector["valid"] == "yes")
    if kind == "signature":
        key, message = value("key"), value("message")
        domain, signature = vector["domain"], value("signature")
        valid = is_element(key, p) and verify(p, domain, key, message, signature)
        if "fresh" in vector:
            x = number(value("secret"))
            if signature != sign(p, x, domain, message, value("fresh")):
                return False
        return valid == (vector["valid"] == "yes")
    if kind == "encapsulation":
        a = number(value("secret"))
        return (
            a.bit_length() == SHORT[size(p)]
            and value("public") == octets(pow(G, a, p), p)
            and is_element(value("theirs"), p)
            and value("shared") == octets(pow(number(value("theirs")), a, p), p)
        )
    return False


def check():
    wrong = count = 0
    for text in sys.stdin.read().split("\n\n"):
        lines = [line for line in text.splitlines() if line and line[0] != "#"]
        if not lines:
            continue
        vector = dict(line.replace(" =", " = ", 1).split(" = ", 1) for line in lines)
        vector = {name: value.strip() for name, value in vector.items()}
        count += 1
        if not is_right(vector):
            wrong += 1
            print("wrong:", vector.get("kind"), vector.get("note", ""))
    print(f"{count} vectors, {wrong} wrong")
    return wrong == 0 and count > 0


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif sys.argv[1:] == ["check"]:
        sys.exit(0 if check() else 1)
    else:
        sys.exit(__doc__)
