#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a peer, or somebody in its name, does with ESP in UDP and around it: headers in
front of UDP, the longest datagrams, fragments, in clear and out of an SA.

Policies are between the two gateways themselves, so clear packets of the same addresses
come by the same wire.
"""
import contextlib
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateway
import moatnl
import netns
from gateway import LAYER, OURS, PEERS, is_esp
from ktap import Results, check, same, wait_for
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import (HBHOptUnknown, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, PadN)
from scapy.packet import Raw

ALGORITHM, PORT = "aes128gcm16", 4500
SPI_IN, SPI_OUT = 0xc0ffee01, 0xc0ffee02
KIND = {4: socket.AF_INET, 6: socket.AF_INET6}
BITS = {4: 32, 6: 128}
IP_MTU_DISCOVER = 10
OPTIONS = [PadN(optdata=bytes(4))]
UNKNOWN = [HBHOptUnknown(otype=0x1e, optdata=bytes(12))]     # to be skipped


class Hosts:
    """Both gateways as the hosts that talk; ESP of the peer is the codec's."""

    def __init__(self, gw, family, mode=moatnl.TUNNEL, port=None, reserved=False):
        self.gw, self.family, self.mode, self.port = gw, family, mode, port
        self.keys = moatnl.ALGORITHMS[ALGORITHM].keys()
        self.codec = espcodec.Codec(ALGORITHM, self.keys)
        ours, peers = OURS[family], PEERS[family]
        gw.nl.request("policy-add", {"policy": moatnl.policy(
            7, f"{ours}/{BITS[family]}", f"{peers}/{BITS[family]}", ours, peers, mode=mode)})
        if reserved:
            gw.nl.request("spi-alloc", {"sa": {"protocol": moatnl.ESP, "dst": ours},
                                        "spi-min": SPI_IN, "spi-max": SPI_IN})
        else:
            self.add()

    def sa(self, direction, spi, src, dst):
        return {"sa": moatnl.sa(direction, spi, src, dst, ALGORITHM, self.keys, policy=7,
                                mode=self.mode, encap_sport=self.port, encap_dport=self.port)}

    def add(self):
        """The inbound SA."""
        self.gw.nl.request("sa-add", self.sa(moatnl.IN, SPI_IN, PEERS[self.family],
                                             OURS[self.family]))

    def switch(self):
        """The outbound SA."""
        self.gw.nl.request("policy-switch", {
            "policy": {"id": 7},
            **self.sa(moatnl.OUT, SPI_OUT, OURS[self.family], PEERS[self.family])})

    def head(self, **more):
        return LAYER[self.family](src=PEERS[self.family], dst=OURS[self.family], **more)

    def datagram(self, payload, dport=2000):
        """A whole packet of the peer."""
        return bytes(self.head() / UDP(sport=1000, dport=dport) / Raw(payload))

    def send(self, seq, inner, next_header=17, options=()):
        """ESP around `inner`; `options` are headers before UDP."""
        esp = Raw(self.codec.seal(SPI_IN, seq, bytes(inner), next_header))
        if not self.port:
            protocol = {"proto" if self.family == 4 else "nh": 50}
            self.gw.send("wan", self.head(**protocol) / esp)
            return
        head = self.head()
        for header in options:
            head = head / header
        self.gw.send("wan", head / UDP(sport=self.port, dport=self.port) / esp)

    def pieces(self, whole, size, number):
        """Fragments of `size` octets of payload each, under an identification."""
        if self.family == 4:
            packet = IP(whole)
            packet.id = number
            del packet.chksum
            return [bytes(p) for p in fragment(IP(bytes(packet)), size)]
        data = whole[40:]
        return [bytes(self.head() / IPv6ExtHdrFragment(
            nh=whole[6], offset=at // 8, id=number, m=int(at + size < len(data))) /
            Raw(data[at:at + size])) for at in range(0, len(data), size)]

    def socket(self, port=2000):
        """A program of ours."""
        with netns.inside(self.gw.name):
            sock = socket.socket(KIND[self.family], socket.SOCK_DGRAM)
        sock.settimeout(5)
        sock.bind((OURS[self.family], port))
        return sock

    def accepted(self):
        """Packets and drops of the inbound SA."""
        sa = self.gw.nl.sa_of(SPI_IN)
        return sa["packets"], sa.get("drop", {})


def nothing(sock, what):
    """The program gets nothing."""
    sock.settimeout(0.5)
    with contextlib.suppress(socket.timeout):
        check(False, f"{what}: the program got {sock.recv(65536)[:40]}")
    sock.settimeout(5)


@contextlib.contextmanager
def more(gw, **expected):
    """Counters that grow inside `with`, by so much and no more."""
    before = {name: gw.count(name) for name in expected}

    def grown():
        return {name: gw.count(name) - before[name] for name in expected}
    yield
    with contextlib.suppress(Exception):
        wait_for("them", lambda: all(grown()[name] >= n for name, n in expected.items()), 10)
    same(grown(), expected, "counters")


# --- in UDP --------------------------------------------------------------------

def headers_before_udp(gw, port):
    """IPv6 headers that somebody put there stay before what comes out; what is behind them
    is what the peer has sealed."""
    hosts = Hosts(gw, 6, moatnl.TRANSPORT, port)
    rows = [(), (IPv6ExtHdrDestOpt(options=OPTIONS),),
            (IPv6ExtHdrDestOpt(options=OPTIONS), IPv6ExtHdrDestOpt(options=UNKNOWN)),
            (IPv6ExtHdrHopByHop(options=OPTIONS), IPv6ExtHdrDestOpt(options=OPTIONS))]
    with hosts.socket() as sock:
        for seq, options in enumerate(rows, 1):
            sent = b"number %d" % seq
            hosts.send(seq, hosts.datagram(sent)[40:], options=options)
            same(sock.recv(100), sent, f"behind {len(options)} headers")
    same(hosts.accepted(), (len(rows), {}), "packets, drops")


def lying_length(gw, family):
    """Behind a NAT the checksum is made again: over no more than there is."""
    hosts = Hosts(gw, family, moatnl.TRANSPORT, PORT)
    start = 20 if family == 4 else 40
    with hosts.socket() as sock:
        for seq, length in enumerate((0xffff, 30, 7, 0), 1):
            inner = bytearray(hosts.datagram(b"lies")[start:])
            inner[4:6] = struct.pack("!H", length)
            hosts.send(seq, inner)
        hosts.send(9, hosts.datagram(b"the truth")[start:])
        same(sock.recv(100), b"the truth", "what the program got")
    same(hosts.accepted(), (5, {}), "packets, drops")


def longest(gw):
    """In transport mode all of UDP's header counts too: 20 + 8 + (8 + 8) + 65472 + 16 is
    65532, and with the next multiple of 4 it is too long."""
    hosts = Hosts(gw, 4, moatnl.TRANSPORT, PORT)
    hosts.switch()
    # 1500 - 20 - 8 - 8 - 8 - 16 is 1440, less 2 of the trailer, and the IP header again
    same(gw.nl.sa_of(SPI_OUT)["mtu"], 1458, "MTU that the SA says")
    with hosts.socket(1000) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with more(gw, out_packets=1, out_long=0):
            sock.sendto(bytes(65462), (PEERS[4], 2000))
        ends = [IP(data).frag * 8 + len(data) for data in gw.receive("wan", 45)]
        same(max(ends, default=0), 65532, "where the last fragment ends")
        for size in (65463, 65467, 65470, 65471):
            with more(gw, out_packets=0, out_long=1), contextlib.suppress(OSError):
                sock.sendto(bytes(size), (PEERS[4], 2000))
    same(gw.silence("wan"), [], "left")


# --- in clear, between endpoints -------------------------------------------------

def clear_joins_nothing(gw, family):
    """Fragments that come in clear complete nothing that an SA protects."""
    hosts = Hosts(gw, family)
    kind = 4 if family == 4 else 41
    right = b"A" * 1200 + b"B" * 1200
    forged = b"A" * 1200 + b"CAAC" + b"B" * 1196      # of the same checksum
    with hosts.socket() as sock:
        good = hosts.pieces(hosts.datagram(right), 1208, 77)
        bad = hosts.pieces(hosts.datagram(forged), 1208, 77)
        hosts.send(1, good[0], kind)
        gw.send("wan", bad[1])
        nothing(sock, "the second in clear")
        hosts.send(2, good[1], kind)
        same(sock.recv(4000), right, "both by the SA")
        ike = hosts.pieces(hosts.datagram(forged, 500), 1208, 78)
        good = hosts.pieces(hosts.datagram(right), 1208, 78)
        gw.send("wan", ike[0])
        for seq, piece in enumerate(good, 3):
            hosts.send(seq, piece, kind)
        same(sock.recv(4000), right, "beside a first one of IKE in clear")
        same(hosts.accepted(), (4, {}), "packets, drops")


def whole_in_clear(gw, family):
    """Of what is in clear only IKE passes, and what is sealed: whole, or once it is."""
    hosts = Hosts(gw, family)
    ike = b"I" * 2400
    with hosts.socket() as sock, hosts.socket(500) as daemon:
        for number, turn in ((80, 1), (81, -1)):
            with more(gw, in_clear=0):
                for piece in hosts.pieces(hosts.datagram(ike, 500), 1208, number)[::turn]:
                    gw.send("wan", piece)
                same(daemon.recv(4000), ike, "IKE in fragments")
            with more(gw, in_clear=1):
                for piece in hosts.pieces(hosts.datagram(ike), 1208, number + 10)[::turn]:
                    gw.send("wan", piece)
        with more(gw, in_clear=2):
            gw.send("wan", hosts.datagram(b"to another port"))
            gw.send("wan", bytes(hosts.head() / UDP(sport=0, dport=0) / Raw(b"to none")))
        nothing(sock, "in clear")
        inner = hosts.datagram(b"sealed" * 400)
        outer = bytes(hosts.head(**{"proto" if family == 4 else "nh": 50}) /
                      Raw(hosts.codec.seal(SPI_IN, 1, inner, 4 if family == 4 else 41)))
        for piece in hosts.pieces(outer, 1208, 99):
            gw.send("wan", piece)
        same(sock.recv(4000), b"sealed" * 400, "ESP in fragments")
    same(hosts.accepted(), (1, {}), "packets, drops")


def silent_about_fragments(gw, family):
    """No daemon, and nobody who puts IPv6 together for others: no answer all the same."""
    hosts = Hosts(gw, family, reserved=True)
    for port in (500, PORT):
        with more(gw, no_daemon=1):
            for piece in hosts.pieces(hosts.datagram(bytes(4) + b"I" * 2400, port), 1208, port):
                gw.send("wan", piece)
        same([data for data in gw.silence("wan") if not is_esp(data)], [], "answers")


def early_fragments(gw, family):
    """ESP in UDP that comes in fragments before its SA has keys waits too."""
    hosts = Hosts(gw, family, port=PORT, reserved=True)
    inner = hosts.datagram(b"early " * 400)
    esp = hosts.codec.seal(SPI_IN, 1, inner, 4 if family == 4 else 41)
    outer = bytes(hosts.head() / UDP(sport=PORT, dport=PORT) / Raw(esp))
    with hosts.socket() as sock:
        with more(gw, early=1):
            for piece in hosts.pieces(outer, 1208, 5):
                gw.send("wan", piece)
        hosts.add()
        same(sock.recv(4000), b"early " * 400, "what the program got")


def cases():
    # first: an SA in UDP over IPv6 lets the kernel put fragments together for all
    for family in (4, 6):
        yield f"silence about fragments, IPv{family}", silent_about_fragments, family
        yield f"early fragments in UDP, IPv{family}", early_fragments, family
    for family in (4, 6):
        yield f"clear fragments join nothing, IPv{family}", clear_joins_nothing, family
        yield f"whole in clear, IPv{family}", whole_in_clear, family
    for port in (PORT, 6500):
        yield f"IPv6 headers before UDP, port {port}", headers_before_udp, port
    for family in (4, 6):
        yield f"a lying length, IPv{family}", lying_length, family
    yield "the longest in UDP", longest


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    for name, case, *args in cases():
        gw.reset()
        results.run(name, case, gw, *args)
    gw.reset()
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
