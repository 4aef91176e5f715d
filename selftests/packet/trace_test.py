#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tracepoints: what tracefs says of policies, of SAs, and of each dropped packet.

Good packets leave no line; a bad one leaves exactly one, with the namespace, SPI
and policy it belongs to and the name of the counter that went up.
"""
import contextlib
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateway
import moatnl
import netns
from gateway import FAR, HOST, OURS, PEERS, Tunnel, answer, packet, routed, seal_plain, udp_from
from ktap import Results, same, wait_for

TRACING = pathlib.Path("/sys/kernel/tracing")
EVENTS = TRACING / "events/moat"


class Trace:
    """The lines of moat's events, as they come."""

    def __init__(self, gw):
        self.gw = gw
        self.netns = os.stat(f"/run/netns/{gw.name}").st_ino
        self.seen = 0
        (TRACING / "trace").write_text("")

    def lines(self):
        """Event and text of all so far."""
        return re.findall(r": (moat_\w+): (.*)", (TRACING / "trace").read_text())

    def expect(self, *wanted):
        """These lines and no others have come since the last time, all of this namespace."""
        self.gw.nl.stats()              # one request later, whatever was going on is over
        wait_for(f"{len(wanted)} lines; there are {self.lines()[self.seen:]}",
                 lambda: len(self.lines()) >= self.seen + len(wanted))
        found = self.lines()[self.seen:]
        self.seen += len(found)
        same(found, [(event, f"netns {self.netns} {text}") for event, text in wanted], "lines")

    def drop(self, why, spi=0, policy=0):
        """One drop, counted by its name as well."""
        self.expect(("moat_drop", f"spi {spi:#010x} policy {policy}: {why}"))


@contextlib.contextmanager
def tracing(gw):
    """With an empty gateway and all events of moat on."""
    gw.reset()
    (EVENTS / "enable").write_text("1")
    try:
        yield Trace(gw)
    finally:
        (EVENTS / "enable").write_text("0")
        gw.reset()


def sa_line(direction, spi, policy, state):
    return "moat_sa_state", f"{direction} spi {spi:#010x} policy {policy}: {state}"


def life(gw):
    """Policies and SAs from beginning to end."""
    with tracing(gw) as trace:
        nl = gw.nl
        nl.request("spi-alloc", {"sa": {"protocol": 50, "dst": OURS[4]}, "spi-min": 0x5000,
                                 "spi-max": 0x5000})
        trace.expect(sa_line("in", 0x5000, 0, "reserved"))
        tunnel = Tunnel(gw, spis=(0x5000, 0x6000))
        trace.expect(("moat_policy", "policy 7: add"), sa_line("in", 0x5000, 7, "valid"),
                     sa_line("out", 0x6000, 7, "valid"), ("moat_policy", "policy 7: switch"))
        nl.request("policy-switch", {"policy": {"id": 7}, "sa": moatnl.sa(
            moatnl.OUT, 0x6001, OURS[4], PEERS[4], tunnel.algorithm, tunnel.keys_out,
            soft_packets=1, hard_packets=2)})
        trace.expect(sa_line("out", 0x6001, 7, "valid"), ("moat_policy", "policy 7: switch"))
        gw.send("lan", packet(4, b"one"))
        same(len(gw.receive("wan", 1)), 1, "packets")
        trace.expect(sa_line("out", 0x6001, 7, "dying"))
        gw.send("lan", packet(4, b"two"))
        same(len(gw.receive("wan", 1)), 1, "packets")
        trace.expect(sa_line("out", 0x6001, 7, "dead"))
        nl.request("policy-set", {"policy": {"id": 7, "acquire-off": True}})
        trace.expect(("moat_policy", "policy 7: set"))
        nl.request("sa-del", {"sa": {"direction": moatnl.IN, "protocol": 50, "spi": 0x5000,
                                     "dst": OURS[4]}})
        trace.expect(sa_line("in", 0x5000, 7, "dead"))
        nl.request("policy-del", {"policy": {"id": 7}})
        trace.expect(sa_line("out", 0x6000, 7, "dead"), ("moat_policy", "policy 7: del"))


def moved(gw):
    """A policy that follows its peer."""
    with tracing(gw) as trace:
        Tunnel(gw, encap=4500, spis=(0x5000, 0x6000))
        trace.expect(("moat_policy", "policy 7: add"), sa_line("in", 0x5000, 7, "valid"),
                     sa_line("out", 0x6000, 7, "valid"), ("moat_policy", "policy 7: switch"))
        gw.nl.request("sa-move", {"sa": {"direction": moatnl.OUT, "protocol": 50, "spi": 0x6000,
                                         "dst": PEERS[4]}, "addr": "192.0.2.3", "port": 4501})
        trace.expect(("moat_policy", "policy 7: follow"))


