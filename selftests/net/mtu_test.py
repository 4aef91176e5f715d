#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""At the limit of a tunnel, and one byte over it; and what moves the limit.

The limits in the table are worked out by hand, as for AES-GCM over IPv4:
1500 - 20 (IP) - 8 (ESP) - 8 (IV) - 16 (ICV) = 1448, a multiple of 4, of which
2 are the trailer: 1446. With a block of 16 the 2 come off a multiple of 16.
"""
import dataclasses
import errno
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import chains
import gateway
import moatnl
import netns
from gateway import (FAR, HOST, IP, IPv6, OURS, PEERS, Raw, Tunnel, answer, is_esp, packet,
                     routed, trim)
from ktap import Results, check, same, wait_for
from scapy.layers.inet import ICMP, fragment
from scapy.layers.inet6 import ICMPv6PacketTooBig

COPY, SET, CLEAR = range(3)
TFC_AUTO = 65535
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24


@dataclasses.dataclass
class Case:
    """A tunnel, its limit, and what happens to a packet that is a byte longer."""
    name: str
    limit: int
    inner: int = 4
    outer: int = 4
    algorithm: str = "aes128gcm16"
    link: int = 1500            # MTU of both wires
    route: int = 0              # MTU of the route to the peer, when smaller
    df: bool = True             # of the inner IPv4 packet
    over: str = "told"          # told, or outer or inner fragments
    encap: int = 0              # UDP port, when ESP goes in UDP
    more: dict = dataclasses.field(default_factory=dict)


# later fragments have none: cut inside, they would not be of this SA (RFC 4301 7)
PORTS = {**moatnl.selector(gateway.LOCAL[4], gateway.REMOTE[4]), "protocol": 17,
         "remote-port-min": 2000, "remote-port-max": 2000}

CASES = [
    Case("AES-GCM", 1446),
    Case("AES-GCM, IPv6 in IPv4", 1446, inner=6),
    Case("AES-GCM, IPv4 in IPv6", 1426, outer=6),
    Case("AES-GCM, IPv6 in IPv6", 1426, inner=6, outer=6),
    Case("AES-GCM, ICV of 8", 1454, algorithm="aes256gcm8"),
    Case("AES-CBC, SHA-1", 1438, algorithm="aes128-sha1"),
    Case("AES-CBC, SHA-256", 1438, algorithm="aes128-sha256"),
    Case("AES-CBC, SHA-384", 1422, algorithm="aes256-sha384"),
    Case("AES-CBC, SHA-512, IPv6 in IPv6", 1390, inner=6, outer=6, algorithm="aes256-sha512"),
    Case("NULL, SHA-1", 1458, algorithm="null-sha1"),
    Case("NULL, SHA-256, IPv4 in IPv6", 1434, outer=6, algorithm="null-sha256"),
    Case("jumbo frames", 8946, link=9000),
    Case("jumbo frames, IPv6 in IPv6", 8926, inner=6, outer=6, link=9000),
    Case("in UDP", 1438, encap=4500),
    Case("in UDP, IPv6 in IPv6", 1418, inner=6, outer=6, encap=4500),
    Case("a route of 1300", 1246, route=1300),
    Case("a route of 576", 522, route=576),
    Case("a policy's mtu", 1400, more={"mtu": 1400}),
    Case("a policy's mtu, IPv6", 1300, inner=6, more={"mtu": 1300}),
    Case("padded up to the MTU", 1446, more={"tfc": TFC_AUTO}),
    Case("without DF", 1446, df=False, over="outer"),
    Case("without DF, over IPv6", 1426, outer=6, df=False, over="outer"),
    Case("df clear", 1446, more={"df": CLEAR}, over="outer"),
    Case("df clear, IPv6", 1446, inner=6, more={"df": CLEAR}, over="outer"),
    Case("df set", 1446, more={"df": SET}),
    Case("df set, a packet without", 1446, df=False, more={"df": SET}, over="inner"),
    Case("a policy's mtu, a packet without DF", 1400, df=False, more={"mtu": 1400},
         over="inner"),
    Case("df set, ports, a packet without", 1446, df=False, more={"df": SET, "selector": PORTS},
         over="outer"),
]


def sized(inner, length, df=True, number=1):
    """A packet for the peer's net, this long."""
    one = packet(inner, os.urandom(length - (28 if inner == 4 else 48)), number)
    if inner == 6 or not df:
        return one
    one.flags = "DF"
    del one.chksum
    return IP(bytes(one))


