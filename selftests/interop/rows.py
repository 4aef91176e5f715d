# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the matrix: who meets whom, who speaks first, with what.

`left` stands at gw-a (192.0.2.1, before 10.1.0.0/24), `right` at gw-b
(192.0.2.2, before 10.2.0.0/24). `esp` is written in Moat's names, which
are strongSwan's; `pfs` is a group's name or None.
`initiator` is "left" or "right"; it is the one that sends the file, too.
`exchange` is that of phase 1; aggressive mode names its ends by FQDN.
`auth` is that of phase 1: "psk", or "rsa" for signatures with certificates;
its ends are named by DN.
`proto` is what carries the traffic; AH and NULL leave it legible.
`nat` says who is behind one: "left", "right", "both" or nobody. The initiator's
masquerades, the responder's forwards UDP 500 and 4500.
`path`: "narrow" loses, without a word, packets of IKE above 1280 octets and all
fragments of IP, so that long messages need IKE fragmentation.
"""

from collections import namedtuple

Row = namedtuple("Row",
                 "left right initiator esp pfs exchange ike proto nat auth path",
                 defaults=("main", "aes256-sha256-modp2048", "esp", "", "psk", ""))

GCM = "aes128gcm16"
CBC = "aes128-sha256"
DES = "3des-sha1"
NULL = "null-sha256"
# what an operator has to say `weak = true` for
WEAK_IKE = "3des-md5-modp1536"
GROUP = "modp2048"

# The harness itself: two peers that know nothing of Moat.
PROOF = Row("strongswan", "libreswan", "left", GCM, GROUP)

MATRIX = [Row("moat", peer, initiator, esp, pfs)
          for peer in ("strongswan", "libreswan")
          for initiator in ("right", "left")
          for esp in (GCM, CBC)
          for pfs in (GROUP, None)]
MATRIX += [Row("moat", peer, initiator, GCM, GROUP, exchange="aggressive")
           for peer in ("strongswan", "libreswan")
           for initiator in ("right", "left")]
MATRIX += [Row("moat", "strongswan", "right", DES, None, "main", WEAK_IKE),
           Row("moat", "libreswan", "left", DES, None, "aggressive", WEAK_IKE),
           Row("moat", "libreswan", "right", NULL, GROUP)]
MATRIX += [Row("moat", peer, initiator, GCM, None, nat=nat)
           for peer in ("strongswan", "libreswan")
           for initiator in ("right", "left")
           for nat in ("left", "right", "both")]
MATRIX += [Row("moat", "strongswan", "left", GCM, None, "aggressive", nat="left"),
           Row("moat", "libreswan", "right", GCM, None, "aggressive", nat="both"),
           Row("moat", "moat", "left", GCM, GROUP, nat="both")]
MATRIX += [Row("moat", peer, initiator, GCM, GROUP, exchange, auth="rsa")
           for peer in ("strongswan", "libreswan")
           for initiator in ("right", "left")
           for exchange in ("main", "aggressive")]
MATRIX += [Row("moat", "strongswan", "right", GCM, None, auth="rsa", path="narrow"),
           Row("moat", "libreswan", "left", GCM, None, auth="rsa", path="narrow")]


def name(row):
    """One line for a person: who initiates to whom, with what."""
    first, second = ((row.left, row.right) if row.initiator == "left"
                     else (row.right, row.left))
    rest = [word for word, default in (
        (row.exchange, "main"), (row.ike, Row._field_defaults["ike"]),
        (row.proto, "esp"), (row.auth, "psk")) if word != default]
    if row.path:
        rest.append(f"{row.path} path")
    if row.nat:
        behind = {"left": row.left, "right": row.right, "both": "both"}[row.nat]
        rest.append(f"{behind} behind NAT")
    return " ".join([f"{first} to {second}", row.esp, row.pfs or "no-pfs",
                     *rest])


def legible(row):
    """May what it carries be read on the wire?"""
    return row.proto == "ah" or row.esp.startswith("null")
