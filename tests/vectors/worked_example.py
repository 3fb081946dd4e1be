#!/usr/bin/env python3
"""Opens docs/worked-example.txt from the secrets in it.

Written from docs/protocol.md alone, as somebody would who writes a patient in
another language. Every key is derived anew, every box opened, every signature
and MAC checked, on both sides where both can. Usage:

    python3 tests/vectors/worked_example.py [docs/worked-example.txt]

Ends with 0 if everything agrees. Numbers in brackets are sections of
docs/protocol.md.
"""

import sys

sys.dont_write_bytecode = True

from tmc1 import GID, H, H32, L, Ex, Reader, Wrong, Xp, agree, check, element
from tmc1 import hmac, label, lp, nonce_point, num, open_box, public, u, verify

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ROOT, DOCTOR, PATIENT = 1, 2, 3


def load(path):
    values, name = {}, None
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("  "):
            values[name] += bytes.fromhex(line.strip())
        elif line and not line.startswith("#"):
            if " : " in line:
                name, text = line.split(" : ", 1)
                values[name] = text
            else:
                name, _, text = line.partition(" =")
                check(name not in values, "twice: " + name)
                values[name] = bytes.fromhex(text.strip())
    return values


class Example:
    """The named values; each comparison is counted."""

    def __init__(self, path):
        self.values, self.compared = load(path), 0

    def __getitem__(self, name):
        return self.values[name]

    def same(self, name, value):
        check(self.values[name] == value, "another value: " + name)
        self.compared += 1
        return value


# Frames [5] and signed papers [4].


def frame(data, opcode, sub):
    reader = Reader(data)
    check(reader.u(4) == len(data) - 4, "frame length")
    check(reader.take(3) == bytes([1, opcode, sub]), "frame header")
    return reader


def key_id(y):
    return H32(label("key id"), y)


def certificate(data, role, issuer, clinic=None):
    r = Reader(data)
    check(r.u(1) == 1, "version")
    c = {"serial": r.take(16), "clinic": r.take(16), "issuer": r.take(32)}
    c["subject"] = r.take(32).rstrip(b"\0").decode("ascii")
    check(r.u(1) == role and r.take(32) == GID, "role and group")
    c["from"], c["to"] = r.u(8), r.u(8)
    c["y_s"] = r.take(L)
    element(c["y_s"])
    if role == PATIENT:
        c["y_e"] = r.take(L)
        element(c["y_e"])
        check(c["y_e"] != c["y_s"], "one key twice")
    signed, signature = data[: r.at], r.take(2 * L)
    r.end()
    signer = issuer["y_s"] if issuer else c["y_s"]
    check(c["issuer"] == key_id(signer), "issuer")
    check(clinic in (None, c["clinic"]) and c["from"] <= c["to"], "clinic, dates")
    verify(signer, "cert", signed, signature)
    return c | {"bytes": data, "fp": H32(data), "signed": signed, "sig": signature}


def prekey(data, doctor):
    r = Reader(data)
    check(r.u(1) == 1 and r.take(32) == key_id(doctor["y_s"]), "prekey's doctor")
    begin, end = r.u(8), r.u(8)
    y_e = r.take(L)
    element(y_e)
    signed, signature = data[: r.at], r.take(2 * L)
    r.end()
    check(0 <= end - begin <= 30 * 86_400_000, "prekey's dates")
    verify(doctor["y_s"], "prekey", signed, signature)
    return {"bytes": data, "y_e": y_e, "signed": signed, "sig": signature}


def revoked(data, root):
    r = Reader(data)
    check(r.u(1) == 1 and r.take(16) == root["clinic"], "list's clinic")
    number, _made, serials = r.u(8), r.u(8), r.lp(2)
    serials = [serials[i : i + 16] for i in range(0, len(serials), 16)]
    check(all(a < b for a, b in zip(serials, serials[1:])), "order of serials")
    signed, signature = data[: r.at], r.take(2 * L)
    r.end()
    verify(root["y_s"], "revoked", signed, signature)
    return {"number": number, "serials": serials, "signed": signed, "sig": signature}


def signed_with(x, fresh, name, msg, signature):
    check(nonce_point(x, name, msg, fresh) == signature[:L], "nonce of " + name)