def told(gw, inner, limit, source):
    """The ICMP error for a host: its MTU, and whom it quotes."""
    got = gw.receive("lan", 1)
    same(len(got), 1, "ICMP errors")
    if inner == 4:
        error = IP(got[0])[ICMP]
        same((error.type, error.code, error.nexthopmtu), (3, 4, limit), "ICMP error")
        quoted = bytes(error.payload)
        found = socket.inet_ntop(socket.AF_INET, quoted[12:16])
    else:
        error = IPv6(got[0])[ICMPv6PacketTooBig]
        same(error.mtu, limit, "MTU of the ICMPv6 error")
        quoted = bytes(error.payload)
        found = socket.inet_ntop(socket.AF_INET6, quoted[8:24])
    same(found, source, "source of the packet it quotes")


def whole(tunnel, data):
    """What one outer packet carries: it must be no fragment."""
    ip = tunnel_header(tunnel)(data)
    if tunnel.outer == 4:
        same((ip.flags.MF, ip.frag), (0, 0), "fragment of the outer packet")
    check(is_esp(data) or tunnel.encap, "no ESP at the front of the outer packet")
    return tunnel.opener and trim(tunnel.open(data))


def tunnel_header(tunnel):
    return IP if tunnel.outer == 4 else IPv6


def joined(tunnel, pieces):
    """The outer packet out of its fragments, by hand."""
    if tunnel.outer == 4:
        ips = sorted((IP(p) for p in pieces), key=lambda ip: ip.frag)
        same([(ip.frag * 8, int(ip.flags.MF)) for ip in ips],
             [(0, 1), (len(ips[0].payload), 0)], "offsets of the outer fragments")
        check(not any(ip.flags.DF for ip in ips), "a fragment with DF")
        payload = b"".join(bytes(ip.payload) for ip in ips)
        return bytes(IP(src=ips[0].src, dst=ips[0].dst, proto=50) / Raw(payload))
    heads = sorted((IPv6(p) for p in pieces), key=lambda ip: ip.payload.offset)
    same([(h.nh, h.payload.nh) for h in heads], [(44, 50)] * 2, "outer fragments")
    payload = b"".join(bytes(h.payload.payload) for h in heads)
    return bytes(IPv6(src=heads[0].src, dst=heads[0].dst, nh=50) / Raw(payload))


def on_wan(gw, count):
    """So many packets to the peer, and no more."""
    got = gw.receive("wan", count, wanted=None)
    same(len(got), count, "packets on the wire")
    check(not gw.silence("wan", 0.05), "one more on the wire")
    return got


def over_limit(gw, tunnel, case, one):
    """What the case says has happened to a packet that is too long."""
    if case.over == "told":
        told(gw, case.inner, case.limit, HOST[case.inner])
        check(not gw.silence("wan", 0.05), "it was sent all the same")
        same(tunnel.sa_out()["drop"], {"out_mtu": 1}, "drops")
        return
    got = on_wan(gw, 2)
    if case.over == "outer":
        same(trim(tunnel.open(joined(tunnel, got))), routed(one), "in outer fragments")
    else:
        pieces = [IP(whole(tunnel, data)) for data in got]
        check(max(len(p) for p in pieces) <= case.limit, "an inner fragment is too long")
        same([(p.frag * 8, int(p.flags.MF)) for p in pieces],
             [(0, 1), (len(pieces[0].payload), 0)], "offsets of the inner fragments")
        same(b"".join(bytes(p.payload) for p in pieces), bytes(one.payload),
             "in inner fragments")
        same([int(IP(d).flags.DF) for d in got], [int(case.more.get("df", COPY) == SET)] * 2,
             "outer DF")
    check(not gw.silence("lan", 0.05), "its sender was told")
    same(tunnel.sa_out().get("drop", {}), {}, "drops")


