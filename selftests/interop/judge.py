# SPDX-License-Identifier: GPL-2.0-or-later
"""What a row must have shown. Pure: evidence in, complaints out."""

import ipaddress
from dataclasses import dataclass, field

import network
import rows
from capture import AGGRESSIVE_MODE, FRAGMENT, MAIN_MODE, QUICK_MODE

# A group's public value is this long, and what stands beside it takes 120 to 320 octets
# (the least with MD5 and addresses, the most with SHA-512 and networks of IPv6).
BESIDE = 120
WITHOUT_PFS = 320
PUBLIC_VALUE = {"modp1024": 128, "modp1536": 192, "modp2048": 256,
                "modp3072": 384, "modp4096": 512, "modp6144": 768,
                "modp8192": 1024}


@dataclass
class Evidence:
    """All that one row left behind."""

    sent: str = None       # SHA-256 of the file
    arrived: str = None    # likewise
    pings_lost: int = 0
    sas: dict = field(default_factory=dict)  # {gateway: [Sa]}
    wan: object = None     # Capture
    token_on_wan: bool = False
    token_on_lan: bool = False


def complaints(row, evidence):
    """Everything that is wrong, in words; empty when the row passed."""
    return (_traffic(evidence) + _exchange(row, evidence) +
            _fragments(row, evidence) +
            _capture(row, evidence) + _counters(row, evidence))


# What `moat show failures` must say, by kind of row.
WORDS = {"psk": "pre-shared keys most likely differ",
         "identity": "stranger.example.org",
         "dpd": "nothing was heard of the peer"}
# Who made the offer hears no more than that.
OFFER_REFUSED = {"left": "NO-PROPOSAL-CHOSEN", "right": "modp3072"}


def explained(row, told):
    """Has Moat said what is wrong in this row?"""
    return (WORDS.get(row.kind) or OFFER_REFUSED[row.initiator]) in told


def refused(evidence):
    """No SAs; nothing passed, neither protected nor in clear."""
    wrong = [f"{ns} has SAs: {sas}" for ns, sas in evidence.sas.items() if sas]
    if not evidence.pings_lost:
        wrong.append("a ping was answered")
    if evidence.wan.esp or evidence.wan.other:
        wrong.append(f"{len(evidence.wan.esp)} SAs' packets and "
                     f"{evidence.wan.other} others were on the wire")
    return wrong


def rekeyed(row, evidence):
    """No ping lost or in clear while both phases were replaced twice."""
    wrong = _capture(row, evidence)
    if evidence.pings_lost:
        wrong.append(f"{evidence.pings_lost} pings lost")
    for gateway in ("gw-a", "gw-b"):
        source = network.packed(network.local(row, gateway))
        used = sum(esp.src == source for esp in evidence.wan.esp)
        if used < 3:
            wrong.append(f"{gateway} sent on {used} SAs, not on 3 or more")
    begun = {m.cookie for m in evidence.wan.isakmp if m.exchange == MAIN_MODE}
    if len(begun) < 3:
        wrong.append(f"{len(begun)} ISAKMP SAs, not 3 or more")
    return wrong


def _traffic(evidence):
    wrong = []
    if not evidence.sent or evidence.sent != evidence.arrived:
        wrong.append(f"the file's SHA-256 was {evidence.sent} when sent, "
                     f"{evidence.arrived} on arrival")
    if evidence.pings_lost:
        wrong.append(f"{evidence.pings_lost} pings lost")
    return wrong


def _text(address):
    return str(ipaddress.ip_address(address))


def _size(messages):
    """Of the first of one side; libreswan may send it in fragments."""
    if messages and messages[0].first == FRAGMENT:
        return sum(m.length for m in messages if m.first == FRAGMENT)
    return messages[0].length if messages else 0


def _exchange(row, evidence):
    """Main mode of six, or aggressive mode of three, and quick mode of
    three, begun by whom it should."""
    wrong = []
    number, least = {"main": (MAIN_MODE, 6),
                     "aggressive": (AGGRESSIVE_MODE, 3)}[row.exchange]
    main = [m for m in evidence.wan.isakmp if m.exchange == number]
    quick = [m for m in evidence.wan.isakmp if m.exchange == QUICK_MODE]
    if len(main) < least or len(quick) < 3:
        return [f"{len(main)} {row.exchange} mode and {len(quick)} quick mode"
                f" messages in the capture, not {least} and 3"]
    initiator = network.packed(
        network.local(row, "gw-a" if row.initiator == "left" else "gw-b"))
    if main[0].src != initiator or quick[0].src != initiator:
        wrong.append(f"{row.exchange} mode was begun by {_text(main[0].src)}"
                     f", quick mode by {_text(quick[0].src)}")
    ids = {m.message_id for m in quick}
    if len(ids) != row.nets ** 2:
        wrong.append(f"{len(ids)} quick modes, not {row.nets ** 2}")
    # a curve's is shorter than what else may stand there: not to be told apart
    limit = PUBLIC_VALUE[row.pfs] + BESIDE if row.pfs in PUBLIC_VALUE else WITHOUT_PFS
    begun = [m for m in quick if m.message_id == quick[0].message_id]
    sizes = [_size([m for m in begun if (m.src == quick[0].src) == first])
             for first in (True, False)]
    if not row.pfs and max(sizes) > limit or row.pfs in PUBLIC_VALUE and min(sizes) < limit:
        wrong.append(f"quick mode messages of {sizes[0]} and {sizes[1]} bytes, with "
                     f"PFS {row.pfs}")
    return wrong


