#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AH, AH over ESP and transport mode against scapy, frame by frame."""
import contextlib
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import chains
import gateway
import moatnl
import netns
from gateway import LAYER, OURS, PEERS, answer, packet, routed
from ktap import Results, check, same, wait_for
from scapy.layers.inet import GRE, ICMP, IP, UDP, IPOption_NOP, IPOption_RR, \
    IPOption_Router_Alert
from scapy.layers.inet6 import HBHOptUnknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, \
    RouterAlert
from scapy.layers.ipsec import AH, ESP, SecurityAssociation, zero_mutable_fields
from scapy.packet import Raw

SIZES = [0, 5, 1300]
INTEGRITY = {"ah-sha1": "HMAC-SHA1-96", "ah-sha256": "SHA2-256-128",
             "ah-sha384": "SHA2-384-192", "ah-sha512": "SHA2-512-256"}
PROTOCOLS = {"esp": [50], "ah": [51], "ah+esp": [51, 50]}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Peer:
    """A chain at the gateway, and scapy's half of it."""

    def __init__(self, gw, kind, mode="transport", inner=4, outer=4, protocol=None, **more):
        gw.reset()
        self.gw, self.kind = gw, kind
        self.chain = chains.Chain(kind, mode, inner, outer, **more)
        self.chain.install(gw.nl, protocol)
        self.sealers, self.openers = [], []
        for i, (name, spi_in, spi_out) in enumerate(self.chain.layers):
            head = mode == "tunnel" and i == 0
            ours, peers = OURS[outer], PEERS[outer]
            keys = self.chain.keys[i]
            self.sealers.append(layer(name, spi_in, keys[0], head, peers, ours))
            self.openers.append(layer(name, spi_out, keys[1], head, ours, peers))

    def seal(self, data, seq, layers=None):
        """What the peer sends for a packet, as bytes; with some of the layers only."""
        for one in self.sealers if layers is None else layers:
            data = one.encrypt(parse(data), seq_num=seq)
        return bytes(data)

    def open(self, data):
        """The packet in what the gateway sent; wrong ICVs raise."""
        for one in reversed(self.openers):
            data = one.decrypt(parse(data))
        return parse(data)

    def drops(self):
        out = {}
        for _, spi, _ in self.chain.layers:
            out.update(self.gw.nl.sa_of(spi).get("drop", {}))
        return out


def parse(data):
    """The IP packet that begins here, whatever scapy took it for."""
    data = bytes(data)
    return LAYER[data[0] >> 4](data)


class SignedByAH:
    """An integrity algorithm of scapy's; its own sign() signs the ESP that AH covers."""

    def __init__(self, algorithm):
        self.algorithm = algorithm

    def __getattr__(self, name):
        return getattr(self.algorithm, name)

    def sign(self, pkt, key, esn_en=False, esn=0):
        mac = self.algorithm.new_mac(key)
        mac.update(bytes(zero_mutable_fields(pkt.copy(), sending=True)))
        mac.update(esn.to_bytes(4, "big") if esn_en else b"")
        pkt[AH].icv = mac.finalize()[:self.algorithm.icv_size]
        return pkt


def layer(name, spi, keys, head, src, dst):
    outer = LAYER[6 if ":" in dst else 4](src=src, dst=dst) if head else None
    if name in INTEGRITY:
        sa = SecurityAssociation(AH, spi=spi, auth_algo=INTEGRITY[name], auth_key=keys[1],
                                 tunnel_header=outer)
        sa.auth_algo = SignedByAH(sa.auth_algo)
        return sa
    sa = gateway.association(spi, name, keys, src, dst)
    sa.tunnel_header = outer
    return sa


def protocols(data):
    """Protocol numbers of a packet, from the outside in."""
    found, out = LAYER[data[0] >> 4](data), []
    while found:
        if isinstance(found, (AH, ESP)):
            out += [50] if isinstance(found, ESP) else [51] + [50] * (found.nh == 50)
        found = found.payload
    return out


def protected(data):
    return any(p in (50, 51) for p in protocols(data))


def right_checksum(found):
    """The same packet with its checksums made again is the same."""
    again = LAYER[found.version](bytes(found))
    del again[UDP].chksum
    if found.version == 4:
        del again.chksum
    same(bytes(again).hex(), bytes(found).hex(), "packet with fresh checksums")