def set_link(gw, mtu):
    netns.ip(f"link set lan mtu {mtu}", f"link set wan mtu {mtu}", ns=gw.name)
    netns.ip(f"link set lanp mtu {mtu}", f"link set wanp mtu {mtu}", ns=f"{gw.name}-wire")


def fresh(gw):
    """No SA, no policy, and nothing learnt about a path."""
    gw.reset()
    netns.run("ip", "-n", gw.name, "route", "flush", "cache")
    netns.run("ip", "-n", gw.name, "-6", "route", "flush", "cache")


def limit(gw, case):
    """One row: at the limit, one byte over it, and what the SA says of it."""
    gw.reset()
    if case.link != 1500:
        set_link(gw, case.link)
    if case.route:
        netns.ip(f"route add {PEERS[4]} dev wan mtu {case.route}", ns=gw.name)
    try:
        tunnel = Tunnel(gw, case.inner, case.outer, case.algorithm, more=case.more,
                        encap=case.encap)
        same(tunnel.sa_out()["mtu"], case.limit, "MTU that the SA says")
        one = sized(case.inner, case.limit, case.df)
        gw.send("lan", one)
        got = on_wan(gw, 1)
        check(len(got[0]) <= (case.route or case.link), f"{len(got[0])} bytes on the wire")
        inside = whole(tunnel, got[0])
        if inside:                      # else scapy lacks the algorithm
            same(inside, routed(one), "at the limit")
        one = sized(case.inner, case.limit + 1, case.df, 2)
        gw.send("lan", one)
        over_limit(gw, tunnel, case, one)
    finally:
        if case.route:
            netns.ip(f"route del {PEERS[4]} dev wan", ns=gw.name)
        if case.link != 1500:
            set_link(gw, 1500)


# --- what is not a row of the table ------------------------------------------

def bundle(gw, outer, size):
    """AH takes 12 and its ICV, in all a multiple of 4 over IPv4 and of 8 over IPv6."""
    fresh(gw)
    chain = chains.Chain("ah+esp", "tunnel", 4, outer)
    chain.install(gw.nl)
    out = chain.layers[0][2]
    same(gw.nl.sa_of(out)["mtu"], size, "MTU that the SA says")
    gw.send("lan", sized(4, size))
    got = on_wan(gw, 1)[0]
    check(1500 - 4 < len(got) <= 1500, f"{len(got)} bytes on the wire")
    gw.send("lan", sized(4, size + 1))
    told(gw, 4, size, HOST[4])
    same(gw.nl.sa_of(out)["drop"], {"out_mtu": 1}, "drops")


def with_options(gw, shape):
    """Cut before it is sealed, the first fragment has all options, others what is to be
    copied (RFC 791 3.1): the router alert here, and not the one of RFC 4727."""
    fresh(gw)
    tunnel = Tunnel(gw, more=shape)
    size = tunnel.sa_out()["mtu"]
    alert, other, ignored = b"\x94\x04\0\0", b"\x1e\x04\xaa\xbb", b"\x01" * 4
    one = bytearray(bytes(sized(4, size + 40 - 8, df=False)))
    one[0] = 0x47
    one[20:20] = alert + other
    one[2:4] = (size + 40).to_bytes(2, "big")
    one = IP(bytes(one))
    del one.chksum
    gw.send("lan", one)
    pieces = [trim(tunnel.open(data)) for data in on_wan(gw, 2)]
    same([p[20:28] for p in pieces], [alert + other, alert + ignored], "options")
    for piece in pieces:
        check(len(piece) <= size, f"an inner fragment of {len(piece)} bytes")
        head = IP(piece)
        right = head.chksum
        del head.chksum
        same(right, IP(bytes(head)).chksum, "checksum")
    same([(IP(p).frag * 8, int(IP(p).flags.MF)) for p in pieces],
         [(0, 1), (len(pieces[0]) - 28, 0)], "offsets")
    same(b"".join(p[28:] for p in pieces), bytes(one)[28:], "payload")
    same(tunnel.sa_out().get("drop", {}), {}, "drops")


