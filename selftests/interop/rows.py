# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the matrix: who meets whom, who speaks first, with what.

`left` stands at gw-a (192.0.2.1, before 10.1.0.0/24), `right` at gw-b
(192.0.2.2, before 10.2.0.0/24).

`initiator`  "left" or "right": it begins, and sends the file, too
`exchange`   that of phase 1; aggressive mode names its ends by FQDN
`auth`       that of phase 1: "psk", or "rsa" for signatures with certificates,
             whose ends are named by DN
`ike`        the proposal of phase 1
`proto`      "esp" or "ah"; `esp` is its algorithms, in Moat's names, which are
             strongSwan's; `pfs` is a group's name or None
`mode`       "tunnel" or "transport": that is between the gateways themselves
`ip`         "4" or "6": IKE, ESP and what they carry
`nat`        who is behind one: "left", "right", "both" or nobody. The initiator's
             masquerades, the responder's forwards UDP 500 and 4500.
`nets`       how many each side has: each with each is a pair of SAs
`delete`     "left" or "right": who ends the tunnel
`path`       "narrow" loses, without a word, packets of IKE above 1280 octets and
             all fragments of IP, so that long messages need IKE fragmentation;
             "far" has a round trip of 300 ms, and Moat begins with all networks at once
`remote`     "any": Moat knows neither address nor name of the other side, only who
             signs its certificate, and gives it a part of a larger network
`kind`       "file": a file by TCP, and everything is counted;
             "rekey": the initiator replaces both phases every 10 s, while pings go;
             "dpd": the other side vanishes, and comes back;
             "psk", "identity", "proposal": this differs, and Moat must say so
