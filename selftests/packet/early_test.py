#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that come before their SA has keys: they wait at the reserved SPI."""
import contextlib
import os
import pathlib
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import chains
import espcodec
import gateway
import moatnl
import netns
from gateway import LAYER, LOCAL, OURS, PEERS, REMOTE, answer
from ktap import Results, check, same, wait_for
from scapy.layers.inet import IP, defragment, fragment

ALGORITHM = "aes128gcm16"
SPI, PORT = 0xc0ffee01, 4500
EACH = 8192                 # packets that one SPI holds
ALL = 16 << 20              # truesize that a namespace holds
EXPIRES = 60                # seconds
TEMPLATE = bytes(answer(4, bytes(4)))


def numbers(gw, count):
    """The numbers of what the host gets, and of what comes right after that."""
    got = gw.receive("lan", count, 60) + gw.silence("lan", 0.2)
    return [int.from_bytes(data[-4:], "big") for data in got]


def all_of(gw, count):
    """The host gets the numbers from 1 to `count`, in order, and nothing else."""
    found = numbers(gw, count)
    wrong = [(want, got) for want, got in zip(range(1, count + 1), found) if want != got]
    drops = [sa.get("drop") for sa in gw.nl.sas()]
    check(not wrong and len(found) == count,
          f"{len(found)} packets of {count}; wrong numbers {wrong[:3]}, drops {drops}")


