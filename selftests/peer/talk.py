# SPDX-License-Identifier: GPL-2.0-or-later
"""Two sessions talk in memory; what they say and know can be written down."""
import hashlib
import os

import isakmp
from session import Session


def system_random(size, _what):
    """Randomness of the system."""
    return os.urandom(size)


class FixedRandom:
    """The same octets in every run: SHA-256 over seed and counter. Keeps what it gave."""

    def __init__(self, seed):
        self.seed, self.count, self.given = seed, 0, []

    def __call__(self, size, what):
        out = b""
        while len(out) < size:
            self.count += 1
            out += hashlib.sha256(f"{self.seed} {self.count}".encode()).digest()
        self.given.append((what, out[:size]))
        return out[:size]


class Talk:
    """An initiator and a responder, and every message between them, in order."""

    def __init__(self, ours, theirs, randoms=(system_random, system_random)):
        self.initiator = Session(ours, True, randoms[0])
        self.responder = Session(theirs, False, randoms[1])
        self.messages = []  # (sender, octets)

    def deliver(self, sender, message):
        """One message, and all that follow from it."""
        waiting = [(sender, message)]
        while waiting:
            sender, message = waiting.pop(0)
            self.messages.append((sender, message))
            other = "responder" if sender == "initiator" else "initiator"
            waiting += [(other, answer) for answer in getattr(self, other).receive(message)]

    def phase1(self):
        """Run phase 1; whether both sides have finished it."""
        self.deliver("initiator", self.initiator.start())
        return bool(self.initiator.sa and self.responder.sa)

    def quick(self, who="initiator"):
        """Run a quick mode; whether both sides have SAs with the same keys."""
        before = len(self.initiator.ipsec), len(self.responder.ipsec)
        self.deliver(who, getattr(self, who).quick())
        if (len(self.initiator.ipsec), len(self.responder.ipsec)) != (before[0] + 1,
                                                                      before[1] + 1):
            return False
        a, b = self.initiator.ipsec[-1], self.responder.ipsec[-1]
        return (a.keymat_in, a.spi_in, a.keymat_out, a.spi_out) == (
            b.keymat_out, b.spi_out, b.keymat_in, b.spi_in)

    def refusals(self):
        """The sentences of both sides."""
        return [e["reason"] for side in (self.initiator, self.responder)
                for e in side.events if e["event"] == "refused"]

    def common(self):
        """Values of both sides; where both have one, it must be the same."""
        out = dict(self.initiator.values)
        for name, octets in self.responder.values.items():
            if out.setdefault(name, octets) != octets:
                raise ValueError(f"{name} differs between the two sides")
        return out


def describe(message):
    """A message for a reader: header fields, payloads if they are in clear."""
    header, body = isakmp.parse_header(message)
    out = {"exchange": header.exchange, "flags": header.flags,
           "message_id": f"{header.message_id:08x}"}
    if not header.flags & isakmp.ENCRYPTION:
        out["payloads"] = [{"type": isakmp.NAMES[p.type], "body": p.body.hex()}
                           for p in isakmp.unchain(header.first, body)[0]]
    return out