def datagram(payload, family=4, **more):
    return packet(family, payload, src=PEERS[family], dst=OURS[family], sport=2000, dport=1000,
                  **more)


class Socket:
    """A bound UDP socket of the gateway's own."""

    def __init__(self, gw, family):
        with netns.inside(gw.name):
            self.sock = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
        self.sock.bind((OURS[family], 1000))
        self.peer = (PEERS[family], 2000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def receive(self, seconds=5):
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(65536)
        except socket.timeout:
            return None


# --- seal and open -----------------------------------------------------------

def transport_out(gw, kind, family, ah="ah-sha256"):
    """scapy opens the gateway's own datagrams."""
    peer = Peer(gw, kind, "transport", family, family, ah=ah)
    with Socket(gw, family) as sock:
        for n in SIZES:
            payload = os.urandom(n)
            sock.sock.sendto(payload, sock.peer)
            got = gw.receive("wan", 1)
            same([protocols(d) for d in got], [PROTOCOLS[kind]], "layers")
            found = peer.open(got[0])
            same((found.src, found.dst, bytes(found[UDP].payload)),
                 (OURS[family], PEERS[family], payload), "datagram")
            right_checksum(found)


def transport_in(gw, kind, family, ah="ah-sha256"):
    """The gateway opens scapy's; a wrong UDP checksum is noticed behind it."""
    peer = Peer(gw, kind, "transport", family, family, ah=ah)
    with Socket(gw, family) as sock:
        bad = datagram(b"wrong checksum", family)
        bad[UDP].chksum ^= 0x1000
        gw.send("wan", peer.seal(bad, 1))
        for i, n in enumerate(SIZES):
            payload = os.urandom(n)
            gw.send("wan", peer.seal(datagram(payload, family), i + 2))
            same(sock.receive(), payload, f"datagram of {n} bytes")
    same(peer.drops(), {}, "drops")


def tunnel(gw, kind, inner, outer):
    """scapy opens what we seal, and we what scapy seals."""
    peer = Peer(gw, kind, "tunnel", inner, outer)
    for n in SIZES:
        sent = packet(inner, os.urandom(n), n + 1)
        gw.send("lan", sent)
        got = gw.receive("wan", 1)
        same([protocols(d) for d in got], [PROTOCOLS[kind]], "layers")
        same(bytes(peer.open(got[0])).hex(), routed(sent).hex(), "packet on the wire")
        back = answer(inner, os.urandom(n), n + 1)
        gw.send("wan", peer.seal(back, n + 1))
        same([d.hex() for d in gw.receive("lan", 1)], [routed(back).hex()], "for the host")
    same(peer.drops(), {}, "drops")


def options_out(gw, kind, family):
    """ESP and AH go behind options and extension headers, and AH knows which may change."""
    peer = Peer(gw, kind, "transport", family, family)
    alert = bytes([148, 4, 0, 0])
    options = {4: (socket.IPPROTO_IP, socket.IP_OPTIONS, alert + bytes([1, 7, 11, 4] + 8 * [0])),
               6: (socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 5, 2, 0, 0, 1, 0]))}
    with Socket(gw, family) as sock:
        sock.sock.setsockopt(*options[family])
        for n in (80, 3000):            # whole, and in fragments
            sock.sock.sendto(bytes(n), sock.peer)
            got = gw.receive("wan", 1 if n < 1500 else 3)
            if n > 1500:
                same(len(got), 3, "fragments")
                continue
            if family == 4:
                same((got[0][0], got[0][20:24]), (0x49, alert), "IPv4 options stay in front")
            else:
                same((got[0][6], got[0][40]), (0, PROTOCOLS[kind][0]), "hop-by-hop in front")
            found = peer.open(got[0])
            same(bytes(found[UDP].payload), bytes(n), "datagram")
    same(sum(sum(sa.get("drop", {}).values()) for sa in gw.nl.sas()), 0, "drops")