def ipv6_minimum(gw):
    """Below 1280 an IPv6 sender is told 1280, and such packets leave in outer fragments."""
    fresh(gw)
    netns.ip(f"route add {PEERS[4]} dev wan mtu 1300", ns=gw.name)
    try:
        tunnel = Tunnel(gw, 6, 4)
        same(tunnel.sa_out()["mtu"], 1246, "MTU")
        gw.send("lan", sized(6, 1281))
        told(gw, 6, 1280, HOST[6])
        one = sized(6, 1280)
        gw.send("lan", one)
        same(trim(tunnel.open(joined(tunnel, on_wan(gw, 2)))), routed(one), "1280 bytes")
    finally:
        netns.ip(f"route del {PEERS[4]} dev wan", ns=gw.name)


def behind_nat(gw, inner):
    """A host whose source is translated before the tunnel is told by its own address."""
    fresh(gw)
    source, near = {4: ("10.7.0.9", "10.1.0.1"), 6: ("fd00:7::9", "fd00:1::1")}[inner]
    net, far = {4: ("10.7.0.0/24", "10.2.0.0/24"), 6: ("fd00:7::/64", "fd00:2::/64")}[inner]
    kind = "ip" if inner == 4 else "ip6"
    netns.run("ip", "netns", "exec", gw.name, "nft", "-f", "-", input=f"""table {kind} t {{
        chain c {{ type nat hook postrouting priority 100
            {kind} saddr {net} {kind} daddr {far} snat to {near}
        }}
    }}
    """)
    netns.ip(f"route add {net} via {HOST[inner]}", ns=gw.name)
    try:
        Tunnel(gw, inner)
        one = sized(inner, 1447)
        one.src = source
        del one.payload.chksum
        if inner == 4:
            del one.chksum
        gw.send("lan", one)
        told(gw, inner, 1446, source)
    finally:
        netns.run("ip", "netns", "exec", gw.name, "nft", "flush ruleset")
        netns.ip(f"route del {net}", ns=gw.name)


def local_sender(gw, inner):
    """A socket of the gateway's: EMSGSIZE, and then it knows the MTU."""
    fresh(gw)
    tunnel = Tunnel(gw, inner, 4)
    family, level, discover, ask, ours = {
        4: (socket.AF_INET, socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU, "10.1.0.1"),
        6: (socket.AF_INET6, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU, "fd00:1::1"),
    }[inner]
    head = 28 if inner == 4 else 48
    with netns.inside(gw.name):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(level, discover, IP_PMTUDISC_DO)
        sock.bind((ours, 1234))
        sock.connect((FAR[inner], 5678))
        sock.send(bytes(1446 - head))
        same(len(whole(tunnel, on_wan(gw, 1)[0])), 1446, "at the limit")
        for _ in range(2):              # by us; then by the route that has learnt
            try:
                sock.send(bytes(1447 - head))
                check(False, "1447 bytes were sent")
            except OSError as error:
                same(error.errno, errno.EMSGSIZE, "error")
        same(sock.getsockopt(level, ask), 1446, "what the socket has learnt")
    check(not gw.silence("wan", 0.05), "it left")


