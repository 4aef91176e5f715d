#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The classifier against a linear search: many overlapping policies, mixed masks.

Each verdict of flow-get names the policy that this file finds by trying all
of them in their order: priority, then the more specific, then the older.
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
POLICIES, FLOWS = 1200, 600
BITS = {4: 32, 6: 128}
# Few networks, so that policies overlap and packets meet them.
BASE = {4: (0x0a000000, 0x0a010000, 0x0a010100, 0xc0a80000),
        6: (0xfd00 << 112, 0xfd000001 << 96, 0x20010db8 << 96)}
PREFIXES = {4: (13, 16, 23, 24, 29, 30, 31, 32), 6: (33, 64, 96, 112, 120, 126, 127, 128)}
SHORT = {4: (0, 8, 9), 6: (0, 7, 16, 32)}
PROTOCOLS = (0, 6, 17, 17, 1, 47)
PORTS = (7, 53, 80, 443, 500, 1024, 8080, 65535)


def random_address(rng, version):
    """Near one of the bases: some low bits, or a few high ones, are random."""
    base = rng.choice(BASE[version])
    return base ^ rng.getrandbits(rng.choice((1, 2, 4, 9, 16, BITS[version] - 1)))


def random_ports(rng):
    kind = rng.randrange(4)
    if kind < 2:
        return 0, 65535
    if kind == 2:
        port = rng.choice(PORTS)
        return port, port
    return tuple(sorted((rng.choice(PORTS), rng.choice(PORTS))))


class Policy:
    """A random policy; `order` sorts policies as the contract says."""

    def __init__(self, rng, number):
        self.id = number
        self.version = rng.choice((4, 4, 6))
        bits = BITS[self.version]
        self.nets = []
        short = rng.choice((0, 1, None, None, None, None))
        for side in range(2):
            prefix = rng.choice((SHORT if side == short else PREFIXES)[self.version])
            mask = (1 << bits) - (1 << (bits - prefix))
            self.nets.append((random_address(rng, self.version) & mask, mask, prefix))
        self.protocol = rng.choice(PROTOCOLS)
        has_ports = self.protocol in (6, 17, 1)
        self.ports = [random_ports(rng) if has_ports else (0, 65535) for _ in range(2)]
        self.priority = rng.choice((0, 1, 1, 5, 1000, 0xffffffff))
        self.action = rng.choice((BYPASS, DISCARD))
        fixed = self.nets[0][2] + self.nets[1][2]
        width = sum(last - first for first, last in self.ports)
        self.order = (self.priority, -fixed, not self.protocol, width, number)

    def matches(self, flow):
        version, addresses, protocol, ports = flow
        return (version == self.version and
                all(a & mask == net for a, (net, mask, _) in zip(addresses, self.nets)) and
                self.protocol in (0, protocol) and
                all(low <= p <= high for p, (low, high) in zip(ports, self.ports)))

    def attributes(self):
        selector = {}
        for side, (net, _, prefix), (low, high) in zip(("local", "remote"), self.nets,
                                                       self.ports):
            selector[f"{side}-addr"] = net.to_bytes(BITS[self.version] // 8, "big")
            selector[f"{side}-prefix"] = prefix
            if (low, high) != (0, 65535):
                selector[f"{side}-port-min"] = low
                selector[f"{side}-port-max"] = high
        if self.protocol:
            selector["protocol"] = self.protocol
        return {"id": self.id, "priority": self.priority, "action": self.action,
                "selector": selector}


def random_flow(rng, policies):
    """A packet: half of them aim at a policy's networks and ports."""
    version = rng.choice((4, 4, 6))
    addresses = [random_address(rng, version) for _ in range(2)]
    protocol, ports = rng.choice((6, 17, 1, 47, 50)), [rng.choice(PORTS) for _ in range(2)]
    if rng.randrange(2):
        aim = rng.choice(policies)
        version, protocol = aim.version, aim.protocol or protocol
        addresses = [net | random_address(rng, version) & ~mask & ((1 << BITS[version]) - 1)
                     for net, mask, _ in aim.nets]
        ports = [rng.choice((low, high, min(high, low + 1))) for low, high in aim.ports]
    if protocol not in (6, 17, 1):
        ports = [0, 0]
    return version, addresses, protocol, ports


def kernel_says(nl, flow):
    """(id of the policy or 0, verdict)"""
    version, addresses, protocol, ports = flow
    size = BITS[version] // 8
    answer = nl.request("flow-get", {"flow": {
        "src": addresses[0].to_bytes(size, "big"), "dst": addresses[1].to_bytes(size, "big"),
        "protocol": protocol, "sport": ports[0], "dport": ports[1]}})[0]
    return answer.get("policy", {}).get("id", 0), VERDICT[answer["verdict"]]


def oracle(ordered, flow):
    for policy in ordered:
        if policy.matches(flow):
            return policy.id, "bypass" if policy.action == BYPASS else "discard"
    return 0, "clear"


def describe(flow):
    version, addresses, protocol, ports = flow
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return f"{kind(addresses[0])}:{ports[0]} -> {kind(addresses[1])}:{ports[1]} of {protocol}"


def compare(nl, rng, policies):
    """Random packets; at least a few of each verdict, or they prove little."""
    ordered = sorted(policies, key=lambda p: p.order)
    seen = {"clear": 0, "bypass": 0, "discard": 0}
    winners = set()
    for _ in range(FLOWS):
        flow = random_flow(rng, policies)
        expected = oracle(ordered, flow)
        same(kernel_says(nl, flow), expected, describe(flow))
        seen[expected[1]] += 1
        winners.add(expected[0])
    print(f"# {seen}, {len(winners)} policies were met")
    if min(seen.values()) < FLOWS // 100 or len(winners) < 50:
        raise AssertionError(f"{seen} and {len(winners)} policies: too few to mean much")


def main():
    results = Results()
    rng = random.Random(SEED)
    netns.shell("load_moat")
    nl = moatnl.Netlink()
    policies = [Policy(rng, i + 1) for i in range(POLICIES)]

    def add(some):
        for policy in some:
            nl.request("policy-add", {"policy": policy.attributes()})

    def remove(some):
        for policy in some:
            nl.request("policy-del", {"policy": {"id": policy.id}})

    half = POLICIES // 2
    results.run(f"{half} policies are added", add, policies[:half])
    results.run(f"{FLOWS} packets meet the policy they should", compare, nl, rng,
                policies[:half])
    results.run(f"{half} more", add, policies[half:])
    results.run(f"{FLOWS} packets", compare, nl, rng, policies)
    rng.shuffle(policies)
    results.run(f"{half} are deleted", remove, policies[:half])
    results.run(f"{FLOWS} packets among those left", compare, nl, rng, policies[half:])
    results.run("the rest is flushed", nl.flush)
    results.run("no policy is left in the way", lambda: [
        same(kernel_says(nl, random_flow(rng, policies))[1], "clear", "verdict")
        for _ in range(50)])
    nl.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