def options_in(gw, kind, family):
    """And so does what arrives; the socket behind sees the datagram."""
    peer = Peer(gw, kind, "transport", family, family)
    body = UDP(sport=2000, dport=1000) / Raw(b"behind options")
    if family == 4:
        heads = [IP(options=[IPOption_Router_Alert()]),
                 IP(options=[IPOption_NOP(), IPOption_RR(length=11, pointer=4,
                                                         routers=["0.0.0.0"] * 2)])]
    else:
        heads = [IPv6() / IPv6ExtHdrHopByHop(options=[RouterAlert()]),
                 IPv6() / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x3e, optlen=4,
                                                                   optdata=b"abcd")])]
    with Socket(gw, family) as sock:
        for i, head in enumerate(heads):
            head.src, head.dst = PEERS[family], OURS[family]
            gw.send("wan", peer.seal(LAYER[family](bytes(head / body)), i + 1))
            same(sock.receive(), b"behind options", f"datagram {i}, drops {peer.drops()}")


def gre(gw, kind):
    """A tunnel of GRE between the gateways, by a policy for its protocol alone."""
    peer = Peer(gw, kind, protocol=47)
    netns.ip(f"link add gre9 type gre local {OURS[4]} remote {PEERS[4]}",
             "link set gre9 up", "addr add 10.99.0.1/30 dev gre9", ns=gw.name)
    try:
        head = IP(src=PEERS[4], dst=OURS[4]) / GRE()
        ping = IP(src="10.99.0.2", dst="10.99.0.1") / ICMP(id=7, seq=1) / Raw(b"in GRE")
        gw.links["wan"].drain()
        gw.send("wan", peer.seal(IP(bytes(head / ping)), 1))
        got = gw.receive("wan", 1, wanted=protected)
        same([protocols(d) for d in got], [PROTOCOLS[kind]], f"layers, drops {peer.drops()}")
        found = peer.open(got[0])
        same((found.proto, found[ICMP].type, bytes(found[ICMP].payload)), (47, 0, b"in GRE"),
             "answer")
        before = gw.count("in_clear")
        gw.send("wan", IP(bytes(head / ping)))
        wait_for("GRE in clear to be dropped", lambda: gw.count("in_clear") == before + 1)
        gw.send("wan", peer.seal(datagram(b"not GRE"), 2))
        wait_for("UDP to be refused", lambda: peer.drops().get("in_selector") == 1)
    finally:
        netns.ip("link del gre9", ns=gw.name)


def extended(gw, kind):
    """ESN: the upper half is part of what AH covers."""
    peer = Peer(gw, kind, ah="ah-sha1", esn=True)
    for one in peer.sealers + peer.openers:
        one.esn_en = True
    with Socket(gw, 4) as sock:
        gw.send("wan", peer.seal(datagram(b"extended"), 9))
        same(sock.receive(), b"extended", f"datagram, drops {peer.drops()}")
        sock.sock.sendto(b"back", sock.peer)
        got = gw.receive("wan", 1)
        same(bytes(peer.open(got[0])[UDP].payload), b"back", "answer")


# --- forgeries ---------------------------------------------------------------

def still_works(gw, peer, sock, seq):
    check(sock.receive(0.2) is None, "a forged packet was delivered")
    gw.send("wan", peer.seal(datagram(b"good"), seq))
    same(sock.receive(), b"good", "good packet after")


def bit_flips(gw):
    """What may change on the way may; each other bit of the packet is covered."""
    peer = Peer(gw, "ah")
    data = peer.seal(datagram(b"bit flips"), 9)
    free = {1, 6, 7, 8, 10, 11}         # TOS, flags and offset, TTL, checksum
    flips = 0
    with Socket(gw, 4) as sock:
        # addresses, SPI and lengths choose the SA or the path; all others are left to AH
        for at in [4, 5, *range(32, len(data))]:
            for bit in range(0, 8, 1 if at < 40 else 3):
                forged = bytearray(data)
                forged[at] ^= 1 << bit
                gw.send("wan", fixed(forged))
                flips += 1
        wait_for("the forgeries to be counted", lambda: sum(peer.drops().values()) >= flips)
        same(peer.drops(), {"in_icv": flips}, "drops")
        changed = bytearray(data)
        changed[1], changed[8] = 0xb8, 3
        check({1, 8} < free, "")
        gw.send("wan", fixed(changed))
        same(sock.receive(), b"bit flips", "with another DSCP and TTL")
        still_works(gw, peer, sock, 10)


