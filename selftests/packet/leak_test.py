#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways around a policy: each carries a canary that must never be seen in clear.

Fragments under a policy that selects by ports (RFC 4301 7), and ICMP errors
that quote what a policy protects (RFC 4301 6.2), and ESP that is not ours.
"""
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateway
import moatnl
import netns
from gateway import FAR, HOST, LAYER, OURS, Tunnel, answer, is_esp, packet, routed
from ktap import Results, check, same, wait_for
from scapy.layers.inet import ICMP, IP, UDP, defragment, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6TimeExceeded, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
from scapy.packet import Raw

ROUTER = {4: "10.9.0.1", 6: "fd00:9::1"}     # in no policy's networks
PORTS = {"protocol": 17, "remote-port-min": 2000, "remote-port-max": 2000}


def selector(family, **more):
    return {**moatnl.selector(gateway.LOCAL[family], gateway.REMOTE[family]), **more}


def port_tunnel(gw, family, **more):
    """A tunnel for UDP to port 2000 of the far side only."""
    return Tunnel(gw, family, more={"selector": selector(family, **PORTS), **more})


def pieces(family, whole, size):
    """Fragments of `size` octets of payload each."""
    if family == 4:
        return [bytes(p) for p in fragment(whole, size)]
    data, out = bytes(whole)[40:], []
    for start in range(0, len(data), size):
        piece = data[start:start + size]
        out.append(bytes(IPv6(src=whole.src, dst=whole.dst, hlim=whole.hlim, fl=whole.fl) /
                         IPv6ExtHdrFragment(nh=17, offset=start // 8, id=77,
                                            m=int(start + size < len(data))) / Raw(piece)))
    return out


def payload_of(family, data):
    """UDP payload of a packet, whose IP header may differ in what fragmenting changes."""
    layer = LAYER[family](data)
    check(UDP in layer, f"no UDP in {layer.summary()}")
    return bytes(layer[UDP].payload)


def canaries(canary, frames):
    """Packets that hold a part of the canary in clear."""
    parts = [canary[i:i + 8] for i in range(0, len(canary) - 7, 8)]
    return [f.hex() for f in frames if any(p in f for p in parts)]


def collect(gw, device, count):
    """`count` packets, and what came right after them."""
    got = gw.receive(device, count)
    return got + gw.silence(device, 0.2)


# --- fragments -----------------------------------------------------------------

def fragments_sealed(gw, family, length, size, order):
    """Fragments of a protected packet leave as one sealed packet, in any order."""
    tunnel = port_tunnel(gw, family)
    canary = os.urandom(length)
    for piece in order(pieces(family, packet(family, canary), size)):
        gw.send("lan", piece)
    got = collect(gw, "wan", 1)
    same(canaries(canary, got), [], "leaves in clear")
    check(got and all(is_esp(g) for g in got), f"on the wire: {[g.hex() for g in got]}")
    outer = [IP(g) for g in got]
    if len(outer) > 1:
        outer = list(defragment(outer))
    same(len(outer), 1, "sealed packets")
    same(payload_of(family, tunnel.open(bytes(outer[0]))), canary, "what the peer opens")


def fragment_local(gw):
    """A later fragment that a program of this host makes waits for the first."""
    port_tunnel(gw, 4)
    canary = os.urandom(64)
    last = pieces(4, packet(4, canary, src=OURS[4]), 32)[1]
    last = bytes(IP(last, src="10.1.0.1"))
    with netns.inside(gw.name):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock:
        sock.sendto(last, (FAR[4], 0))
    same(canaries(canary, gw.silence("wan", 0.5)), [], "leaves in clear")


def fragments_in_clear(gw, family):
    """What a port policy protects does not arrive in clear, also not in pieces."""
    Tunnel(gw, family, more={"selector": selector(
        family, **{"protocol": 17, "local-port-min": 1000, "local-port-max": 1000})})
    canary = os.urandom(200)
    before = gw.count("in_clear")
    for piece in pieces(family, answer(family, canary), 64):
        gw.send("wan", piece)
    wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
    same(canaries(canary, gw.silence("lan")), [], "arrives")


def joined(family, got):
    """A packet out of its fragments; what is whole stays."""
    if family == 4:
        whole = defragment([IP(g) for g in got])
        same(len(whole), 1, "packets for the host")
        return bytes(whole[0])
    layers = sorted((IPv6(g) for g in got),
                    key=lambda ip: IPv6ExtHdrFragment in ip and ip[IPv6ExtHdrFragment].offset)
    head = bytes(layers[0])[:40]
    parts = [bytes(ip.payload)[8 * (IPv6ExtHdrFragment in ip):] for ip in layers]
    return head[:4] + len(b"".join(parts)).to_bytes(2, "big") + b"\x11" + head[7:] + \
        b"".join(parts)


def fragments_by_sa(gw, family, length, size, **more):
    """A peer that cuts before it seals (RFC 4301 7): by an SA with ports such fragments are
    put together, and judged as what they are."""
    tunnel = port_tunnel(gw, family, **more)
    size, seq = min(size, 1304), 0      # sealed it is longer
    for sport, canary in ((2001, os.urandom(length)), (2000, os.urandom(length))):
        for piece in pieces(family, answer(family, canary, seq + 1, sport=sport), size)[::-1]:
            seq += 1
            gw.send("wan", tunnel.seal(LAYER[family](piece), seq))
        if sport == 2001:
            wait_for("in_selector", lambda: tunnel.drops_in() == {"in_selector": 1})
            same(gw.silence("lan"), [], "arrives, of another port")
    got = collect(gw, "lan", 1 + length // 1400)
    same(payload_of(family, joined(family, got)), canary, "what the host gets")
    same((tunnel.drops_in(), tunnel.sa_in()["packets"]), ({"in_selector": 1}, 1),
         "drops and packets")


def fragments_by_device(gw, family):
    """What a device's SA puts together is longer than the next link, too."""
    netns.ip("link add moat0 type moat", "link set moat0 up", ns=gw.name)
    try:
        fragments_by_sa(gw, family, 3000, 1400, device="moat0")
    finally:
        netns.ip("link del moat0", ns=gw.name)


