#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Large packets stay whole until they are sealed, and become large again once opened."""
import json
import os
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateways
import netns
from gateways import FAMILY, HOST_B, Keys
from ktap import Results, check, same

MEGABYTES = 2
OWN = {4: "10.1.0.1", 6: "fd00:1::1"}

COUNTERS = """table inet t {
    chain c {
        type filter hook %s priority 0
        tcp sport != 22 ip saddr 10.1.0.0/24 ip daddr 10.2.0.0/24 counter
        tcp sport != 22 ip6 saddr fd00:1::/64 ip6 daddr fd00:2::/64 counter
    }
}
"""


def count(ns):
    """Packets and bytes that a hook of nftables has seen, IPv4 and IPv6."""
    rules = json.loads(netns.run("ip", "netns", "exec", ns, "nft", "-j", "list", "ruleset"))
    found = [e["counter"] for r in rules["nftables"] if "rule" in r
             for e in r["rule"]["expr"] if "counter" in e]
    return sum(c["packets"] for c in found), sum(c["bytes"] for c in found)


def hook(ns, name):
    netns.run("ip", "netns", "exec", ns, "nft", "-f", "-",
              input="flush ruleset\n" + COUNTERS % name)


class Pair:
    """A tunnel between both gateways."""

    def __init__(self, nl, inner, outer, algorithm="aes128gcm16"):
        self.nl = nl
        for side in nl.values():
            side.flush()
        keys = Keys(algorithm)
        gateways.moat_pair(nl["gw-a"], keys, inner, outer)
        gateways.moat_pair(nl["gw-b"], keys.turned(), inner, outer, side_b=True)
        self.spi = keys.spi_out

    def sealed(self):
        return self.nl["gw-a"].sa_of(self.spi)

    def met(self):
        """Packets that met the policy: a large one counts once."""
        return self.nl["gw-a"].policy_of(7)["packets"]


def whole(nl, inner, outer):
    """Forwarded TCP: few packets at the hooks of both gateways, many on the wire."""
    pair = Pair(nl, inner, outer)
    hook("gw-a", "postrouting")
    hook("gw-b", "forward")
    gateways.tcp(inner, os.urandom(MEGABYTES << 20))
    sealed, met = pair.sealed(), pair.met()
    before, _ = count("gw-a")
    after, size = count("gw-b")
    same(met, before, "packets at our hook and at nftables' before it")
    check(met * 2 < sealed["packets"], f"{met} packets met the policy, "
          f"{sealed['packets']} were sealed: they were cut before")
    check(after * 4 < sealed["packets"] * 3, f"{sealed['packets']} packets arrived, {after} "
          f"of {size // after} bytes were forwarded: they were not put together")


def veth_gro(nl, inner, outer):
    """Segments that come singly are one packet again at the gateway's veth, which uses GRO
    for what a veth without TSO sends."""
    senders = ("host-a", "eth0"), ("gw-a", "wan-a")
    try:
        for ns, device in senders:
            netns.run("ip", "netns", "exec", ns, "ethtool", "-K", device, "tso", "off")
        whole(nl, inner, outer)
    finally:
        for ns, device in senders:
            netns.run("ip", "netns", "exec", ns, "ethtool", "-K", device, "tso", "on")


def own(inner, size, sock):
    """The gateway's own sender: what arrives at host-b."""
    data = os.urandom(size)
    sock.sendall(data)
    return data


def snmp(ns, table, name):
    """A counter of a namespace's IP."""
    if table == "Ip":
        lines = [l.split() for l in netns.run("ip", "netns", "exec", ns, "cat",
                                              "/proc/net/snmp").splitlines()
                 if l.startswith("Ip:")]
        return int(lines[1][lines[0].index(name)])
    for line in netns.run("ip", "netns", "exec", ns, "cat", "/proc/net/snmp6").splitlines():
        if line.split()[0] == name:
            return int(line.split()[1])
    raise AssertionError(name)


def first_flight(nl, inner):
    """A local TCP that does not know the tunnel's MTU yet: its first segments are not lost,
    they leave in outer fragments, and later ones fit."""
    pair = Pair(nl, inner, 4)
    for family in ("-4", "-6"):
        netns.run("ip", "-n", "gw-a", family, "route", "flush", "cache")
    fragments = snmp("gw-a", "Ip", "FragCreates")
    received = []
    with gateways.listen("host-b", inner, socket.SOCK_STREAM, 5003) as server:
        def receive():
            connection, _ = server.accept()
            connection.settimeout(30)
            with connection:
                while data := connection.recv(1 << 18):
                    received.append(data)
        thread = threading.Thread(target=receive)
        thread.start()
        with netns.inside("gw-a"):
            sock = socket.socket(FAMILY[inner], socket.SOCK_STREAM)
        with sock:
            sock.settimeout(30)
            sock.bind((OWN[inner], 0))
            sock.connect((HOST_B[inner], 5003))
            sent = own(inner, 100000, sock)
            grown = snmp("gw-a", "Ip", "FragCreates") - fragments
            check(grown, "no segment was too long: nothing was tried")
            sent += own(inner, 500000, sock)
        thread.join()
    check(b"".join(received) == sent, "the data arrived changed")
    again = snmp("gw-a", "Ip", "FragCreates") - fragments
    check(again < 100, f"{again} fragments: it never learnt")
    same(pair.sealed().get("drop", {}), {}, "drops")


def datagrams(nl):
    """UDP segments (UDP_SEGMENT) in one large packet are cut where they are sealed."""
    pair = Pair(nl, 4, 4)
    with gateways.listen("host-b", 4, socket.SOCK_DGRAM, 5004) as server:
        with netns.inside("host-a"):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.connect((HOST_B[4], 5004))
            sock.setsockopt(socket.IPPROTO_UDP, 103, 1000)          # UDP_SEGMENT
            data = os.urandom(20000)
            sock.send(data)
            got = b"".join(server.recv(2000) for _ in range(20))
    check(got == data, "the datagrams arrived changed")
    same((pair.met(), pair.sealed()["packets"]), (1, 20), "packets met and sealed")


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    for ns, devices in (("host-a", ["eth0"]), ("gw-a", ["lan-a", "wan-a"]),
                        ("gw-b", ["lan-b", "wan-b"]), ("host-b", ["eth0"])):
        for device in devices:
            netns.run("ip", "netns", "exec", ns, "ethtool", "-K", device, "gro", "on")
    for ns in ("host-a", "host-b"):
        with netns.inside(ns):  # TCP makes its packets small where a way takes long
            netns.sysctl("net.ipv4.tcp_min_tso_segs", 16)
    nl = {ns: gateways.connect(ns) for ns in ("gw-a", "gw-b")}
    run = results.run
    for inner, outer in ((4, 4), (6, 4), (4, 6), (6, 6)):
        run(f"forwarded TCP, {inner} in {outer}", whole, nl, inner, outer)
    for family in (4, 6):
        run(f"forwarded TCP by GRO of the veths, IPv{family}", veth_gro, nl, family, family)
    for ns in nl:
        netns.run("ip", "netns", "exec", ns, "nft", "flush ruleset")
    for inner in (4, 6):
        run(f"the first flight of a local TCP, IPv{inner}", first_flight, nl, inner)
    run("UDP segments", datagrams, nl)
    for side in nl.values():
        side.flush()
        side.close()
    run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
