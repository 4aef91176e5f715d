#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every algorithm of ESP and AH, both directions, against lib/espcodec.py.

Each row carries payloads of every length from 0 to 33 bytes, and every 19th up
to 300: 19 rows together have them all, and against XFRM, in net/, each row. It
ends with the largest packet that leaves whole, and one a byte larger. With ESN
the sequence numbers cross 2^32 in the middle of a row. MOAT_LONG=1 in the
environment: AH and transport mode too, and all lengths in each row.
"""
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateway
import moatnl
import netns
from gateway import ETHERTYPE, FAR, HOST, LOCAL, OURS, PEERS, REMOTE
from ktap import Results, check, same
from moatnl import IN, OUT, TRANSPORT, TUNNEL

LONG = os.environ.get("MOAT_LONG") == "1"
LONGEST = 300
WIRE_MTU = 1500
PROTOCOL = 253                          # for experiments: nobody listens (RFC 3692)
INNER = {4: 4, 6: 41}                   # next headers of tunnel mode
SPI_IN, SPI_OUT = 0xc0ffee01, 0xc0ffee02
SOURCE = os.urandom(WIRE_MTU)
# each way the crypto API is called: once with extended sequence numbers
EACH_KIND = ("aes128gcm16", "aes256ccm12", "aes192gmac", "chacha20poly1305", "aes128-sha256",
             "aes256ctr-sha512", "3des-md5", "null-aescmac", "ah-sha1", "ah-aes256gmac")


def checksum(head):
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ip_packet(src, dst, protocol, payload, ttl=64):
    """An IPv4 or IPv6 packet; the addresses say which."""
    ends = moatnl.address(src) + moatnl.address(dst)
    if len(ends) == 32:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl) + ends + payload
    head = struct.pack("!HHIBBH8s", 0x4500, 20 + len(payload), 0, ttl, protocol, 0, ends)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def payload_of(data):
    """What stands behind an IP header."""
    return data[20:] if data[0] >> 4 == 4 else data[40:]


def lengths_of(number):
    """Those of the row of this number."""
    if LONG:
        return range(LONGEST + 1)
    return [*range(34), *range(34 + number % 19, LONGEST + 1, 19)]


class Traffic:
    """Payloads, and packets with them in both directions."""

    def __init__(self, family, lengths):
        self.payloads = [SOURCE[:n] for n in lengths]
        ends = HOST[family], FAR[family]
        self.sent, self.routed = ([ip_packet(*ends, PROTOCOL, p, ttl) for p in self.payloads]
                                  for ttl in (64, 63))
        self.back, self.back_routed = (
            [ip_packet(*reversed(ends), PROTOCOL, p, ttl) for p in self.payloads]
            for ttl in (64, 63))


class Wire:
    """Frames of one link, many at once."""

    def __init__(self, gw, device):
        self.link = gw.links[device].sock
        self.start = bytes.fromhex(gw.mac[device].replace(":", "")) + b"\x02\0\0\0\0\x01"

    def send(self, packets):
        start = {family: self.start + kind for family, kind in ETHERTYPE.items()}
        for data in packets:
            self.link.send(start[data[0] >> 4] + data)

    def receive(self, count, protocol, seconds=10):
        """The next packets of this protocol; fewer when no more come."""
        found = []
        self.link.settimeout(seconds)
        try:
            while len(found) < count:
                frame, where = self.link.recvfrom(4096)
                data = frame[14:]
                if where[2] == socket.PACKET_OUTGOING or frame[12:14] not in ETHERTYPE.values():
                    continue
                if (data[9] if data[0] >> 4 == 4 else data[6]) == protocol:
                    found.append(gateway.trim(data))
        except TimeoutError:
            pass
        self.link.settimeout(None)
        return found


class EspPeer:
    """What the peer does with one SA of ESP."""

    protocol = 50

    def __init__(self, name, keys, esn):
        self.codec = espcodec.Codec(name, keys, esn)

    def seal(self, src, dst, seq, content, next_header):
        return ip_packet(src, dst, 50, self.codec.seal(SPI_IN, seq, content, next_header))

    def open(self, data, high):
        packet = payload_of(data)
        return (*struct.unpack("!II", packet[:8]), *self.codec.open(packet, high(packet[4:8])))


class AhPeer:
    """What the peer does with one SA of AH."""

    protocol = 51

    def __init__(self, name, keys, esn):
        self.codec = espcodec.Ah(name.removeprefix("ah-"), keys[1], esn)

    def seal(self, src, dst, seq, content, next_header):
        length = self.codec.length(6 if ":" in src else 4) + len(content)
        head = ip_packet(src, dst, 51, bytes(length))[:-length]
        return self.codec.seal(head, SPI_IN, seq, content, next_header)

    def open(self, data, high):
        return self.codec.open(data, high(payload_of(data)[8:12]))


class Row:
    """One SA of each direction, its policy, and the peer's side of them."""

    def __init__(self, gw, count, name, mode, inner, outer, esn):
        self.gw, self.count, self.mode, self.inner, self.outer = gw, count, mode, inner, outer
        self.start = (1 << 32) - 1 - count // 2 if esn else 0
        self.numbers = range(self.start + 1, self.start + 1 + count)
        algorithm = moatnl.ALGORITHMS[name]
        keys_in, keys_out = algorithm.keys(), algorithm.keys()
        peer = AhPeer if name.startswith("ah-") else EspPeer
        self.sealer, self.opener = peer(name, keys_in, esn), peer(name, keys_out, esn)
        ours, peers = OURS[outer], PEERS[outer]
        local, remote = ((ours, peers) if mode == TRANSPORT else
                         (LOCAL[inner], REMOTE[inner]))
        more = {"policy": 7, "seq": self.start, "esn": esn, "mode": mode}
        gw.nl.request("policy-add", {"policy": moatnl.policy(
            7, local, remote, ours, peers, mode=mode)})
        gw.nl.request("sa-add", {"sa": moatnl.sa(
            IN, SPI_IN, peers, ours, name, keys_in, **more)})
        gw.nl.request("policy-switch", {"policy": {"id": 7}, "sa": moatnl.sa(
            OUT, SPI_OUT, ours, peers, name, keys_out, **more)})

    def high(self, low):
        """The upper half that belongs to the lower half of a sequence number."""
        return int(self.start and int.from_bytes(low, "big") <= self.start)

    def opened(self, data):
        """SPI, sequence number's lower half, content of what the gateway sent."""
        return self.opener.open(data, self.high)

    def sealed(self, contents, next_header):
        """The peer's packets around these contents."""
        ends = PEERS[self.outer], OURS[self.outer]
        return [self.sealer.seal(*ends, seq, content, next_header)
                for seq, content in zip(self.numbers, contents)]

    def limit(self):
        """Bytes of the largest packet that leaves whole, as the SA says; checked by the codec."""
        limit = self.gw.nl.sa_of(SPI_OUT)["mtu"]
        # the outer header stands for the packet's own in transport mode
        head = 0 if self.mode == TUNNEL else 20 if self.outer == 4 else 40
        sizes = [len(self.sealed([bytes(n - head)], PROTOCOL)[0]) for n in (limit, limit + 1)]
        check(sizes[0] <= WIRE_MTU < sizes[1],
              f"packets of the MTU, {limit}, and a byte more become {sizes}")
        return limit

    def check_counters(self, direction, octets):
        """The SA has carried each packet, and dropped none."""
        sa = self.gw.nl.sa_of(SPI_IN if direction == IN else SPI_OUT)
        same((sa["packets"], sa["bytes"], sa["seq"], sa.get("drop", {})),
             (self.count, octets, self.numbers[-1], {}), "packets, bytes, number, drops")