def fixed(data):
    """An IPv4 packet with a right header checksum."""
    data = bytearray(data)
    data[10:12] = b"\0\0"
    words = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, (data[0] & 15) * 4, 2))
    words = (words & 0xffff) + (words >> 16)
    data[10:12] = (~((words & 0xffff) + (words >> 16)) & 0xffff).to_bytes(2, "big")
    return bytes(data)


def lengths(gw):
    """AH cut short, and with every other value in its length field."""
    peer = Peer(gw, "ah")
    data = peer.seal(datagram(b"lengths"), 9)
    with Socket(gw, 4) as sock:
        right = data[21]
        for value in range(256):
            # rounded up to 8 as IPv6 wants it, the length may be too
            if value not in (right, right + 1):
                gw.send("wan", data[:21] + bytes([value]) + data[22:])
        wait_for("the lengths to be counted",
                 lambda: peer.drops().get("in_ah_length") == 254)
        short = range(32, 20 + (right + 2) * 4)
        for size in short:
            cut = data[:2] + size.to_bytes(2, "big") + data[4:size]
            gw.send("wan", fixed(cut))
        wait_for("the short ones to be counted",
                 lambda: peer.drops().get("in_short") == len(short))
        still_works(gw, peer, sock, 9)


def half_a_bundle(gw, mode):
    """Of AH over ESP both layers must be there, in that order, of that bundle."""
    peer = Peer(gw, "ah+esp", mode)
    esp, ah = peer.sealers
    if mode == "transport":
        good, read = datagram(b"half"), None
    else:
        good, read = answer(4, b"half"), gw
    stranger = layer("aes128gcm16", 0xa0000099, moatnl.ALGORITHMS["aes128gcm16"].keys(),
                     mode == "tunnel", PEERS[4], OURS[4])
    others = [("ESP alone", [esp]), ("AH alone", [ah]), ("another ESP in AH", [stranger, ah]),
              ("AH twice", [esp, ah, ah])]
    with Socket(gw, 4) as sock:
        for i, (what, layers) in enumerate(others):
            gw.send("wan", peer.seal(good, i + 1, layers))
            wait_for(f"{what} to be refused: {peer.drops()}",
                     lambda count=i + 1: gw.count("in_bundle") >= count)
        check(sock.receive(0.2) is None and not gw.silence("lan", 0.2), "one was delivered")
        gw.send("wan", peer.seal(good, 20))
        if read:
            same(len(gw.receive("lan", 1)), 1, "good packet after")
        else:
            same(sock.receive(), b"half", "good packet after")


def lies_inside(gw, kind):
    """Authenticated, but not what transport mode carries."""
    peer = Peer(gw, kind)
    head = IP(src=PEERS[4], dst=OURS[4])
    with Socket(gw, 4) as sock:
        for seq, protocol, counter in ((1, 59, "in_dummy"), (2, 44, "in_next_header")):
            head.proto = protocol
            gw.send("wan", peer.seal(head / Raw(b"\x11" + bytes(19)), seq))
            wait_for(f"{counter}: {peer.drops()}", lambda c=counter: peer.drops().get(c) == 1)
        still_works(gw, peer, sock, 9)


def in_clear(gw, family):
    """Datagrams in clear under a policy of transport mode, both ways."""
    peer = Peer(gw, "esp", "transport", family, family)
    before = gw.count("in_clear")
    with Socket(gw, family) as sock:
        gw.send("wan", datagram(b"clear", family))
        wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
        check(sock.receive(0.2) is None, "a clear datagram was delivered")
        gw.nl.request("sa-flush")
        sock.sock.sendto(b"too early", sock.peer)
        check(not gw.silence("wan", wanted=lambda d: b"too early" in d), "it left in clear")
        gw.nl.request("policy-flush")
        gw.send("wan", datagram(b"clear", family))
        same(sock.receive(), b"clear", "after the policy has gone")
    del peer