def good(gw, family):
    """Packets that are carried leave no line."""
    with tracing(gw) as trace:
        tunnel = Tunnel(gw, family)
        (TRACING / "trace").write_text("")
        for seq in range(1, 4):
            gw.send("lan", packet(family, b"out", seq))
            same(len(gw.receive("wan", 1)), 1, "sealed")
            back = answer(family, b"in", seq)
            gw.send("wan", tunnel.seal(back, seq))
            same(gw.receive("lan", 1), [routed(back)], "opened")
        trace.expect()


def inbound(gw):
    """What the peer, or somebody else, may do wrong."""
    with tracing(gw) as trace:
        tunnel = Tunnel(gw, algorithm="null-sha256")
        (TRACING / "trace").write_text("")
        spi, one = tunnel.spi_in, tunnel.seal(answer(4, b"in"), 100)
        gw.send("wan", one)
        same(len(gw.receive("lan", 1)), 1, "good packets")
        for data, why in (
                (one[:-1] + bytes([one[-1] ^ 1]), "in_replay_dup"),
                (tunnel.seal(answer(4, b"in"), 1), "in_replay_late"),
                (tunnel.seal(answer(4, b"in"), 101)[:-1] + b"\0", "in_icv"),
                (tunnel.seal(answer(4, b"in", src="10.3.0.1"), 102), "in_selector"),
                (seal_plain(tunnel, 103, b"\x01\x01\x09\x04"), "in_padding"),
                (seal_plain(tunnel, 104, b"\x01\x02\x02\x63"), "in_next_header"),
                (seal_plain(tunnel, 105, b"\x01\x02\x02\x04"), "in_inner"),
                (seal_plain(tunnel, 106, b"\x01\x02\x02\x3b"), "in_dummy")):
            gw.send("wan", data)
            trace.drop(why, spi, 7)
        gw.send("wan", answer(4, b"in clear"))
        trace.drop("in_clear", policy=7)


def outbound(gw):
    """What a policy, or the lack of an SA, does to a packet."""
    with tracing(gw) as trace:
        Tunnel(gw, switch=False, more={"acquire-off": True})
        gw.nl.request("policy-add", {"policy": moatnl.policy(
            8, "10.1.0.0/24", "10.8.0.0/24", action=moatnl.DISCARD)})
        (TRACING / "trace").write_text("")
        gw.send("lan", packet(4, b"no SA"))
        trace.drop("no_sa", policy=7)
        gw.send("lan", packet(4, b"discard", dst="10.8.0.1"))
        trace.drop("discard", policy=8)
        gw.nl.request("policy-set", {"policy": {"id": 7}})
        trace.expect(("moat_policy", "policy 7: set"))
        gw.send("lan", packet(4, b"held"))
        wait_for("the packet", lambda: gw.nl.policy_of(7).get("held"))
        trace.expect()
        gw.nl.request("policy-set", {"policy": {"id": 7, "acquire-off": True}})
        trace.expect(("moat_drop", "spi 0x00000000 policy 7: hold_deleted"),
                     ("moat_policy", "policy 7: set"))
        with contextlib.suppress(PermissionError):
            udp_from(gw, ("10.1.0.1", 1), (FAR[4], 9), b"of the gateway's own")
        trace.drop("no_sa", policy=7)


def off(gw):
    """Without the events there is no line, and all goes on."""
    with tracing(gw) as trace:
        (EVENTS / "enable").write_text("0")
        tunnel = Tunnel(gw)
        gw.send("wan", answer(4, b"in clear"))
        wait_for("in_clear", lambda: gw.nl.policy_of(tunnel.number).get("drop"))
        trace.expect()
        (EVENTS / "moat_drop/enable").write_text("1")
        gw.nl.request("policy-set", {"policy": {"id": 7}})
        gw.send("wan", answer(4, b"in clear", dst=HOST[4]))
        trace.drop("in_clear", policy=7)


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    run = results.run
    run("lives of policies and SAs", life, gw)
    run("a policy that follows its peer", moved, gw)
    for family in (4, 6):
        run(f"good packets, IPv{family}", good, gw, family)
    run("bad packets of the peer", inbound, gw)
    run("packets that are not sent", outbound, gw)
    run("events that are off", off, gw)
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