def add_up(data):
    """The checksum of RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)) % 0xffff
    return ~total & 0xffff


class Early:
    """A peer that sends numbered packets; its SPI is reserved, and added when we want."""

    def __init__(self, gw, outer=4, spi=SPI, protocol=moatnl.ESP):
        self.gw, self.outer, self.spi = gw, outer, spi
        self.keys = moatnl.ALGORITHMS[ALGORITHM].keys()
        self.codec = espcodec.Codec(ALGORITHM, self.keys)
        self.heads = {}
        if not gw.nl.policies():
            gw.nl.request("policy-add", {"policy": moatnl.policy(
                7, LOCAL[4], REMOTE[4], OURS[outer], PEERS[outer])})
        reserve(gw, spi, outer, protocol)

    def head(self, length, protocol, src=None):
        """The outer header."""
        key = length, protocol, src
        if key not in self.heads:
            ends = {"src": src or PEERS[self.outer], "dst": OURS[self.outer]}
            layer = (IP(proto=protocol, len=20 + length, **ends) if self.outer == 4 else
                     LAYER[6](nh=protocol, plen=length, **ends))
            self.heads[key] = bytes(layer)
        return self.heads[key]

    def in_udp(self, esp, port=PORT):
        """UDP around ESP."""
        size = 8 + len(esp)
        ends = moatnl.address(PEERS[self.outer]) + moatnl.address(OURS[self.outer])
        udp = struct.pack("!HHH", PORT, port, size)
        return udp + struct.pack("!H", add_up(ends + struct.pack("!IHH", size, 0, 17) + udp +
                                              bytes(2) + esp)) + esp

    def esp(self, number):
        """One ESP packet."""
        return self.codec.seal(self.spi, number, TEMPLATE[:-4] + struct.pack("!I", number), 4)

    def sealed(self, number, udp=None, src=None):
        """One packet as it arrives; `udp` is the port it comes to."""
        esp = self.esp(number)
        data = self.in_udp(esp, udp) if udp else esp
        return self.head(len(data), 17 if udp else 50, src) + data

    def send(self, *numbers, **how):
        for number in numbers:
            self.gw.send("wan", self.sealed(number, **how))

    def add(self, udp=None, **more):
        """The SA takes the place of its SPI."""
        more.update({"encap-sport": PORT, "encap-dport": udp} if udp else {})
        self.gw.nl.request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, self.spi, PEERS[self.outer], OURS[self.outer], ALGORITHM, self.keys,
            policy=7, **more)})

    def counters(self):
        """Packets, highest number, drops of the SA."""
        sa = self.gw.nl.sa_of(self.spi)
        return sa["packets"], sa["seq"], sa.get("drop", {})


def reserve(gw, spi, outer=4, protocol=moatnl.ESP):
    gw.nl.request("spi-alloc", {"sa": {"protocol": protocol, "dst": OURS[outer]},
                                "spi-min": spi, "spi-max": spi})


def sa_name(spi, outer=4):
    return {"sa": {"direction": moatnl.IN, "protocol": moatnl.ESP, "spi": spi,
                   "dst": OURS[outer]}}


@contextlib.contextmanager
def more(gw, **expected):
    """Counters that grow inside `with`, by so much and no more."""
    before = {name: gw.count(name) for name in expected}

    def grown():
        return {name: gw.count(name) - before[name] for name in expected}
    yield
    wait_for(f"{expected}", lambda: all(grown()[name] >= n for name, n in expected.items()))
    same(grown(), expected, "counters")


# --- what waits is opened -------------------------------------------------------

def in_order(gw, outer, udp):
    """From the first, before what comes later; nothing before there are keys."""
    early = Early(gw, outer)
    with more(gw, early=10):
        early.send(*range(1, 11), udp=udp)
    check(not gw.silence("lan"), "something was delivered without keys")
    early.add(udp)
    early.send(11, 12, udp=udp)
    all_of(gw, 12)
    same(early.counters(), (12, 12, {}), "packets, highest number, drops")
    with more(gw, early=0, in_replay_dup=1):
        early.send(5, udp=udp)


def under_traffic(gw):
    """Newer packets queue behind those that wait, or these were left of the window."""
    early, total = Early(gw), 2000
    sealed = [early.sealed(n) for n in range(1, total + 1)]
    with more(gw, early=1500):
        for data in sealed[:1500]:
            gw.send("wan", data)

    def go_on():
        for data in sealed[1500:]:
            gw.send("wan", data)
            time.sleep(0.0002)
    others = threading.Thread(target=go_on)
    others.start()
    time.sleep(0.01)
    early.add(replay=32)
    others.join()
    all_of(gw, total)
    same(early.counters(), (total, total, {}), "packets, highest number, drops")


def bundle(gw):
    """AH over ESP: what waits at AH's SPI is opened when both have keys."""
    chain = chains.Chain("ah+esp", "tunnel", 4, 4)
    gw.nl.request("policy-add", {"policy": chain.policy()})
    (esp_name, esp_spi, _), (ah_name, ah_spi, _) = chain.layers
    reserve(gw, esp_spi)
    reserve(gw, ah_spi, protocol=moatnl.AH)
    esp = espcodec.Codec(esp_name, chain.keys[0][0])
    ah = espcodec.Ah(ah_name[3:], chain.keys[1][0][1])

    def send(number):
        inner = esp.seal(esp_spi, number, TEMPLATE[:-4] + struct.pack("!I", number), 4)
        head = bytes(IP(src=PEERS[4], dst=OURS[4], proto=51,
                        len=20 + ah.length(4) + len(inner)))
        gw.send("wan", ah.seal(head, ah_spi, number, inner, 50))
        return inner
    with more(gw, early=5):
        for number in (1, 2, 3, 4):
            inner = send(number)
        gw.send("wan", bytes(IP(src=PEERS[4], dst=OURS[4], proto=50,
                                len=20 + len(inner))) + inner)
    with more(gw, in_bundle=1):
        gw.nl.request("sa-add", {"sa": chain.sas(moatnl.IN)})
    send(5)
    all_of(gw, 5)