def fragments_do_not_mix(gw):
    """A fragment out of an SA is not completed by one that came in clear."""
    tunnel = Tunnel(gw)
    gw.nl.request("policy-add", {"policy": moatnl.policy(
        8, "10.30.0.0/24", "10.31.0.0/24", action=moatnl.BYPASS,
        selector={**moatnl.selector("10.30.0.0/24", "10.31.0.0/24"), **PORTS})})
    canary, forged = os.urandom(64), os.urandom(64)
    first, last = pieces(4, answer(4, canary[:56]), 32)
    wrong = pieces(4, answer(4, forged[:56]), 32)[1]
    gw.send("wan", tunnel.seal(IP(first), 1))
    gw.send("wan", wrong)
    same(gw.silence("lan"), [], "arrives, half of it forged")
    gw.send("wan", tunnel.seal(IP(last), 2))
    whole = defragment([IP(g) for g in gw.receive("lan", 2)])
    same([payload_of(4, bytes(w)) for w in whole], [canary[:56]], "arrives at last")


def fragment_hopeless(gw):
    """A first fragment without its ports never passes (RFC 8200 4.5)."""
    port_tunnel(gw, 6)
    canary = os.urandom(32)
    head = IPv6(src=HOST[6], dst=FAR[6], hlim=64)
    piece = bytes(head / IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=5) /
                  Raw(bytes(IPv6ExtHdrDestOpt(nh=17))[:8]))
    before = gw.count("fragment")
    gw.send("lan", piece)
    gw.send("lan", bytes(head / IPv6ExtHdrFragment(nh=60, offset=1, m=0, id=5) /
                         UDP(sport=1000, dport=2000) / Raw(canary)))
    wait_for("the drop", lambda: gw.count("fragment") > before)
    same(canaries(canary, gw.silence("wan")), [], "leaves in clear")


# --- what looks like ours ---------------------------------------------------------

def forwarded_esp(gw, family):
    """A host's own ESP is protected as all else, whatever SPI it has: only what this host has
    sealed passes above the policies."""
    ours, peers = OURS[family], gateway.PEERS[family]
    host = HOST[family]
    tunnel = Tunnel(gw, family, family, more={"selector": moatnl.selector(host, peers)})
    canary = os.urandom(64)
    esp = tunnel.spi_out.to_bytes(4, "big") + bytes([0, 0, 0, 1]) + canary
    head = (IP(src=host, dst=peers, proto=50) if family == 4 else
            IPv6(src=host, dst=peers, nh=50))
    sent = LAYER[family](bytes(head / Raw(esp)))
    gw.send("lan", sent)
    got = gw.receive("wan", 1)
    same(canaries(canary, got), [], "leaves in clear")
    same([tunnel.open(g) for g in got], [routed(sent)], "through the tunnel")
    same(LAYER[family](got[0]).src, ours, "source of what left")


# --- ICMP errors ---------------------------------------------------------------

def quoted(gw, family):
    """What the gateway says about a packet out of an SA goes back through one."""
    tunnel = Tunnel(gw, family)
    canary = os.urandom(32)
    gw.send("wan", tunnel.seal(answer(family, canary, ttl=1), 1))
    got = collect(gw, "wan", 1)
    same(canaries(canary, got), [], "quoted in clear")
    same([is_esp(g) for g in got], [True], "on the wire")
    inner = LAYER[family](tunnel.open(got[0]))
    same(inner.dst, FAR[family], "the error goes to")
    check(canary in bytes(inner), "the error does not quote the packet")
    if family == 4:
        same(inner[ICMP].type, 11, "ICMP type")
    else:
        check(ICMPv6TimeExceeded in inner, inner.summary())