def clinic(v):
    v.same("gid", GID)
    root = certificate(v["root"], ROOT, None)
    doctor = certificate(v["cert_D"], DOCTOR, root, root["clinic"])
    pre, rev = prekey(v["prekey"], doctor), revoked(v["revoked"], root)
    for name, cert in (("root", root), ("cert_D", doctor)):
        v.same(name + ".serial", cert["serial"])
        v.same("FP(%s)" % name, cert["fp"])
        v.same("key_id(%s)" % name, key_id(cert["y_s"]))
        check(public(v[name + ".x_s"]) == cert["y_s"], "x_s of " + name)
        signed_with(v["root.x_s"], v[name + ".sig.fresh"], "cert", cert["signed"], cert["sig"])
    v.same("clinic", root["clinic"])
    check((root["subject"], doctor["subject"]) == ("root", "D1"), "subjects")
    check(public(v["prekey.x_e"]) == pre["y_e"], "x_e of the prekey")
    signed_with(v["cert_D.x_s"], v["prekey.sig.fresh"], "prekey", pre["signed"], pre["sig"])
    signed_with(v["root.x_s"], v["revoked.sig.fresh"], "revoked", rev["signed"], rev["sig"])
    v.same("kid", H(v["prekey"])[:8])
    check((rev["number"], rev["serials"]) == (0, []), "the first list")
    return root, doctor, pre


def random_stream(v):
    """Whatever was drawn must come from the stream, in the order of the file."""
    seed = v["seed"].encode()
    stream = b"".join(H(seed, u(block, 8)) for block in range(300))
    at = 0
    for name, value in v.values.items():
        if name.endswith((".fresh", ".RN", ".nonce", ".token", ".tid", ".secret", ".R", ".id")):
            at = stream.find(value, at)
            check(at >= 0, "not from the stream: " + name)
            at += len(value)
            v.compared += 1