def fragments(gw):
    """A packet of several pieces, which a tap has seen too."""
    early = Early(gw)
    inner = answer(4, os.urandom(3000))
    esp = early.codec.seal(SPI, 1, bytes(inner), 4)
    outer = IP(src=PEERS[4], dst=OURS[4], proto=50, id=9) / gateway.Raw(esp)
    tap = netns.Link(gw.name, "wan")
    with more(gw, early=1):
        for piece in fragment(outer, 1400):
            gw.send("wan", piece)
    early.add()
    whole = defragment([IP(data) for data in gw.receive("lan", 3)])
    tap.close()
    same([bytes(one.payload).hex() for one in whole], [bytes(inner.payload).hex()], "the packet")
    same(early.counters(), (1, 1, {}), "packets, highest number, drops")


def segments(gw):
    """One GSO packet of ESP in UDP, as GRO makes them."""
    early, wire = Early(gw), f"{gw.name}-wire"
    netns.ip("addr add 192.0.2.2/24 dev wanp",
             f"neigh add 192.0.2.1 lladdr {gw.mac['wan']} dev wanp", ns=wire)
    try:
        with netns.inside(wire), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((PEERS[4], PORT))
            sock.connect((OURS[4], PORT))
            sock.setsockopt(socket.IPPROTO_UDP, 103, len(early.esp(1)))     # UDP_SEGMENT
            with more(gw, early=1):
                sock.send(b"".join(early.esp(n) for n in range(1, 9)))
        early.add(PORT)
        all_of(gw, 8)
        same(early.counters(), (8, 8, {}), "packets, highest number, drops")
    finally:
        netns.ip("addr flush dev wanp", "neigh flush dev wanp nud permanent", ns=wire)


# --- what does not wait -----------------------------------------------------------

def not_held(gw):
    """Who is nobody's endpoint, another port, another protocol, another SPI."""
    early = Early(gw)
    with more(gw, early=1):
        early.send(1, src="192.0.2.77")
        early.send(2, udp=6500)
        gw.send("wan", early.head(40, 51) + struct.pack("!BBHII", 50, 4, 0, SPI, 3) + bytes(28))
        gw.send("wan", early.head(60, 50) + struct.pack("!II", SPI + 1, 4) + bytes(52))
        early.send(5)
    early.add()
    same(numbers(gw, 1), [5], "numbers")


def wrong_encapsulation(gw, udp):
    """What waited is then judged as any packet of its SA."""
    early = Early(gw)
    with more(gw, early=4):
        early.send(1, 2, udp=udp)
        early.send(3, 4, udp=None if udp else PORT)
    early.add(udp)
    all_of(gw, 2)
    same(early.counters(), (2, 2, {"in_encap": 2}), "packets, highest number, drops")


# --- bounds, and the end ------------------------------------------------------------

def in_use():
    """Heads of packets in use, in all of the guest."""
    pathlib.Path("/sys/kernel/slab/skbuff_head_cache/shrink").write_text("1")
    rows = map(str.split, pathlib.Path("/proc/slabinfo").read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == "skbuff_head_cache")


def bound_of_one(gw):
    """Who came first is opened, the rest is counted."""
    early, over = Early(gw), 100
    with more(gw, early=EACH, early_full=over):
        early.send(*range(1, EACH + over + 1))
    early.add()
    all_of(gw, EACH)
    same(early.counters(), (EACH, EACH, {"early_full": over}), "packets, highest number, drops")


