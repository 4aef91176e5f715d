#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The classifier against a linear search: 10,000 overlapping policies of mixed
prefixes, protocols, ports, types, marks and priorities.

Each verdict of flow-get names the policy that this file finds by trying all of
them in their order: priority, then the more specific, then the older. No packet
comes twice. Whom a policy is shadowed by is found in the same way.
"""
import ipaddress
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import moatnl
import netns
from ktap import Results, same
from moatnl import BYPASS, DISCARD, VERDICT

SEED = int(os.environ.get("MOAT_SEED", "1"))
POLICIES = int(os.environ.get("MOAT_POLICIES", "10000"))
FLOWS = int(os.environ.get("MOAT_FLOWS", "600"))
BITS = {4: 32, 6: 128}
# Few networks, so that policies overlap and packets meet them.
BASE = {4: (0x0a000000, 0x0a010000, 0x0a010100, 0xc0a80000),
        6: (0xfd00 << 112, 0xfd000001 << 96, 0x20010db8 << 96)}
PREFIXES = {4: (0, 8, 9, 13, 16, 19, 23, 24, 26, 29, 30, 31, 32),
            6: (0, 7, 16, 32, 33, 48, 64, 96, 112, 120, 126, 127, 128)}
TCP, UDP, GRE, MH = 6, 17, 47, 135
ICMP = {4: 1, 6: 58}
PORTS = (7, 53, 80, 443, 500, 1024, 8080, 65535)
TYPES = (0, 3, 8, 11, 128, 129, 200, 255)
ANY = (0, 65535)


def has_type(protocol):
    return protocol in (1, 58, MH)


def random_address(rng, version):
    """Near one of the bases: some low bits, or a few high ones, are random."""
    base = rng.choice(BASE[version])
    return base ^ rng.getrandbits(rng.choice((1, 2, 4, 9, 16, BITS[version] - 1)))


def random_ports(rng):
    kind = rng.randrange(6)
    if kind < 2:
        return ANY
    if kind == 2:
        port = rng.choice(PORTS)
        return port, port
    if kind == 3:
        return tuple(sorted((rng.choice(PORTS), rng.choice(PORTS))))
    return tuple(sorted((rng.randrange(65536), rng.randrange(65536))))


def random_types(rng):
    """One number, type * 256 + code, of RFC 4301 4.4.1.1: a type, a range, a code."""
    first, last = sorted((rng.choice(TYPES), rng.choice(TYPES)))
    return rng.choice((ANY, (first << 8, last << 8 | 255), (first << 8, first << 8 | 255),
                       (first << 8 | 1, first << 8 | 4), (first << 8 | 7, last << 8 | 9 | 6)))


class Policy:
    """A random policy; `order` sorts policies as the contract says."""

    def __init__(self, rng, number):
        self.id = number
        self.version = rng.choice((4, 4, 6))
        bits = BITS[self.version]
        self.nets = []
        for _ in range(2):
            prefix = rng.choice(PREFIXES[self.version])
            mask = (1 << bits) - (1 << (bits - prefix))
            self.nets.append((random_address(rng, self.version) & mask, mask, prefix))
        self.protocol = rng.choice((0, TCP, UDP, UDP, ICMP[self.version], MH, GRE))
        self.ports = [ANY, ANY]
        if self.protocol in (TCP, UDP):
            self.ports = [random_ports(rng), random_ports(rng)]
        elif has_type(self.protocol):
            self.ports = [random_types(rng), ANY]
        self.mark, self.mark_mask = rng.choice(((0, 0),) * 12 + (
            (1, 0xffffffff), (0, 0xffffffff), (0x10, 0xf0), (1, 1)))
        self.priority = rng.choice((0, 1, 1, 5, 1000, 0xffffffff, rng.getrandbits(32)))
        self.action = rng.choice((BYPASS, DISCARD))
        fixed = self.nets[0][2] + self.nets[1][2]
        width = sum(last - first for first, last in self.ports)
        self.order = (self.priority, -fixed, not self.protocol, width, not self.mark_mask,
                      number)

    def row(self):
        """Flat, for a search that is linear, and long."""
        (local, local_mask, _), (remote, remote_mask, _) = self.nets
        return (local_mask, local, remote_mask, remote, self.protocol, *self.ports[0],
                *self.ports[1], self.mark_mask, self.mark, self.id, self.action)

    def covers(self, other):
        return (self.version == other.version and
                all(mine[2] <= its[2] and its[0] & mine[1] == mine[0]
                    for mine, its in zip(self.nets, other.nets)) and
                self.protocol in (0, other.protocol) and
                all(mine[0] <= its[0] and mine[1] >= its[1]
                    for mine, its in zip(self.ports, other.ports)) and
                not self.mark_mask & ~other.mark_mask and
                other.mark & self.mark_mask == self.mark)

    def above_all(self):
        """Neighbour discovery passes above all policies."""
        return (self.version == 6 and self.protocol == 58 and self.ports[0][0] >= 133 << 8 and
                self.ports[0][1] <= 137 << 8 | 255)

    def attributes(self):
        selector = {}
        for side, (net, _, prefix), (low, high) in zip(("local", "remote"), self.nets,
                                                       self.ports):
            selector[f"{side}-addr"] = net.to_bytes(BITS[self.version] // 8, "big")
            selector[f"{side}-prefix"] = prefix
            if (low, high) != ANY:
                selector[f"{side}-port-min"] = low
                selector[f"{side}-port-max"] = high
        if self.protocol:
            selector["protocol"] = self.protocol
        marks = {"mark": self.mark, "mark-mask": self.mark_mask} if self.mark_mask else {}
        return {"id": self.id, "priority": self.priority, "action": self.action,
                "selector": selector, **marks}


def random_flow(rng, policies):
    """A packet: most of them aim at a policy's networks, ports and mark."""
    version = rng.choice((4, 4, 6))
    addresses = [random_address(rng, version) for _ in range(2)]
    protocol, ports = rng.choice((TCP, UDP, 50)), [rng.choice(PORTS) for _ in range(2)]
    mark = rng.choice((0, 0, 1, 0x10, 0x1f))
    if rng.randrange(4):
        aim = rng.choice(policies)
        version, protocol = aim.version, aim.protocol or protocol
        addresses = [net | random_address(rng, version) & ~mask & ((1 << BITS[version]) - 1)
                     for net, mask, _ in aim.nets]
        ports = [rng.choice((low, high, min(high, low + 1))) for low, high in aim.ports]
        mark = aim.mark | mark & ~aim.mark_mask
    if has_type(protocol):
        ports = [ports[0] & 0xff00 if protocol == MH else ports[0], 0]
    elif protocol not in (TCP, UDP):
        ports = [0, 0]
    return version, tuple(addresses), protocol, tuple(ports), mark