def same_each(found, expected, what):
    """Packet by packet: which one differs?"""
    for i, (one, other) in enumerate(zip(found, expected)):
        check(one == other, f"{what} number {i + 1} is not what it should be")
    same(len(found), len(expected), what)


def opened_all(row, wan, contents, next_header):
    """What arrives on the wire has these contents, in order."""
    got = [row.opened(data) for data in wan.receive(row.count, row.opener.protocol)]
    same_each(got, [(SPI_OUT, seq & 0xffffffff, content, next_header)
                    for seq, content in zip(row.numbers, contents)], "packet of the gateway")


def around_mtu(row, wan, content, next_header, send):
    """At the limit one packet leaves, one byte over it two fragments; or none, for the
    sender of a forwarded IPv6 packet is told instead (net/mtu_test.py)."""
    send(0)
    got = wan.receive(1, row.opener.protocol)
    same_each([row.opened(data)[2:] for data in got], [(content(0), next_header)],
              "packet at the limit")
    check(len(got[0]) <= WIRE_MTU, f"{len(got[0])} bytes on the wire")
    if row.mode == TUNNEL and row.inner == 6:
        return
    send(1)
    got = wan.receive(2, row.opener.protocol if row.outer == 4 else 44)
    same(len(got), 2, "fragments of the packet over the limit")
    same(sum(map(len, got)), len(row.sealed([content(1)], next_header)[0]) +
         (20 if row.outer == 4 else 56), "bytes of both")