def ticket(v, name):
    text = v[name].replace("-", "").upper()
    check(text.startswith("TELEMED1"), "prefix")
    letters = text[8:].translate(str.maketrans("ILO", "110"))
    bits = "".join(format(ALPHABET.index(letter), "05b") for letter in letters)
    whole = len(bits) // 8 * 8
    check(len(bits) - whole < 5 and "1" not in bits[whole:], "last letter")
    data = u(int(bits[:whole], 2), whole // 8)
    check(H(data[:-4])[:4] == data[-4:], "checksum")
    r = Reader(data[:-4])
    check(r.u(1) == 1, "version")
    t = {"root": r.take(32), "address": r.lp(1), "doctor": r.lp(1), "subject": r.lp(1)}
    t["tid"] = v.same(name + ".tid", r.take(16))
    t["secret"] = v.same(name + ".secret", r.take(16))
    check(r.u(8) == int(v[name + ".expiry"]), "expiry")
    r.end()
    check(t["root"] == v["FP(root)"] and t["doctor"] == b"D1", "ticket")
    check(t["address"] == b"praxis.example:7400", "address")
    return t


def first_contact(v):
    frame(v["CERT?"], 10, 7).end()
    r = frame(v["CERT"], 10, 8)
    for name in ("root", "cert_D", "prekey", "revoked"):
        v.same(name, r.lp(2))
    check(r.lp(2) == b"", "a built-in group")
    r.end()


# Enrolment [14].


def early(v, name, r, prefix_end):
    """c1 and the secrets that follow: ES and H(AD) [7.2, 8]."""
    ad = r.data[:prefix_end] + v["FP(cert_D)"] + H(v["prekey"])
    ss1 = agree(v["prekey.x_e"], r.data[prefix_end - L : prefix_end])
    check(ss1 == agree(v[name + ".a"], public(v["prekey.x_e"])), "ss1 on both sides")
    check(public(v[name + ".a"]) == r.data[prefix_end - L : prefix_end], "c1")
    return Ex(GID, ss1), ad, ss1


def request(v, name, t):
    """E1: gives ES, H(AD) and the two keys."""
    r = frame(v[name], 90, 1)
    check(r.u(2) == 1 and r.take(8) == v["kid"] and r.take(16) == t["tid"], "E1")
    r.u(8)
    v.same(name + ".RN", r.take(32))
    r.take(L)
    es, ad, ss1 = early(v, name, r, r.at)
    key = Xp(es, "enrol 1", H(ad), 128)
    content = Reader(open_box(key, ad, r.lp(2), 0, v[name + ".box.fresh"]))
    r.end()
    y_s, y_e, signature, mac = (content.take(n) for n in (L, L, 2 * L, 64))
    content.end()
    proved = H(ad) + y_s + y_e
    kt = Ex(t["tid"], t["secret"])
    check(mac == hmac(Xp(kt, "ticket P", b"", 64), proved), "proof of the ticket")
    verify(y_s, "csr", proved, signature)
    return {"ES": es, "ad": ad, "ss1": ss1, "key": key, "kt": kt, "y_s": y_s, "y_e": y_e,
            "proved": proved, "sig": signature}


def enrolment(v, root, doctor):
    t = ticket(v, "ticket")
    e1 = request(v, "E1", t)
    for name in ("ss1", "ES"):
        v.same("E1." + name, e1[name])
    v.same("E1.H(AD)", H(e1["ad"]))
    v.same("E1.box.key", e1["key"])
    v.same("kt", e1["kt"])
    check(e1["y_s"] == public(v["cert_P.x_s"]) and e1["y_e"] == public(v["cert_P.x_e"]), "keys")
    signed_with(v["cert_P.x_s"], v["E1.sig.fresh"], "csr", e1["proved"], e1["sig"])

    r = frame(v["E2"], 90, 2)
    c_e = r.take(L)
    bound = H(v["E1"], v["E2"][: r.at])
    ss_e = v.same("E2.ss_e", agree(v["cert_P.x_e"], c_e))
    check(c_e == public(v["E2.b"]) and ss_e == agree(v["E2.b"], e1["y_e"]), "c_e")
    ke = v.same("E2.KE", Ex(Xp(e1["ES"], "enrol derived", b"", 64), ss_e))
    key = Xp(ke, "enrol 2", bound, 128)
    content = Reader(open_box(key, bound, r.lp(2), 0, v["E2.box.fresh"]))
    r.end()
    patient = certificate(content.lp(2), PATIENT, doctor, root["clinic"])
    mac = content.take(64)
    content.end()
    check(mac == hmac(Xp(e1["kt"], "ticket D", b"", 64), bound, patient["fp"]), "proof of D")
    check(patient["subject"].encode() == t["subject"], "subject")
    check((patient["y_s"], patient["y_e"]) == (e1["y_s"], e1["y_e"]), "own keys")
    v.same("cert_P", patient["bytes"])
    v.same("cert_P.serial", patient["serial"])
    v.same("FP(cert_P)", patient["fp"])
    fresh = v["cert_P.sig.fresh"]
    signed_with(v["cert_D.x_s"], fresh, "cert", patient["signed"], patient["sig"])

    both = H(v["E1"], v["E2"])
    for name, sub, use in (("E3", 3, "enrol confirm"), ("E4", 4, "enrol done")):
        check(frame(v[name], 90, sub).rest() == hmac(Xp(ke, use, b"", 64), both), name)
    code = "%012d" % (num(H(label("check"), v["E1"], v["E2"])[:8]) % 10**12)
    v.same("check_code", " ".join(code[i : i + 3] for i in range(0, 12, 3)))
    return patient


def refused_enrolment(v):
    e1 = request(v, "late.E1", ticket(v, "late.ticket"))
    check(e1["y_s"] == public(v["late.x_s"]) and e1["y_e"] == public(v["late.x_e"]), "keys")
    alert(v, "late.REFUSED", (90, 5), e1, v["late.E1"], 7)


# The full handshake [7, 8].


def first_message(v, name, exponents, patient, nonce):
    r = frame(v[name], 10, 1)
    check(r.u(2) == 1 and r.take(8) == v["kid"], name)
    r.u(8)
    v.same(exponents + ".RN", r.take(32))
    check(r.lp(1) == nonce, "retry field")
    r.take(L)
    check(r.at == 58 + len(nonce) + L, "offset of box1")
    es, ad, ss1 = early(v, exponents, r, r.at)
    k1 = Xp(es, "k1", H(ad), 128)
    fresh = v.values.get(exponents + ".box.fresh")
    content = Reader(open_box(k1, ad, r.lp(2), 0, fresh))
    r.end()
    check(content.lp(2) == patient["bytes"] and content.lp(2) == b"", "certificates")
    ephemeral, signature = content.take(L), content.take(2 * L)
    content.end()
    check(ephemeral == public(v[exponents + ".e"]), "Y_e")
    msg = H(ad) + patient["fp"] + ephemeral
    verify(patient["y_s"], "sig M1", msg, signature)
    return {"ES": es, "ad": ad, "ss1": ss1, "k1": k1, "Y_e": ephemeral, "msg": msg,
            "sig": signature}


def session_keys(v, name, ms):
    keys = {"MS": ms}
    for key, use, size in (("kc", "confirm", 64), ("kPD", "record P to D", 128),
                           ("kDP", "record D to P", 128), ("gsec", "group contribution", 32),
                           ("krc", "receipt key", 64)):
        keys[key] = Xp(ms, use, b"", size)
    for key, value in keys.items():
        v.same(name + "." + key, value)
    return keys


def handshake(v, doctor, patient):
    first_message(v, "doubted.M1", "doubted", patient, b"")
    r = frame(v["RETRY"], 10, 4)
    nonce = v.same("RETRY.nonce", r.take(32))
    check(r.u(8) == int(v["M1.now"]), "TS_D")
    r.end()
    m1 = first_message(v, "M1", "M1", patient, nonce)
    for name, value in (("M1.ss1", m1["ss1"]), ("M1.ES", m1["ES"]), ("k1", m1["k1"]),
                        ("M1.H(AD)", H(m1["ad"]))):
        v.same(name, value)
    signed_with(v["cert_P.x_s"], v["M1.sig.fresh"], "sig M1", m1["msg"], m1["sig"])

    r = frame(v["M2"], 10, 2)
    r.u(8)
    v.same("M2.RN", r.take(32))
    c2 = r.take(L)
    check(r.at == 47 + L and c2 == public(v["M2.b"]), "c2")
    th2 = v.same("TH2", H(label("TH2"), lp(4, v["M1"]), lp(4, v["M2"][: r.at])))
    ss2 = v.same("ss2", agree(v["M1.e"], c2))
    ss3 = v.same("ss3", agree(v["cert_P.x_e"], c2))
    check(ss2 == agree(v["M2.b"], m1["Y_e"]), "ss2 on both sides")
    check(ss3 == agree(v["M2.b"], patient["y_e"]), "ss3 on both sides")
    hs = v.same("HS", Ex(Xp(m1["ES"], "derived", b"", 64), ss2 + ss3))
    k2 = v.same("k2", Xp(hs, "k2", th2, 128))
    content = Reader(open_box(k2, th2, r.lp(2), 0, v["M2.box.fresh"]))
    r.end()
    for name in ("cert_D", "prekey", "revoked"):
        v.same(name, content.lp(2))
    signature = content.rest()
    msg = th2 + patient["fp"] + doctor["fp"] + H(v["prekey"]) + H(v["revoked"])
    verify(doctor["y_s"], "sig M2", msg, signature)
    signed_with(v["cert_D.x_s"], v["M2.sig.fresh"], "sig M2", msg, signature)

    th3 = v.same("TH3", H(label("TH3"), lp(4, v["M1"]), lp(4, v["M2"])))
    keys = session_keys(v, "session1", Ex(Xp(hs, "master", b"", 64), th3))
    check(frame(v["M3"], 10, 3).rest() == hmac(keys["kc"], label("M3"), th3), "SKV")
    return keys


def alert(v, name, form, first, first_frame, code):
    r = frame(v[name], *form)
    ka = Xp(first["ES"], "alert", H(first["ad"]), 128)
    content = Reader(open_box(ka, H(first_frame), r.lp(2), 0, v[name + ".fresh"]))
    r.end()
    check(content.u(1) == code and content.u(8) > 0, "code")
    content.end()
    v.compared += 1


def refused_handshake(v, patient):
    m1 = first_message(v, "refused.M1", "refused", patient, b"")
    alert(v, "refused.ALERT", (10, 9), m1, v["refused.M1"], 6)


# Sessions [9 to 13].


class Session:
    def __init__(self, v, name, keys):
        self.v, self.name, self.keys, self.next = v, name, keys, [0, 0]

    def record(self, name, opcode, direction):
        """The body of the next record of this direction."""
        data = self.v[self.name + "." + name]
        r = frame(data, opcode, 0)
        seq = r.take(8)
        check(num(seq) == self.next[direction], "sequence of " + name)
        self.next[direction] += 1
        key = self.keys[("kPD", "kDP")[direction]]
        ad = data[:7] + bytes([direction]) + seq
        fresh = self.v[self.name + "." + name + ".fresh"]
        self.v.compared += 1
        return Reader(open_box(key, ad, r.rest(), num(seq), fresh))

    def token(self, lifetime):
        r = self.record("SESSION_TOKEN", 20, 1)
        token = self.v.same(self.name + ".token", r.take(32))
        check(r.u(4) == lifetime, "lifetime")
        self.v.same("conf", r.take(16))
        r.u(8)
        r.end()
        return Xp(self.keys["MS"], "resumption", token, 64)

    def group_key(self, patient, epoch, next_mid):
        v, name = self.v, self.name
        r = self.record("GROUP_KEY", 30, 1)
        v.same("conf", r.take(16))
        check((r.u(8), r.u(8), r.u(4)) == (epoch, next_mid, 2), "epoch, mid, members")
        gk = v.same(name + ".GK", r.take(64))
        r.end()
        members = sorted([(v["other.FP"], v["other.gsec"]), (patient["fp"], self.keys["gsec"])])
        place = v["conf"] + u(epoch, 8)
        prk = Ex(v[name + ".R"], b"".join(gsec for _, gsec in members))
        check(gk == Xp(prk, "GK", place + u(2, 4), 64), "GK")
        v.same(name + ".kG", Xp(gk, "group seal", place, 128))
        v.same(name + ".gk_id", Xp(gk, "group id", place, 32))

    def receipt(self, name, direction, answered, message):
        """RECEIPT of a message that went the other way."""
        r = self.record(name, 71, direction)
        ident, at, mac = r.take(16), r.take(8), r.take(64)
        r.end()
        check((at == bytes(8)) == (direction == 0), "time")
        about = label("private receipt") + bytes([answered, 1 - direction]) + ident + at
        check(ident == message[:16], "id")
        check(mac == hmac(self.keys["krc"], about, H(message)), "receipt")


def message(data, allowed=(0, 1)):
    """Flags 2 and 4, for a consultation, are allowed in PRIVATE only."""
    r = Reader(data)
    ident, _written, flags, text = r.take(16), r.u(8), r.u(1), r.rest().decode("utf-8")
    check(flags in allowed and 1 <= len(text.encode()) <= 16000, "message")
    return ident


def broadcast(v, s, doctor, patient):
    data = v["ENC_MSG"]
    r = frame(data, 40, 0)
    place = r.take(32)
    check(place == v["conf"] + u(1, 8) + u(1, 8), "conf, epoch, mid")
    r.u(8)
    v.same("session1.gk_id", r.take(32))
    ad = data[: r.at]
    check(len(ad) == 79, "offset of the box")
    content = open_box(v["session1.kG"], ad, r.lp(4), 1, v["ENC_MSG.box.fresh"])
    msg = H(data[: r.at]) + doctor["fp"]
    signature = r.rest()
    verify(doctor["y_s"], "sig ENC_MSG", msg, signature)
    signed_with(v["cert_D.x_s"], v["ENC_MSG.sig.fresh"], "sig ENC_MSG", msg, signature)
    v.same("ENC_MSG.message", content)
    v.same("ENC_MSG.id", message(content))

    r = s.record("DEC_MSG", 50, 0)
    check(r.take(32) == place and r.take(16) == v["ENC_MSG.id"], "DEC_MSG")
    about = label("receipt") + place + patient["fp"] + H(data) + H(content)
    check(r.take(64) == hmac(s.keys["krc"], about), "receipt of the broadcast")
    r.end()
    for name, direction in (("HEARTBEAT_D", 1), ("HEARTBEAT_P", 0)):
        r = s.record(name, 80, direction)
        check(r.u(8) == 1, "last mid")
        r.end()


def direct(v, s, doctor, patient):
    body = s.record("DIRECT", 41, 1).rest()
    r = Reader(v.same("DIRECT.body", body))
    check(r.u(1) == 1, "audience")
    content = r.lp(2)
    msg = b"\1" + H(content) + doctor["fp"] + patient["fp"]
    signature = r.rest()
    verify(doctor["y_s"], "sig DIRECT", msg, signature)
    signed_with(v["cert_D.x_s"], v["DIRECT.sig.fresh"], "sig DIRECT", msg, signature)
    v.same("DIRECT.id", message(content))
    s.receipt("RECEIPT_of_DIRECT", 0, 41, content)

    r = s.record("ACK", 51, 0)
    ident, time, signature = r.take(16), r.take(8), r.rest()
    check(ident == content[:16], "id")
    msg = ident + H(content) + time + patient["fp"] + doctor["fp"]
    verify(patient["y_s"], "sig ACK", msg, signature)
    signed_with(v["cert_P.x_s"], v["ACK.sig.fresh"], "sig ACK", msg, signature)
    s.receipt("RECEIPT_of_ACK", 1, 51, content)


def private(v, s):
    for name, direction in (("PRIVATE_P", 0), ("PRIVATE_D", 1)):
        content = s.record(name, 70, direction).rest()
        v.same(name + ".id", message(content, (0, 1, 2, 3, 4, 5)))
        s.receipt("RECEIPT_of_" + name, 1 - direction, 70, content)


def resumption(v, rms):
    v.same("rms", rms)
    r = frame(v["RESUME"], 10, 5)
    r.u(8)
    v.same("RESUME.RN", r.take(32))
    v.same("session1.token", r.take(32))
    theirs = r.take(L)
    check(theirs == public(v["RESUME.r"]), "Y_r")
    binder = hmac(Xp(rms, "binder P", b"", 64), v["RESUME"][: r.at])
    check(r.take(64) == binder, "binder of P")
    r.end()
    r = frame(v["RESUMED"], 10, 6)
    r.u(8)
    v.same("RESUMED.RN", r.take(32))
    c_r = r.take(L)
    binder = hmac(Xp(rms, "binder D", b"", 64), H(v["RESUME"]), v["RESUMED"][: r.at])
    check(r.take(64) == binder and c_r == public(v["RESUMED.b"]), "binder of D")
    r.end()
    ss = v.same("RESUMED.ss", agree(v["RESUME.r"], c_r))
    check(ss == agree(v["RESUMED.b"], theirs), "both sides")
    th = v.same("TH", H(label("TH resume"), lp(4, v["RESUME"]), lp(4, v["RESUMED"])))
    keys = session_keys(v, "session2", Ex(Xp(rms, "resume master", b"", 64), ss + th))
    skv = hmac(keys["kc"], label("M3"), th)
    check(frame(v["resumed.M3"], 10, 3).rest() == skv, "SKV")
    return keys


def main(path):
    v = Example(path)
    random_stream(v)
    root, doctor, _ = clinic(v)
    first_contact(v)
    patient = enrolment(v, root, doctor)
    s = Session(v, "session1", handshake(v, doctor, patient))
    rms = s.token(3600)
    s.group_key(patient, 1, 1)
    broadcast(v, s, doctor, patient)
    direct(v, s, doctor, patient)
    private(v, s)

    s = Session(v, "session2", resumption(v, rms))
    s.token(3600)
    s.group_key(patient, 2, 2)
    r = s.record("DISCONNECT", 60, 0)
    check((r.u(1), r.u(8), r.u(8)) == (1, 1, 2), "reason, last mid, records")
    r.end()
    refused_handshake(v, patient)
    refused_enrolment(v)
    print("everything agrees; %d values compared" % v.compared)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "docs/worked-example.txt")
    except Wrong as error:
        sys.exit("does not agree: %s" % error)
