# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the matrix: who meets whom, who speaks first, with what.

`left` stands at gw-a (192.0.2.1, before 10.1.0.0/24), `right` at gw-b
(192.0.2.2, before 10.2.0.0/24). `esp` is written in Moat's names, which
are strongSwan's; `pfs` is a group's name or None.
`initiator` is "left" or "right"; it is the one that sends the file, too.
"""

from collections import namedtuple

Row = namedtuple("Row", "left right initiator esp pfs")

IKE = "aes256-sha256-modp2048"
GCM = "aes128gcm16"
CBC = "aes128-sha256"
GROUP = "modp2048"

# The harness itself: two peers that know nothing of Moat.
PROOF = Row("strongswan", "libreswan", "left", GCM, GROUP)

MATRIX = [Row("moat", peer, initiator, esp, pfs)
          for peer in ("strongswan", "libreswan")
          for initiator in ("right", "left")
          for esp in (GCM, CBC)
          for pfs in (GROUP, None)]


def name(row):
    """One line for a person: who initiates to whom, with what."""
    first, second = ((row.left, row.right) if row.initiator == "left"
                     else (row.right, row.left))
    return f"{first} to {second} {row.esp} {row.pfs or 'no-pfs'}"