def tunnel(row, gw, traffic):
    """Forwarded packets are sealed; the peer's are opened, for the host."""
    wan, lan = Wire(gw, "wan"), Wire(gw, "lan")
    lan.send(traffic.sent)
    opened_all(row, wan, traffic.routed, INNER[row.inner])
    row.check_counters(OUT, sum(map(len, traffic.sent)))
    wan.send(row.sealed(traffic.back, INNER[row.inner]))
    same_each(lan.receive(row.count, PROTOCOL), traffic.back_routed, "packet for the host")
    row.check_counters(IN, sum(map(len, traffic.back)))
    size = row.limit() - (20 if row.inner == 4 else 40)
    ends = HOST[row.inner], FAR[row.inner]
    around_mtu(row, wan,
               lambda more: ip_packet(*ends, PROTOCOL, SOURCE[:size + more], 63),
               INNER[row.inner],
               lambda more: lan.send([ip_packet(*ends, PROTOCOL, SOURCE[:size + more])]))


def transport(row, gw, traffic):
    """The gateway's own packets, from a raw socket and to it."""
    wan, head = Wire(gw, "wan"), 40 if row.outer == 6 else 20
    octets = sum(head + len(p) for p in traffic.payloads)
    with netns.inside(gw.name):
        sock = socket.socket(socket.AF_INET6 if row.outer == 6 else socket.AF_INET,
                             socket.SOCK_RAW, PROTOCOL)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)     # SO_RCVBUFFORCE
        for payload in traffic.payloads:
            sock.sendto(payload, (PEERS[row.outer], 0))
        opened_all(row, wan, traffic.payloads, PROTOCOL)
        row.check_counters(OUT, octets)
        wan.send(row.sealed(traffic.payloads, PROTOCOL))
        sock.settimeout(10)
        skip = 0 if row.outer == 6 else 20
        same_each([sock.recv(2048)[skip:] for _ in traffic.payloads], traffic.payloads,
                  "packet for the gateway")
        row.check_counters(IN, octets)
        size = row.limit() - head
        around_mtu(row, wan, lambda more: SOURCE[:size + more], PROTOCOL,
                   lambda more: sock.sendto(SOURCE[:size + more], (PEERS[row.outer], 0)))


def rows():
    """Name, mode, family inside and outside, ESN."""
    names = [name for name in moatnl.ALGORITHMS if LONG or not name.startswith("ah-")]
    for name in names:
        yield name, TUNNEL, 4, 4, False
        if LONG:
            yield name, TRANSPORT, 4, 4, False
    for name in EACH_KIND:
        if name in names:
            yield name, TUNNEL, 4, 4, True
    for name in ("aes128gcm16", "aes256-sha256"):
        for inner, outer in ((6, 4), (4, 6), (6, 6)):
            yield name, TUNNEL, inner, outer, False
        if LONG:
            yield name, TRANSPORT, 6, 6, False


def main():
    results = Results()
    # What different CPUs send overtakes on a veth, with or without us.
    os.sched_setaffinity(0, {0})
    netns.shell("load_moat")
    gw = gateway.Gateway()

    def carry(lengths, name, mode, inner, outer, esn):
        gw.reset()
        row = Row(gw, len(lengths), name, mode, inner, outer, esn)
        (transport if mode == TRANSPORT else tunnel)(row, gw, Traffic(inner, lengths))

    for number, (name, mode, inner, outer, esn) in enumerate(rows()):
        where = f"IPv{inner} in IPv{outer}" if mode == TUNNEL else f"transport, IPv{outer}"
        results.run(f"{name}: {where}{', ESN' if esn else ''}",
                    carry, lengths_of(number), name, mode, inner, outer, esn)
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