def deleted(gw):
    """With the SPI all goes that waits there, and what comes later does not wait."""
    before, early, count = in_use(), Early(gw), 2000
    with more(gw, early=count):
        early.send(*range(1, count + 1))
    check(in_use() >= before + count, f"{in_use()} packets in use, {before} before")
    with more(gw, early_deleted=count):
        gw.nl.request("sa-del", sa_name(SPI))
    wait_for("their memory", lambda: in_use() < before + count // 4)
    with more(gw, early=0):
        early.send(1)
    same(gw.silence("lan"), [], "delivered")


def bound_of_all(gw):
    """All SPIs of a namespace together; what was freed can be used again."""
    count, size = 5000, 1400

    def fill(spi):
        early = Early(gw, spi=spi)
        data = early.head(size, 50) + struct.pack("!I", spi) + bytes(size - 4)
        for _ in range(count):
            gw.send("wan", data)
    with more(gw, early=count, early_full=0):
        fill(SPI)
    before = gw.count("early"), gw.count("early_full")
    fill(SPI + 1)
    held = gw.count("early") - before[0]
    same(held + gw.count("early_full") - before[1], count, "held and refused")
    check(0 < held and (count + held) * size < ALL, f"{count} and {held} packets of {size} bytes")
    with more(gw, early_deleted=count + held):
        gw.nl.request("sa-flush")
    with more(gw, early=count, early_full=0):
        fill(SPI)


def device_goes(gw):
    """No device waits for packets that came by it; they are dropped with its end."""
    other = gateway.Gateway("gw2")
    try:
        early = Early(other)
        with more(other, early=3):
            early.send(1, 2, 3)
        other.links["wan"].close()
        started = time.monotonic()
        netns.ip("link del wan", ns="gw2")
        check(time.monotonic() - started < 5, "the device's end was held up")
        with more(other, early_deleted=3):
            early.add()
        same(early.counters(), (0, 0, {"early_deleted": 3}), "packets, highest number, drops")
    finally:
        other.close()


def namespace_goes(gw):
    """A namespace ends with packets that wait, and gives them back; the socket that would
    have got them, and has its namespace, does not wait with them."""
    before, other, count = in_use(), gateway.Gateway("gw2"), 2000
    early = Early(other)
    with netns.inside("gw2"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((OURS[4], PORT))
        sock.connect((PEERS[4], PORT))      # the packets' exactly, so early demux finds it
        with more(other, early=count):
            early.send(*range(1, count + 1), udp=PORT)
    other.close()
    wait_for("their memory", lambda: in_use() < before + count // 4)
    same(gw.nl.sas(), [], "SAs elsewhere")


def expires(slow, since):
    """A reserved SPI expires, and what waits with it; begun at `since`."""
    check(slow.nl.sas() or time.monotonic() > since + EXPIRES, "the SPI expired too early")
    wait_for("the end of the SPI", lambda: not slow.nl.sas(), EXPIRES + 15)
    same((slow.count("early"), slow.count("early_deleted")), (5, 5), "held and dropped")


def cases():
    for outer in (4, 6):
        for udp in (None, PORT):
            yield (f"IPv{outer}{' and UDP' if udp else ''}: opened in order", in_order, outer,
                   udp)
    yield "newer packets queue behind", under_traffic
    yield "AH over ESP", bundle
    yield "fragments", fragments
    yield "GSO", segments
    yield "what is not held", not_held
    for udp in (None, PORT):
        yield (f"an SA {'in' if udp else 'without'} UDP, and the other kind",
               wrong_encapsulation, udp)
    yield "one SPI's bound", bound_of_one
    yield "its SPI is deleted", deleted
    yield "the namespace's bound", bound_of_all
    yield "its device goes", device_goes
    yield "its namespace goes", namespace_goes


def main():
    results = Results()
    netns.shell("load_moat")
    gw, slow = gateway.Gateway(), gateway.Gateway("slow")
    since = time.monotonic()
    Early(slow).send(*range(1, 6))
    for name, case, *args in cases():
        gw.reset()
        results.run(name, case, gw, *args)
    results.run("a reserved SPI expires", expires, slow, since)
    gw.reset()
    results.run("unload", netns.shell, "unload_moat")
    netns.shell("load_moat async_crypto=1")
    gw.connect()
    for outer in (4, 6):
        gw.reset()
        results.run(f"asynchronous, IPv{outer}", in_order, gw, outer, PORT)
    gw.reset()
    results.run("asynchronous, newer packets queue behind", under_traffic, gw)
    for one in (gw, slow):
        one.close()
    results.run("unload again", netns.shell, "unload_moat")
    results.finish()


main()
