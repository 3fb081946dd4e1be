"""The building blocks of docs/protocol.md, sections 1 to 3, in plain Python.

For checking, not for use: nothing here is constant in time. Only the standard
library is needed. FFDHE2048 is computed, not copied, from its definition in
RFC 7919, appendix A.
"""

import hashlib
import hmac as _hmac
from decimal import Decimal, getcontext

L = 256


class Wrong(Exception):
    """Something is not as the protocol says."""


def check(condition, what):
    if not condition:
        raise Wrong(what)


# Section 1: integers and byte strings.


def u(value, size):
    return value.to_bytes(size, "big")


def num(data):
    return int.from_bytes(data, "big")


def lp(size, data):
    return u(len(data), size) + data


def label(text):
    return lp(1, ("tmc1 " + text).encode("ascii"))


class Reader:
    """Reads fields strictly: nothing may be missing and nothing left over."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        check(self.at + size <= len(self.data), "too short")
        self.at += size
        return self.data[self.at - size : self.at]

    def u(self, size):
        return num(self.take(size))

    def lp(self, size):
        return self.take(self.u(size))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        check(self.at == len(self.data), "bytes left over")


# Section 2: hashing, key derivation, sealing.


def H(*parts):
    return hashlib.sha512(b"".join(parts)).digest()


def H32(*parts):
    return H(*parts)[:32]


def hmac(key, *parts):
    return _hmac.new(key, b"".join(parts), hashlib.sha512).digest()


def Ex(salt, ikm):
    return hmac(salt, ikm)


def Xp(prk, name, context, size):
    info, block, out, count = label(name) + context, b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac(prk, block, info, bytes([count]))
        out += block
    return out[:size]


def pad(m):
    size = 256
    while size < len(m) + 1:
        size *= 2
    check(size <= 65536, "too long to seal")
    return m + b"\x80" + bytes(size - len(m) - 1)


def unpad(padded):
    m = padded.rstrip(b"\0")
    check(m[-1:] == b"\x80", "no marker")
    m = m[:-1]
    check(len(pad(m)) == len(padded), "not the bucket")
    return m


def open_box(key, ad, box, counter=0, fresh=None):
    """Opens; with the fresh bytes the IV's derivation is checked as well."""
    check(len(key) == 128 and len(box) >= 64, "lengths")
    mac, enc, iv_key = key[:32], key[32:64], key[64:]
    iv, ciphertext, tag = box[:16], box[16:-32], box[-32:]
    expected = hmac(mac, ad, iv, ciphertext, u(8 * len(ad), 8))[:32]
    check(_hmac.compare_digest(expected, tag), "tag")
    check(len(ciphertext) % 16 == 0 and ciphertext, "blocks")
    plain = cbc_decrypt(enc, iv, ciphertext)
    count = plain[-1]
    check(1 <= count <= 16 and plain[-count:] == bytes([count]) * count, "PKCS #7")
    padded = plain[:-count]
    if fresh is not None:
        check(hmac(iv_key, u(counter, 8), fresh, padded)[:16] == iv, "IV")
    return unpad(padded)


# AES-256, decryption only, as FIPS 197 describes it.


def _xtime(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def _mul(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = _xtime(a), b >> 1
    return product


def _sbox():
    box = []
    for a in range(256):
        inverse = next((b for b in range(256) if _mul(a, b) == 1), 0)
        rotated = (inverse * 0x101010101 >> shift for shift in (0, 4, 5, 6, 7))
        value = 0x63
        for part in rotated:
            value ^= part & 0xFF
        box.append(value)
    return box


_SBOX = _sbox()
_INVERSE = [_SBOX.index(a) for a in range(256)]
_TIMES = {k: [_mul(a, k) for a in range(256)] for k in (9, 11, 13, 14)}


def _round_keys(key):
    words = [list(key[4 * i : 4 * i + 4]) for i in range(8)]
    rcon = 1
    for i in range(8, 60):
        word = list(words[-1])
        if i % 8 == 0:
            word = [_SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = _xtime(rcon)
        elif i % 8 == 4:
            word = [_SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * i : 4 * i + 4], []) for i in range(15)]


def _decrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[14])]
    nine, eleven, thirteen, fourteen = (_TIMES[k] for k in (9, 11, 13, 14))
    for number in range(13, -1, -1):
        # InvShiftRows and InvSubBytes: row r of column c comes from c - r.
        state = [_INVERSE[state[(i - 4 * (i % 4)) % 16]] for i in range(16)]
        state = [a ^ b for a, b in zip(state, keys[number])]
        if number:
            mixed = []
            for c in range(0, 16, 4):
                s = state[c : c + 4]
                for r in range(4):
                    w, x, y, z = s[r], s[(r + 1) % 4], s[(r + 2) % 4], s[(r + 3) % 4]
                    mixed.append(fourteen[w] ^ eleven[x] ^ thirteen[y] ^ nine[z])
            state = mixed
    return bytes(state)


def cbc_decrypt(key, iv, ciphertext):
    keys, plain, before = _round_keys(key), [], iv
    for at in range(0, len(ciphertext), 16):
        block = ciphertext[at : at + 16]
        plain.append(bytes(a ^ b for a, b in zip(_decrypt_block(keys, block), before)))
        before = block
    return b"".join(plain)


# Section 3: the group, keys, signatures.


def _ffdhe2048():
    """2^2048 - 2^1984 + (floor(2^1918 e) + 560316) 2^64 - 1, RFC 7919, A.1."""
    getcontext().prec = 800
    return 2**2048 - 2**1984 + (int(Decimal(1).exp() * 2**1918) + 560316) * 2**64 - 1


P = _ffdhe2048()
Q = (P - 1) // 2
GID = H32(label("group"), u(L, 2), u(P, L), u(2, L))


def jacobi(a, n):
    a, sign = a % n, 1
    while a:
        while a % 2 == 0:
            a //= 2
            if n % 8 in (3, 5):
                sign = -sign
        a, n = n, a
        if a % 4 == 3 and n % 4 == 3:
            sign = -sign
        a %= n
    return sign if n == 1 else 0


def element(data):
    check(len(data) == L, "element length")
    value = num(data)
    check(1 < value < P - 1, "element range")
    check(jacobi(value, P) == 1, "no square")
    return value


def public(secret):
    return u(pow(2, num(secret), P), L)


def agree(secret, theirs):
    check(len(secret) == 32 and secret[0] & 0x80, "exponent")
    return u(pow(element(theirs), num(secret), P), L)


def verify(y, name, msg, signature):
    value = element(y)
    check(len(signature) == 2 * L, "signature length")
    r, s = num(signature[:L]), num(signature[L:])
    check(1 < r < P - 1 and r % Q != 0 and 0 < s < Q, "signature range")
    check(jacobi(r, P) == 1, "r is no square")
    e = num(H(label(name), GID, y, signature[:L], lp(4, msg)))
    check(e % Q != 0, "e")
    equal = pow(2, e, P) == pow(value, r, P) * pow(r, s, P) % P
    check(equal, "signature of " + name)


def nonce_point(x, name, msg, fresh):
    """r of the signature this implementation makes with these fresh bytes."""
    seed = x + H(label(name), GID, public(x), lp(4, msg)) + fresh + label("sign nonce")
    key, value = bytes(64), b"\x01" * 64
    for mark in (b"\0", b"\1"):
        key = hmac(key, value, mark, seed)
        value = hmac(key, value)
    out = b""
    while len(out) < 272:
        value = hmac(key, value)
        out += value
    return u(pow(2, num(out[:272]) % Q, P), L)