def own_fragments(gw):
    """Fragments of a raw socket cannot go in transport mode; they do not go in clear."""
    Peer(gw, "esp")
    with netns.inside(gw.name):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock, contextlib.suppress(PermissionError):    # how its sender learns
        sock.sendto(bytes(IP(src=OURS[4], dst=PEERS[4], flags="MF", id=9, proto=17) /
                          Raw(bytes(64))), (PEERS[4], 0))
    wait_for("out_fragment", lambda: gw.nl.policy_of(7).get("drop") == {"out_fragment": 1})
    check(not gw.silence("wan"), "a fragment left")


# --- one of two --------------------------------------------------------------

def as_one(gw):
    """A bundle counts, expires and is deleted as one."""
    peer = Peer(gw, "ah+esp")
    nl = gw.nl
    with netns.inside(gw.name):
        listener = moatnl.Netlink(events=True)
    with Socket(gw, 4) as sock:
        gw.send("wan", peer.seal(datagram(b"counted"), 1))
        same(sock.receive(), b"counted", "datagram")
        sock.sock.sendto(b"counted", sock.peer)
        same(len(gw.receive("wan", 1)), 1, "answer")
    same({(s["packets"], s["bytes"], s["seq"], s["bundle"]) for s in nl.sas()},
         {(1, 35, 1, 5)}, "packets and bytes before protection, for each of four SAs")
    flow = {"src": OURS[4], "dst": PEERS[4], "protocol": 17}
    found = nl.request("flow-get", {"flow": flow})[0]
    same(([s["protocol"] for s in found["sa"]], found["policy"]["spi"]),
         ([51, 50], peer.chain.layers[0][2]), "what a flow would meet")
    limited = peer.chain.sas(moatnl.OUT)
    for sa in limited:
        sa["spi"] += 0x100
    limited[1]["hard-packets"] = 2
    nl.request("policy-switch", {"policy": {"id": 7}, "sa": limited})
    events = []
    with Socket(gw, 4) as sock:
        for _ in range(3):
            sock.sock.sendto(b"limited", sock.peer)
        wait_for("the end of both", lambda: len(nl.sas()) == 4)
    while event := listener.next_event(0.5):
        if event[0] == "expire-ntf":    # of an acquire, the policy has no SA
            events.append(event[1]["sa"][0]["protocol"])
    same(events, [50], "protocols whose SA ended")
    listener.close()
    same(nl.policy_of(7).get("spi"), peer.chain.layers[0][2],
         "SPI of the policy, which is back at the SAs before")
    name, spi, _ = peer.chain.layers[1]
    nl.request("sa-del", {"sa": {"direction": moatnl.IN, "protocol": 51, "spi": spi,
                                 "dst": OURS[4]}})
    same(sorted(s["direction"] for s in nl.sas()), [2, 2], f"SAs once {name} is deleted")
    # a third packet may be held: with its socket, it would keep the namespace for 30 s
    nl.request("policy-flush")


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    run = results.run
    for kind in PROTOCOLS:
        for family in (4, 6):
            run(f"{kind}, transport out, {family}", transport_out, gw, kind, family)
            run(f"{kind}, transport in, {family}", transport_in, gw, kind, family)
            run(f"{kind}, options out, {family}", options_out, gw, kind, family)
            run(f"{kind}, options in, {family}", options_in, gw, kind, family)
        run(f"{kind}, GRE", gre, gw, kind)
        run(f"{kind}, lies inside", lies_inside, gw, kind)
    for kind in ("ah", "ah+esp"):
        for inner, outer in ((4, 4), (6, 4), (4, 6), (6, 6)):
            run(f"{kind}, tunnel, {inner} in {outer}", tunnel, gw, kind, inner, outer)
        run(f"{kind}, ESN", extended, gw, kind)
    for name in INTEGRITY:
        for family in (4, 6):
            run(f"{name}, out, {family}", transport_out, gw, "ah", family, name)
            run(f"{name}, in, {family}", transport_in, gw, "ah", family, name)
    run("AH with bits flipped", bit_flips, gw)
    run("AH of wrong lengths", lengths, gw)
    for mode in ("transport", "tunnel"):
        run(f"half a bundle, {mode}", half_a_bundle, gw, mode)
    for family in (4, 6):
        run(f"transport, in clear, {family}", in_clear, gw, family)
    run("transport, fragments", own_fragments, gw)
    run("a bundle as one", as_one, gw)
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