def kernel_says(nl, flow):
    """(id of the policy or 0, verdict)"""
    version, addresses, protocol, ports, mark = flow
    size = BITS[version] // 8
    if has_type(protocol):
        ports = ports[0] >> 8, ports[0] & 255
    answer = nl.request("flow-get", {"flow": {
        "src": addresses[0].to_bytes(size, "big"), "dst": addresses[1].to_bytes(size, "big"),
        "protocol": protocol, "sport": ports[0], "dport": ports[1], "mark": mark}})[0]
    return answer.get("policy", {}).get("id", 0), VERDICT[answer["verdict"]]


def oracle(rows, flow):
    version, (local, remote), protocol, (sport, dport), mark = flow
    if version == 6 and protocol == 58 and 133 <= sport >> 8 <= 137:
        return 0, "bypass"
    for (local_mask, local_net, remote_mask, remote_net, wanted, local_low, local_high,
         remote_low, remote_high, mark_mask, mark_wanted, number, action) in rows[version]:
        if (local & local_mask == local_net and remote & remote_mask == remote_net and
                wanted in (0, protocol) and local_low <= sport <= local_high and
                remote_low <= dport <= remote_high and mark & mark_mask == mark_wanted):
            return number, "bypass" if action == BYPASS else "discard"
    return 0, "clear"