def forward_error(family, about):
    """Port unreachable about a packet, from a router that is in no policy."""
    if family == 4:
        return IP(src=ROUTER[4], dst=about.src) / ICMP(type=3, code=3) / Raw(bytes(about))
    return IPv6(src=ROUTER[6], dst=about.src) / ICMPv6DestUnreach(code=4) / Raw(bytes(about))


def forwarded(gw, family):
    """An error that a router behind us makes leaves by the SA of what it quotes."""
    tunnel = Tunnel(gw, family)
    canary = os.urandom(32)
    error = bytes(forward_error(family, answer(family, canary)))
    gw.send("lan", error)
    got = collect(gw, "wan", 1)
    same(canaries(canary, got), [], "quoted in clear")
    same([is_esp(g) for g in got], [True], "on the wire")
    same(tunnel.open(got[0]).hex(), routed(LAYER[family](error)).hex(), "what the peer opens")


def bypassed_error(gw):
    """A bypass of ICMP lets echoes pass, and no error that quotes a protected packet."""
    tunnel = Tunnel(gw)
    gw.nl.request("policy-add", {"policy": moatnl.policy(
        8, "0.0.0.0/0", "10.2.0.0/24", action=moatnl.BYPASS, priority=0,
        selector={**moatnl.selector("10.9.0.0/24", "10.2.0.0/24"), "protocol": 1})})
    canary = os.urandom(32)
    gw.send("lan", IP(src=ROUTER[4], dst=FAR[4]) / ICMP() / Raw(b"echo"))
    same([is_esp(g) for g in gw.receive("wan", 1)], [False], "an echo in clear")
    gw.send("lan", bytes(forward_error(4, answer(4, canary))))
    got = gw.receive("wan", 1)
    same(canaries(canary, got), [], "quoted in clear")
    same([is_esp(g) for g in got], [True], "on the wire")
    tunnel.open(got[0])


def no_acquire(gw):
    """An error asks for no SA: it is dropped where there is none."""
    Tunnel(gw, switch=False)
    canary = os.urandom(32)
    before = gw.nl.stats()
    gw.send("lan", bytes(forward_error(4, answer(4, canary))))
    wait_for("the drop", lambda: gw.count("no_sa") == before.get("no_sa", 0) + 1)
    same(gw.count("acquires"), before.get("acquires", 0), "acquires")
    same(gw.silence("wan"), [], "leaves")


def error_in(gw, family):
    """Through an SA comes an error about its own traffic, and about no other."""
    tunnel = Tunnel(gw, family)
    error = forward_error(family, packet(family, b"ours"))
    gw.send("wan", tunnel.seal(LAYER[family](bytes(error)), 1))
    same(len(gw.receive("lan", 1)), 1, "an error about a packet of this SA arrives")
    other = packet(family, b"other", dst=ROUTER[family])
    error = forward_error(family, other)
    gw.send("wan", tunnel.seal(LAYER[family](bytes(error)), 2))
    wait_for("in_selector", lambda: tunnel.drops_in() == {"in_selector": 1})
    same(gw.silence("lan"), [], "an error about other traffic")


def error_in_clear(gw, family):
    """Nobody outside has seen a protected packet: what claims so is dropped."""
    Tunnel(gw, family)
    before = gw.count("in_clear")
    gw.send("wan", bytes(forward_error(family, packet(family, b"forged"))))
    wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
    gw.send("wan", bytes(forward_error(family, packet(family, b"fair", dst=ROUTER[family]))))
    same(len(gw.receive("lan", 1)), 1, "an error about traffic in clear")


def cases():
    forth, back = list, lambda p: p[::-1]
    for family in (4, 6):
        for length, size in ((300, 64), (3000, 1400)):
            for name, order in (("in order", forth), ("backwards", back)):
                yield (f"IPv{family}: {length} octets in fragments, {name}",
                       fragments_sealed, family, length, size, order)
            yield (f"IPv{family}: {length} octets that the peer has cut", fragments_by_sa,
                   family, length, size)
        yield f"IPv{family}: a peer's fragments by a device", fragments_by_device, family
        yield f"IPv{family}: fragments in clear", fragments_in_clear, family
        yield f"IPv{family}: a host's ESP of our SPI", forwarded_esp, family
        for name, case in (("of our own", quoted), ("forwarded", forwarded),
                           ("through an SA", error_in), ("in clear", error_in_clear)):
            yield f"IPv{family}: ICMP errors {name}", case, family
    yield "a fragment of a local program", fragment_local
    yield "fragments of an SA and in clear", fragments_do_not_mix
    yield "IPv6: a first fragment without its ports", fragment_hopeless
    yield "ICMP errors beside a bypass", bypassed_error
    yield "ICMP errors without an SA", no_acquire


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    with netns.inside(gw.name):
        netns.sysctl("net.ipv6.icmp.ratelimit", 0)
    for name, case, *args in cases():
        gw.reset()
        results.run(name, case, gw, *args)
    gw.reset()
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