"""

from collections import namedtuple

import pairwise

Row = namedtuple(
    "Row", "left right initiator esp pfs exchange ike proto nat auth mode ip nets "
    "delete kind path remote", defaults=(
        "main", "aes256-sha256-modp2048", "esp", "", "psk", "tunnel", "4", 1, "",
        "file", "", ""))

GCM = "aes128gcm16"
CBC = "aes128-sha256"
DES = "3des-sha1"
NULL = "null-sha256"
GROUP = "modp2048"
PEERS = ("strongswan", "libreswan")
SIDES = ("right", "left")
REFUSALS = ("psk", "identity", "proposal")

# The harness itself: two peers that know nothing of Moat.
PROOF = Row("strongswan", "libreswan", "left", GCM, GROUP)

# These always run, and with the larger file.
FIXED = [Row("moat", peer, initiator, esp, pfs, delete=initiator)
         for peer in PEERS for initiator in SIDES
         for esp in (GCM, CBC) for pfs in (GROUP, None)]

# `transform` is "esp ..." or "ah ...".
FACTORS = {
    "right": PEERS,
    "initiator": SIDES,
    "exchange": ("main", "aggressive"),
    "auth": ("psk", "rsa"),
    "transform": (f"esp {GCM}", f"esp {CBC}", f"esp {DES}", f"esp {NULL}",
                  "ah sha1", "ah sha256"),
    "pfs": (GROUP, None),
    "mode": ("tunnel", "transport"),
    "ip": ("4", "6"),
    "nat": ("", "left", "right", "both"),
    "nets": (1, 2),
    "delete": SIDES,
}

# `make interop`: every algorithm and group, too.
LONG = {
    **FACTORS,
    "cipher": ("aes128", "aes192", "aes256", "3des"),
    "hash": ("md5", "sha1", "sha256", "sha384", "sha512"),
    "group": ("modp1024", "modp1536", "modp2048", "modp3072", "modp4096",
              "modp6144", "modp8192", "ecp256", "ecp384", "ecp521"),
    "transform": tuple(
        [f"esp {cipher}-{integ}" for cipher in
         ("aes128", "aes192", "aes256", "3des", "null", "aes128ctr")
         for integ in ("sha1", "sha256")] +
        [f"esp aes128-{integ}" for integ in ("md5", "sha384", "sha512")] +
        [f"esp aes{bits}gcm{icv}" for bits in (128, 256) for icv in (8, 12, 16)] +
        ["esp aes128ccm16", "esp aes256ccm16", "esp aes128gmac"] +
        [f"ah {integ}" for integ in ("md5", "sha1", "sha256", "sha384", "sha512")]),
    "pfs": (None, "modp1536", "modp2048", "modp3072", "modp4096", "ecp256", "ecp384"),
}
# what libreswan 4.10 cannot, or not in IKEv1
NOT_LIBRESWAN = ("modp1024", "ecp", "ctr", "ccm", "gmac", "sha384", "ah md5")


def allowed(row):
    """May these values meet? What is missing is anything."""
    transform, nat = row.get("transform", ""), row.get("nat", "")
    if nat and (transform.startswith("ah") or row.get("ip") == "6"):
        return False    # AH covers addresses
    if row.get("mode") == "transport" and (nat or row.get("nets") == 2):
        return False    # one pair; behind a NAT it would need NAT-OA
    if row.get("right") == "libreswan":
        weak = " ".join(str(row.get(key, "")) for key in
                        ("transform", "group", "pfs", "hash"))
        return not any(word in weak for word in NOT_LIBRESWAN)
    return True


def made(factors, fixed, seed):
    """Rows that add every pair of values that the fixed ones lack."""
    for values in pairwise.cover(factors, allowed, seed,
                                 [factored(row) for row in fixed]):
        yield unfactored(values)


def factored(row):
    """A row as values of FACTORS."""
    values = row._asdict()
    values["transform"] = f"{row.proto} {row.esp}"
    return values


def unfactored(values):
    """The reverse; with the proposal of phase 1 when it is a factor."""
    values = dict(values)
    proto, esp = values.pop("transform").split(" ", 1)
    if "group" in values:
        parts = values.pop("cipher"), values.pop("hash"), values.pop("group")
        values["ike"] = "-".join(parts)
    return Row(left="moat", proto=proto, esp=esp, **values)


# Who drops our message 5 without a word, so that all attempts have to end first.
SILENT = ("libreswan", "left")


def lasting():
    """Rows that wait for something."""
    for peer in PEERS:
        for side in SIDES:
            # Moat's end: it keeps old SAs for a while, which the peer has forgotten
            yield Row("moat", peer, side, GCM, GROUP, kind="rekey", delete="left")
    for peer, side in zip(PEERS, SIDES):
        yield Row("moat", peer, side, CBC, None, kind="dpd")
    yield Row("moat", "libreswan", "right", GCM, GROUP, auth="rsa", remote="any")
    peer, side = SILENT
    yield Row("moat", peer, side, GCM, None, kind="psk")


def special():
    """A path that loses long messages; a peer from anywhere; what ends without a tunnel."""
    for peer, side in zip(PEERS, SIDES):
        yield Row("moat", peer, side, GCM, None, auth="rsa", path="narrow")
    yield Row("moat", "strongswan", "left", GCM, GROUP, nets=2, path="far")
    yield Row("moat", "strongswan", "right", GCM, GROUP, auth="rsa", nat="right",
              remote="any")
    for number, what in enumerate(REFUSALS):
        for other, peer in enumerate(PEERS):
            for side in SIDES if number == 0 else SIDES[(number + other) % 2:][:1]:
                if (what, peer, side) != ("psk", *SILENT):
                    yield Row("moat", peer, side, GCM, None, kind=what)


def check():
    """The rows of `make check`."""
    return FIXED + list(made(FACTORS, FIXED, 1)) + list(special())


def long():
    """The rows of `make interop`."""
    ours = Row("moat", "moat", "left", GCM, GROUP, nat="both", delete="right")
    return check() + list(lasting()) + list(made(LONG, [], 1)) + [ours]


def name(row):
    """One line for a person: who initiates to whom, with what."""
    first, second = ((row.left, row.right) if row.initiator == "left"
                     else (row.right, row.left))
    rest = [word for word, default in (
        (row.exchange, "main"), (row.ike, Row._field_defaults["ike"]),
        (row.proto, "esp"), (row.auth, "psk"), (row.mode, "tunnel"))
        if word != default]
    if row.path:
        rest.append(f"{row.path} path")
    if row.remote:
        rest.append("from anywhere")
    if row.ip == "6":
        rest.append("IPv6")
    if row.nat:
        behind = {"left": row.left, "right": row.right, "both": "both"}[row.nat]
        rest.append(f"{behind} behind NAT")
    if row.nets > 1:
        rest.append(f"{row.nets} nets")
    if row.delete and row.delete != row.initiator:
        rest.append(f"{second} deletes")
    if row.kind in REFUSALS:
        rest.append(f"another {row.kind}")
    elif row.kind != "file":
        rest.append(row.kind)
    return " ".join([f"{first} to {second}", row.esp, row.pfs or "no-pfs",
                     *rest])


def legible(row):
    """May what it carries be read on the wire?"""
    return row.proto == "ah" or row.esp.startswith("null") or "gmac" in row.esp


def weak(row):
    """Does an operator have to say `weak = true` for it?"""
    words = f"{row.ike}-{row.esp}-{row.pfs}".split("-")
    return (row.exchange == "aggressive" and row.auth == "psk" or
            any(w in ("3des", "md5", "modp1024", "modp1536") for w in words))