def describe(flow):
    version, addresses, protocol, ports, mark = flow
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return (f"{kind(addresses[0])}:{ports[0]} -> {kind(addresses[1])}:{ports[1]} "
            f"of {protocol}, mark {mark:#x}")


def compare(nl, rng, policies, least=FLOWS // 10):
    """Random packets; at least a few of each verdict, or they prove little."""
    ordered = sorted(policies, key=lambda p: p.order)
    rows = {v: [p.row() for p in ordered if p.version == v] for v in (4, 6)}
    seen = {"clear": 0, "bypass": 0, "discard": 0}
    winners, flows = set(), set()
    while len(flows) < FLOWS:
        flow = random_flow(rng, policies)
        if flow in flows:
            continue
        flows.add(flow)
        expected = oracle(rows, flow)
        same(kernel_says(nl, flow), expected, describe(flow))
        seen[expected[1]] += 1
        winners.add(expected[0])
    print(f"# {seen}, {len(winners)} policies were met")
    if min(seen["bypass"], seen["discard"]) < FLOWS // 10 or len(winners) < least:
        raise AssertionError(f"{seen} and {len(winners)} policies: too few to mean much")


def shadows(nl, rng, policies):
    """A sample of them says by whom it is shadowed, if it is."""
    ordered = sorted(policies, key=lambda p: p.order)
    place = {p.id: i for i, p in enumerate(ordered)}
    found = 0
    for policy in rng.sample(policies, min(200, len(policies))):
        better = ordered[:place[policy.id]]
        expected = next((p.id for p in better if p.covers(policy)), None)
        if policy.above_all():
            expected = 0
        same(nl.policy_of(policy.id).get("shadowed"), expected,
             f"who shadows policy {policy.id}")
        found += expected is not None
    print(f"# {found} policies of the sample are shadowed")
    if not 5 < found < 195:
        raise AssertionError(f"{found} shadowed ones: too few, or too many, to mean much")


def same_networks(nl, rng):
    """Port ranges on one pair of networks, which no prefix tells apart."""
    class Range(Policy):
        def __init__(self, number):
            super().__init__(rng, number)
            self.version, self.protocol, self.mark_mask, self.mark = 4, UDP, 0, 0
            self.nets = [(0x0a010000, 0xffff0000, 16), (0x0a020000, 0xffff0000, 16)]
            self.ports = [tuple(sorted((rng.randrange(65536), rng.randrange(65536))))
                          for _ in range(2)]
            self.priority = rng.getrandbits(32)
            self.order = (self.priority, number)
    policies = [Range(i + 1) for i in range(1000)]
    add(nl, policies)
    # Those that are met first take most packets.
    compare(nl, rng, policies, 20)
    nl.flush()


def add(nl, policies):
    nl.batch("policy-add", [{"policy": policy.attributes()} for policy in policies])


def remove(nl, policies):
    nl.batch("policy-del", [{"policy": {"id": policy.id}} for policy in policies])


def main():
    results = Results()
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    netns.shell("load_moat")
    nl = moatnl.Netlink()
    policies = [Policy(rng, i + 1) for i in range(POLICIES)]
    results.run(f"{POLICIES} policies are added", add, nl, policies)
    results.run(f"{FLOWS} packets meet the policy they should", compare, nl, rng, policies)
    results.run("policies say by whom they are shadowed", shadows, nl, rng, policies)
    rng.shuffle(policies)
    few = POLICIES // 10
    results.run("nine of ten are deleted", remove, nl, policies[few:])
    results.run(f"{FLOWS} packets among those left", compare, nl, rng, policies[:few])
    results.run("shadows among those left", shadows, nl, rng, policies[:few])
    results.run("the rest is flushed", nl.flush)
    results.run("no policy is left in the way", lambda: [
        same(kernel_says(nl, flow)[1], "clear", "verdict")
        for flow in (random_flow(rng, policies) for _ in range(50))
        if not has_type(flow[2])])
    results.run("1000 ranges of ports on one pair of networks", same_networks, nl, rng)
    nl.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