def icmp_about(data, mtu, **changed):
    """A router's word about a packet of ours."""
    if data[0] >> 4 == 4:
        # the least (RFC 792) holds no number of AH
        quoted = bytearray(data[:28 if is_esp(data) else 32])
        head = IP(src="192.0.2.254", dst=OURS[4]) / ICMP(type=3, code=4, nexthopmtu=mtu)
    else:
        quoted = bytearray(data[:1000])
        head = IPv6(src="2001:db8::fe", dst=OURS[6]) / ICMPv6PacketTooBig(mtu=mtu)
    for offset, value in changed.get("at", []):
        quoted[offset:offset + len(value)] = value
    return bytes(head / Raw(bytes(quoted)))


def learnt(gw, outer, inner_mtu, algorithm="aes128gcm16"):
    """A router's ICMP error about our packet moves the limit; a forged one does not."""
    fresh(gw)
    tunnel = Tunnel(gw, 4, outer, algorithm)
    usual = tunnel.sa_out()["mtu"]
    gw.send("lan", sized(4, 1000))
    data = on_wan(gw, 1)[0]
    start = (20 if outer == 4 else 40) + (4 if algorithm.startswith("ah-") else 0)
    head = (9, 15) if outer == 4 else (6, 23)
    check(data[head[0]] in (50, 51), "neither ESP nor AH")
    refused = gw.count("icmp_refused")
    forged = [
        [(start, b"\xde\xad\xbe\xef")],                # no such SPI
        [(start + 4, b"\0\0\0\2")],                     # a number that was not sent
        [(start + 4, b"\0\0\0\0")],
        [(head[1], b"\x77")],                           # not our source
    ]
    for at in forged:
        gw.send("wan", icmp_about(data, 1400, at=at))
    wait_for("three refusals", lambda: gw.count("icmp_refused") == refused + 3)
    same(tunnel.sa_out()["mtu"], usual, "MTU after forged errors")
    gw.send("wan", icmp_about(data, 1400))
    wait_for("the new MTU", lambda: tunnel.sa_out()["mtu"] == inner_mtu)
    gw.send("lan", sized(4, inner_mtu + 1))
    told(gw, 4, inner_mtu, HOST[4])


def fragments_in(gw):
    """The peer's outer fragments are put together, in either order."""
    fresh(gw)
    tunnel = Tunnel(gw)
    for seq in (1, 2):
        one = answer(4, os.urandom(1800), seq)
        pieces = fragment(IP(tunnel.seal(one, seq)), 1000)
        check(len(pieces) >= 2, "no fragments")
        for piece in pieces if seq == 1 else reversed(pieces):
            gw.send("wan", piece)
        got = gw.receive("lan", 2)
        payload = b"".join(bytes(IP(d).payload) for d in sorted(got, key=lambda d: IP(d).frag))
        same(payload, bytes(one.payload), "what the host got")


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    run = results.run
    for case in CASES:
        run(case.name, limit, gw, case)
    run("below IPv6's minimum", ipv6_minimum, gw)
    for outer, size in ((4, 1418), (6, 1394)):
        run(f"AH over ESP, over IPv{outer}", bundle, gw, outer, size)
    for shape in ({"df": SET}, {"mtu": 1400}):
        run(f"IPv4 options, policy with {shape}", with_options, gw, shape)
    for inner in (4, 6):
        run(f"behind NAT, IPv{inner}", behind_nat, gw, inner)
        run(f"a local datagram, IPv{inner}", local_sender, gw, inner)
    run("learnt from ICMP", learnt, gw, 4, 1346)
    run("learnt from ICMPv6", learnt, gw, 6, 1326)
    run("learnt from ICMP about AH", learnt, gw, 4, 1352, "ah-sha256")
    run("learnt from ICMPv6 about AH", learnt, gw, 6, 1328, "ah-sha256")
    run("the peer's fragments", fragments_in, gw)
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