def _fragments(row, evidence):
    """On a narrow path both sides sent fragments."""
    if row.path != "narrow":
        return []
    wrong = []
    for gateway in ("gw-a", "gw-b"):
        source = network.packed(network.local(row, gateway))
        sent = [m for m in evidence.wan.isakmp
                if m.src == source and m.first == FRAGMENT]
        if len(sent) < 2:
            wrong.append(f"{gateway} sent {len(sent)} fragments of IKE, not 2 or more")
    return wrong


def _capture(row, evidence):
    wrong = []
    if evidence.token_on_wan != rows.legible(row):
        wrong.append("the token is in the capture between the gateways"
                     if evidence.token_on_wan else
                     "the token is not to be seen, as it should be here")
    if not evidence.token_on_lan and row.mode == "tunnel":
        wrong.append("the token is not in the capture of the LAN: the "
                     "search does not work")
    if evidence.wan.other:
        wrong.append(f"{evidence.wan.other} packets between the gateways "
                     "are neither ESP nor IKE")
    packets = sum(map(len, evidence.wan.esp.values()))
    if evidence.wan.udp != (packets if row.nat else 0):
        wrong.append(f"{evidence.wan.udp} of {packets} packets of ESP were in UDP")
    left = network.packed(network.local(row, "gw-a"))
    for esp, seqs in evidence.wan.esp.items():
        sender = row.left if esp.src == left else row.right
        wrong += _sequence(esp, seqs, in_order=sender == "moat")
    return wrong


def _sequence(esp, seqs, in_order):
    """1, 2, 3, ... each once; from Moat in this order, from any CPU."""
    if (seqs if in_order else sorted(seqs)) == list(range(1, len(seqs) + 1)):
        return []
    missing = sorted(set(range(1, max(seqs) + 1)) - set(seqs))
    late = sum(b < a for a, b in zip(seqs, seqs[1:]))
    return [f"ESP of SPI {esp.spi:08x}: {len(seqs)} packets, "
            f"{len(seqs) - len(set(seqs))} repeated, {late} out of order, "
            f"{len(missing)} sequence numbers missing {missing[:5]}"]


def _counters(row, evidence):
    """Sender's counter, receiver's counter and capture agree, per SPI."""
    wrong = []
    counted = set()
    for source, target in (("gw-a", "gw-b"), ("gw-b", "gw-a")):
        out = [sa for sa in evidence.sas[source] if sa.direction == "out"]
        into = {sa.spi: sa for sa in evidence.sas[target]
                if sa.direction == "in"}
        if len(out) != row.nets ** 2:
            wrong.append(f"{source} has {len(out)} outbound SAs, not {row.nets ** 2}")
        for sa in out:
            key = (network.packed(network.local(row, source)),
                   network.packed(network.remote(row, source)), sa.spi)
            counted.add(key)
            wrong += _one_sa(sa, into.pop(sa.spi, None), target,
                             len(evidence.wan.esp.get(key, ())))
        wrong += [f"{target} has an inbound SA {spi:08x} that {source} does "
                  "not send on" for spi in into]
    wrong += [f"ESP of SPI {esp.spi:08x} from {_text(esp.src)} "
              "belongs to no SA" for esp in evidence.wan.esp
              if tuple(esp) not in counted]
    return wrong


def _one_sa(out, into, target, captured):
    wrong = []
    if not captured:
        wrong.append(f"no ESP of SPI {out.spi:08x} in the capture")
    if out.packets != captured:
        wrong.append(f"SA {out.spi:08x}: {out.packets} packets counted by "
                     f"the sender, {captured} in the capture")
    if into is None:
        wrong.append(f"{target} has no inbound SA {out.spi:08x}")
    elif (into.packets, into.bytes) != (out.packets, out.bytes):
        wrong.append(
            f"SA {out.spi:08x}: {out.packets} packets and {out.bytes} bytes "
            f"sent, {into.packets} and {into.bytes} received")
    return wrong
