#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel tells by itself: acquires, limits, first use, unknown SPIs.

    left 192.0.2.1 ------ 192.0.2.2 right
     10.1.0.1 (lo)         10.2.0.1 (lo)

Datagrams go from 10.1.0.1 to 10.2.0.1; each carries its number.
"""
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import moatnl
import netns
from ktap import Results, check, same, wait_for
from moatnl import IN, OUT

ALGORITHM = "aes128gcm16"
KEY = (bytes(range(20)), b"")
LEFT, RIGHT = "192.0.2.1", "192.0.2.2"
HERE, THERE = "10.1.0.1", "10.2.0.1"
SPI, PORT, SIZE = 0x2000, 7007, 100
PACKET = 20 + 8 + SIZE
UDP_SEGMENT = 103


def topology():
    netns.ip("netns add left", "netns add right",
             "link add v0 netns left type veth peer name v1 netns right")
    for ns, device, outer, inner, other, peer in (
            ("left", "v0", LEFT, HERE, THERE, RIGHT),
            ("right", "v1", RIGHT, THERE, HERE, LEFT)):
        netns.ip("link set lo up", f"addr add {outer}/24 dev {device}",
                 f"addr add {inner}/32 dev lo", f"link set {device} up",
                 f"route add {other} via {peer} src {inner}", ns=ns)


class Pair:
    """Policy 7 on both sides, sockets and netlink; gone at the end."""

    def __init__(self, **more):
        with netns.inside("left"):
            self.left = moatnl.Netlink()
            self.events = moatnl.Netlink(events=True)
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with netns.inside("right"):
            self.right = moatnl.Netlink()
            self.right_events = moatnl.Netlink(events=True)
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.bind((HERE, 0))
        self.receiver.bind((THERE, PORT))
        self.sent = 0
        self.left.request("policy-add", {"policy": moatnl.policy(
            7, HERE, THERE, LEFT, RIGHT, **more)})
        self.right.request("policy-add", {"policy": moatnl.policy(
            7, THERE, HERE, RIGHT, LEFT)})
        self.before = self.left.stats()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for nl in (self.left, self.right):
            nl.flush()
        for one in (self.left, self.right, self.events, self.right_events, self.sender,
                    self.receiver):
            one.close()

    def inbound(self, spi=SPI, **more):
        self.right.request("sa-add", {"sa": moatnl.sa(
            IN, spi, LEFT, RIGHT, ALGORITHM, KEY, policy=7, **more)})

    def switch(self, spi=SPI, **more):
        self.left.request("policy-switch", {"policy": {"id": 7}, "sa": moatnl.sa(
            OUT, spi, LEFT, RIGHT, ALGORITHM, KEY, **more)})

    def send(self, count=1):
        for _ in range(count):
            self.sender.sendto(self.sent.to_bytes(4, "big") + bytes(SIZE - 4),
                               (THERE, PORT))
            self.sent += 1

    def received(self, count, seconds=10):
        """The numbers of the next datagrams."""
        numbers = []
        self.receiver.settimeout(seconds)
        try:
            while len(numbers) < count:
                numbers.append(int.from_bytes(self.receiver.recv(2048)[:4], "big"))
        except socket.timeout:
            pass
        return numbers

    def counted(self, name):
        """What a counter of the left side has grown by."""
        return self.left.stats()[name] - self.before[name]

    def event(self, kind, seconds=10):
        """The next event, which must be of this kind."""
        found = self.events.next_event(seconds)
        check(found, f"no {kind} in {seconds} s")
        same(found[0], kind, "event")
        return found[1]

    def silence(self, seconds=1.0):
        found = self.events.next_event(seconds)
        check(not found, f"an event too many: {found}")


# --- acquire and held packets --------------------------------------------------

def first_packet():
    """One acquire for many packets, with policy and flow; all arrive, in order."""
    with Pair() as pair:
        pair.send(40)
        event = pair.event("acquire-ntf")
        policy, flow = event["policy"], event["flow"]
        same((policy["id"], policy["local"], policy["remote"]),
             (7, moatnl.address(LEFT), moatnl.address(RIGHT)), "policy of the acquire")
        same((flow["src"], flow["dst"], flow["protocol"], flow["sport"], flow["dport"]),
             (moatnl.address(HERE), moatnl.address(THERE), 17,
              pair.sender.getsockname()[1], PORT), "flow of the acquire")
        pair.silence()
        found = pair.left.policy_of(7)
        same((found["held"], found.get("acquire")), (40, True), "policy while held")
        pair.inbound()
        pair.switch()
        pair.send(3)
        same(pair.received(43), list(range(43)), "datagrams")
        found = pair.left.policy_of(7)
        same((found["held"], found.get("acquire"), found["spi"]), (0, None, SPI),
             "policy afterwards")
        same((pair.counted("acquires"), pair.counted("held")), (1, 40), "counters")
        pair.silence()


def repeated():
    """The acquire comes again after 5 s, and not once the policy has its SA."""
    with Pair() as pair:
        pair.send()
        pair.event("acquire-ntf")
        started = time.monotonic()
        again = pair.event("acquire-ntf", 15)
        took = time.monotonic() - started
        check(4 < took < 12, f"it came after {took:.1f} s")
        same(again["policy"]["id"], 7, "policy")
        pair.inbound()
        pair.switch()
        same(pair.received(1), [0], "datagrams")
        pair.silence(7)


def too_many():
    """More than fit are dropped and counted; those that came first are sent."""
    with Pair() as pair:
        pair.send(100)
        same((pair.counted("held"), pair.counted("hold_full")), (64, 36), "held and full")
        same(pair.left.policy_of(7)["drop"], {"hold_full": 36}, "drops of the policy")
        pair.inbound()
        pair.switch()
        same(pair.received(64), list(range(64)), "datagrams")


def too_long():
    """Held packets are dropped after 30 s; the next one asks again."""
    with Pair() as pair:
        pair.send(5)
        started = time.monotonic()
        wait_for("the end of held packets", lambda: pair.counted("hold_timeout") == 5, 60)
        took = time.monotonic() - started
        check(29 < took < 50, f"dropped after {took:.1f} s")
        same(pair.left.policy_of(7).get("acquire"), None, "acquire pending")
        while pair.events.next_event(0.5):
            pass
        pair.send()
        pair.event("acquire-ntf")


def policy_deleted():
    """policy-del drops what is held, and counts it."""
    with Pair() as pair:
        pair.send(5)
        pair.left.request("policy-del", {"policy": {"id": 7}})
        same(pair.counted("hold_deleted"), 5, "counter")
        pair.event("acquire-ntf")
        pair.event("policy-gone-ntf")
        pair.silence(6)


def acquire_off():
    """A policy that may not ask drops, and goes on dropping once it may not."""
    with Pair(acquire_off=True) as pair:
        pair.send(3)
        pair.silence()
        same((pair.counted("no_sa"), pair.counted("acquires")), (3, 0), "counters")
        pair.left.request("policy-set", {"policy": {"id": 7}})
        pair.send(2)
        pair.event("acquire-ntf")
        pair.left.request("policy-set", {"policy": {"id": 7, "acquire-off": True}})
        same((pair.counted("hold_deleted"), pair.left.policy_of(7)["held"]), (2, 0),
             "dropped when acquires were switched off")
        pair.silence(6)


def sa_deleted():
    """Without its SA a policy holds and asks again."""
    with Pair() as pair:
        pair.inbound()
        pair.switch()
        pair.send(2)
        same(pair.received(2), [0, 1], "datagrams")
        pair.silence()
        pair.left.request("sa-del", {"sa": {"direction": OUT, "protocol": 50, "spi": SPI,
                                            "dst": RIGHT}})
        pair.send()
        pair.event("acquire-ntf")
        pair.inbound(SPI + 1)
        pair.switch(SPI + 1)
        same(pair.received(1), [2], "datagrams")


# --- limits ----------------------------------------------------------------------

def expiry_of(event):
    return (event["sa"][0]["spi"], event["sa"][0]["direction"], event["sa"][0].get("policy"),
            event.get("hard", False))


def by_count(unit, soft, hard):
    """Soft and hard limit in packets or bytes: each event once, then no SA."""
    with Pair() as pair:
        pair.inbound()
        pair.switch(**{f"soft_{unit}": soft, f"hard_{unit}": hard})
        pair.send(4)
        pair.silence(0.5)
        pair.send()
        same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, False), "soft")
        same(pair.left.sa_of(SPI)["state"], 2, "state after the soft limit")
        pair.send(3)
        pair.silence(0.5)
        pair.send()
        last = pair.event("expire-ntf")
        same(expiry_of(last), (SPI, OUT, 7, True), "hard")
        same((last["sa"][0]["packets"], last["sa"][0]["seq"]), (9, 9), "last counters")
        wait_for("the end of the SA", lambda: not pair.left.sas())
        same(pair.received(9), list(range(9)), "datagrams")
        same(pair.left.policy_of(7).get("spi"), None, "SA of the policy")
        pair.send()
        pair.event("acquire-ntf")


def by_bytes_exceeded():
    """A packet that goes beyond the hard limit is not sent."""
    with Pair() as pair:
        pair.inbound()
        pair.switch(hard_bytes=2 * PACKET + 1)
        pair.send(3)
        same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, True), "hard")
        same(pair.received(3, 2), [0, 1], "datagrams")
        same(pair.counted("life_hard"), 1, "life_hard")


def inbound_by_count(unit, size):
    """Soft and hard limit of an inbound SA: each event once, then no SA."""
    with Pair() as pair:
        pair.inbound(**{f"soft_{unit}": 2 * size, f"hard_{unit}": 3 * size})
        pair.switch()
        pair.send(3)
        same(pair.received(3), [0, 1, 2], "datagrams")
        found = [pair.right_events.next_event(5) for _ in range(3)]
        same([(kind, expiry_of(event)) for kind, event in found],
             [("first-use-ntf", (SPI, IN, 7, False)),
              ("expire-ntf", (SPI, IN, 7, False)),
              ("expire-ntf", (SPI, IN, 7, True))], "events")
        same(found[2][1]["sa"][0]["packets"], 3, "last count of packets")
        wait_for("the end of the SA", lambda: not pair.right.sas())
        check(not pair.right_events.next_event(0.5), "an event too many")


def by_seconds():
    """Limits in seconds, of both directions, with packets and without."""
    with Pair() as pair:
        started = time.monotonic()
        pair.inbound(soft_seconds=3, hard_seconds=6)
        pair.switch(soft_seconds=3, hard_seconds=6)
        pair.send()
        same(pair.right_events.next_event()[0], "first-use-ntf", "event")
        for hard in (False, True):
            same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, hard), "event")
            took = time.monotonic() - started
            due = 6 if hard else 3
            check(due <= took + 0.1 and took < due + 4, f"due at {due} s, at {took:.1f} s")
            same(expiry_of(pair.right_events.next_event()[1]), (SPI, IN, 7, hard), "inbound")
        wait_for("the end of the SAs", lambda: not pair.left.sas() + pair.right.sas())
        pair.silence()
        check(not pair.right_events.next_event(0), "an event too many, inbound")


def all_limits():
    """Three soft limits of one SA raise an event each."""
    with Pair() as pair:
        pair.switch(soft_seconds=2, soft_bytes=2 * PACKET, soft_packets=3)
        pair.send(4)
        for _ in range(3):
            same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, False), "event")
        pair.silence(2)


def in_a_burst(soft, hard):
    """Limits in packets and bytes, both met by one GSO packet: each event once, and what is
    beyond the hard ones stays here."""
    with Pair() as pair:
        pair.inbound()
        pair.switch(soft_packets=soft, soft_bytes=soft * PACKET, hard_packets=hard,
                    hard_bytes=hard * PACKET)
        pair.sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
        pair.sender.sendto(b"".join(n.to_bytes(4, "big") + bytes(SIZE - 4) for n in range(20)),
                           (THERE, PORT))
        for _ in range(2):
            same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, False), "soft")
        same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, True), "hard")
        pair.silence()
        same(pair.received(20, 2), list(range(hard)), "datagrams")
        same(pair.counted("life_hard"), 20 - hard, "life_hard")


def both_in_seconds():
    """A soft limit that is the hard one: both events, in this order."""
    with Pair() as pair:
        pair.switch(soft_seconds=1, hard_seconds=1)
        for hard in (False, True):
            same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, hard), "event")
        pair.silence()


# --- sequence numbers --------------------------------------------------------------

def sequence_limits(esn):
    """A sixteenth before the last number the soft event; after it the hard one."""
    last = (1 << (64 if esn else 32)) - 1
    soft = last - last // 16
    with Pair() as pair:
        pair.inbound(seq=soft - 2, esn=esn)
        pair.switch(seq=soft - 2, esn=esn)
        pair.send()
        pair.silence(0.5)
        pair.send()
        same(expiry_of(pair.event("expire-ntf")), (SPI, OUT, 7, False), "soft")
        pair.send(3)
        pair.silence(0.5)
        same(pair.left.sa_of(SPI)["seq"], soft + 3, "last number sent")
        pair.inbound(SPI + 1, seq=last - 2, esn=esn)
        pair.switch(SPI + 1, seq=last - 2, esn=esn)
        pair.send()
        same(expiry_of(pair.event("expire-ntf")), (SPI + 1, OUT, 7, False), "soft at once")
        pair.send()
        same(expiry_of(pair.event("expire-ntf")), (SPI + 1, OUT, 7, True), "hard")
        same(pair.received(7), list(range(7)), "datagrams")
        same(pair.right.sa_of(SPI + 1)["seq"], last, "highest number received")
        wait_for("the end of the SA",
                 lambda: SPI + 1 not in [s["spi"] for s in pair.left.sas()])
        for sa in pair.left.sas():  # the policy is back at the one before
            pair.left.request("sa-del", {"sa": {"direction": OUT, "protocol": sa["protocol"],
                                                "spi": sa["spi"], "dst": sa["dst"]}})
        pair.send()
        pair.event("acquire-ntf")


def across_32_bits():
    """ESN goes on where 32 bits end, and raises nothing."""
    with Pair() as pair:
        start = (1 << 32) - 3
        pair.inbound(seq=start, esn=True)
        pair.switch(seq=start, esn=True)
        pair.send(6)
        same(pair.received(6), list(range(6)), "datagrams")
        same([nl.sa_of(SPI)["seq"] for nl in (pair.left, pair.right)], [start + 6] * 2,
             "sequence numbers")
        pair.silence(0.5)


def seen_before_start():
    """All below the number that an inbound SA goes on from counts as seen."""
    with Pair() as pair:
        pair.inbound(seq=100)
        pair.switch(seq=97)
        pair.send(5)
        same(pair.received(2, 5), [3, 4], "datagrams")
        found = pair.right.sa_of(SPI)
        same(found["drop"], {"in_replay_dup": 3}, "drops")
        same(found["late"], [{"from": n, "accepted": 0, "refused": 0, "duplicate": 1}
                             for n in (0, 1, 2)], "histogram")


# --- first use ---------------------------------------------------------------------

def first_use():
    """Once per inbound SA, at its first authenticated packet, never outbound."""
    with Pair() as pair:
        pair.inbound()
        pair.inbound(SPI + 1)
        pair.switch()
        check(not pair.right_events.next_event(0.5), "an event before any packet")
        pair.send(5)
        kind, event = pair.right_events.next_event()
        same((kind, expiry_of(event)), ("first-use-ntf", (SPI, IN, 7, False)), "event")
        check(not pair.right_events.next_event(0.5), "a second event")
        pair.switch(SPI + 1)
        pair.send(5)
        kind, event = pair.right_events.next_event()
        same((kind, expiry_of(event)), ("first-use-ntf", (SPI + 1, IN, 7, False)), "event")
        check(not pair.right_events.next_event(0.5), "an event too many")
        same(pair.received(10), list(range(10)), "datagrams")
        check(not pair.events.next_event(0), "an event on the side that sends")


# --- SPIs that nobody has ----------------------------------------------------------

def unknown_spi():
    """Told with protocol, SPI and ends, seldom, and of endpoints of a policy only."""
    with Pair() as pair:
        pair.switch()
        pair.send(20)
        kind, event = pair.right_events.next_event()
        sa = event["sa"][0]
        same((kind, sa["protocol"], sa["spi"], sa["src"], sa["dst"]),
             ("unknown-spi-ntf", moatnl.ESP, SPI, moatnl.address(LEFT),
              moatnl.address(RIGHT)), "event")
        wait_for("the end of the burst", lambda: not pair.right_events.next_event(2))
        pair.send()
        same(pair.right_events.next_event()[0], "unknown-spi-ntf", "a second later")
        pair.right.request("policy-del", {"policy": {"id": 7}})
        same(pair.right_events.next_event()[0], "policy-gone-ntf", "event")
        time.sleep(1.5)
        pair.send()
        check(not pair.right_events.next_event(1), "an event without a policy")
        pair.right.request("policy-add", {"policy": moatnl.policy(
            7, THERE, HERE, RIGHT, LEFT)})
        pair.inbound()
        pair.send()
        same(pair.right_events.next_event()[0], "first-use-ntf", "with the SA")
        check(not pair.right_events.next_event(0.5), "an event too many")


def unknown_spi_rate():
    """One event for a burst within a second."""
    with Pair() as pair:
        pair.switch()
        started = time.monotonic()
        pair.send(50)
        events = 0
        while pair.right_events.next_event(0.5):
            events += 1
        took = time.monotonic() - started
        check(1 <= events <= 1 + took, f"{events} events in {took:.1f} s")


# --- policies that somebody deletes ------------------------------------------------

def policies_gone():
    """One event for each that is deleted, one for all; none for a refusal."""
    with Pair() as pair:
        pair.left.request("policy-add", {"policy": moatnl.policy(
            8, "10.8.0.0/24", "10.9.0.0/24", LEFT, RIGHT)})
        pair.silence(0.5)
        pair.left.request("policy-del", {"policy": {"id": 8}})
        same(pair.event("policy-gone-ntf"), {"policy": {"id": 8}}, "event")
        try:
            pair.left.request("policy-del", {"policy": {"id": 8}})
        except moatnl.Refused:
            pair.silence(0.5)
        pair.left.request("policy-flush", {})
        same(pair.event("policy-gone-ntf"), {}, "event of a flush")
        pair.silence(0.5)


def device_gone():
    """A policy that loses its device is named."""
    with Pair() as pair:
        netns.ip("link add moat9 type moat", ns="left")
        pair.left.request("policy-add", {"policy": moatnl.policy(
            9, "10.8.0.0/24", "10.9.0.0/24", LEFT, RIGHT, device="moat9")})
        netns.ip("link del moat9", ns="left")
        same(pair.event("policy-gone-ntf"), {"policy": {"id": 9}}, "event")
        pair.silence(0.5)


def main():
    results = Results()
    # What different CPUs send overtakes on a veth, with or without us.
    os.sched_setaffinity(0, {0})
    netns.shell("load_moat")
    topology()
    results.run("acquire, held packets, their release in order", first_packet)
    results.run("acquire repeated after 5 s", repeated)
    results.run("more packets than can be held", too_many)
    results.run("policy-del while packets are held", policy_deleted)
    results.run("acquire-off", acquire_off)
    results.run("sa-del of the current SA", sa_deleted)
    results.run("limits in packets", by_count, "packets", 5, 9)
    results.run("limits in bytes", by_count, "bytes", 5 * PACKET, 9 * PACKET)
    results.run("a packet beyond the hard limit in bytes", by_bytes_exceeded)
    results.run("inbound limits in packets", inbound_by_count, "packets", 1)
    results.run("inbound limits in bytes", inbound_by_count, "bytes", PACKET)
    results.run("limits in seconds", by_seconds)
    results.run("three soft limits", all_limits)
    results.run("all limits in one burst", in_a_burst, 5, 9)
    results.run("soft and hard limits at once, in one burst", in_a_burst, 9, 9)
    results.run("soft and hard limits at once, in seconds", both_in_seconds)
    results.run("the last sequence number of 32 bits", sequence_limits, False)
    results.run("the last sequence number of 64 bits", sequence_limits, True)
    results.run("ESN across 2^32", across_32_bits)
    results.run("an inbound SA that goes on", seen_before_start)
    results.run("first use", first_use)
    results.run("an SPI that nobody has", unknown_spi)
    results.run("a burst of them is told once in a second", unknown_spi_rate)
    results.run("policies that are deleted", policies_gone)
    results.run("a device that is deleted", device_gone)
    results.run("packets held too long", too_long)
    netns.ip("netns del left", "netns del right")
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
