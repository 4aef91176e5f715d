# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a capture file: ESP by SPI, ISAKMP messages, the rest, a token."""

import mmap
import struct
from collections import Counter, defaultdict, namedtuple

ETH_P_IP = b"\x08\x00"
ETH_P_IPV6 = b"\x86\xdd"
IPV6_FRAGMENT = 44
ICMPV6 = 58
ICMP = 1
ESP = 50
AH = 51
UDP = 17
IKE, NAT_T = 500, 4500
# of RFC 2408 §3.1 and RFC 2409 §5
MAIN_MODE = 2
AGGRESSIVE_MODE = 4
QUICK_MODE = 32
FRAGMENT = 132  # a private payload: a part of a message

Esp = namedtuple("Esp", "src dst spi")
Isakmp = namedtuple("Isakmp", "time src cookie exchange message_id length first")


class Capture:
    """What some captures hold.

    esp:    {Esp(src, dst, spi): [sequence numbers as they came]}, AH too
    udp:    how many of these packets were in UDP
    isakmp: [Isakmp], by time
    other:  number of other packets of IP, neighbour discovery left out
    errors: {(type, code): number} of those that are ICMP
    """

    def __init__(self, *paths):
        self.esp = defaultdict(list)
        self.udp = 0
        self.isakmp = []
        self.other = 0
        self.errors = Counter()
        self._cut = set()  # whose first fragment was IKE
        self.paths = paths
        for path in paths:
            with open(path, "rb") as f, \
                    mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
                self._read(path, data)
        self.isakmp.sort()

    def _read(self, path, data):
        magic, linktype = struct.unpack_from("<I16xI", data)
        if magic != 0xa1b2c3d4 or linktype != 1:
            raise ValueError(f"{path}: not an Ethernet capture")
        at, end = 24, len(data)
        while at < end:
            sec, usec, length, wire = struct.unpack_from("<IIII", data, at)
            at += 16
            if length != wire:
                raise ValueError(f"{path}: a packet was cut short")
            if data[at + 12:at + 14] == ETH_P_IP:
                self._packet((sec, usec), data, at + 14, at + length)
            elif data[at + 12:at + 14] == ETH_P_IPV6:
                self._packet6((sec, usec), data, at + 14, at + length)
            at += length

    def _packet(self, time, data, ip, end):
        body = ip + (data[ip] & 15) * 4
        flags = struct.unpack_from("!H", data, ip + 6)[0]
        ends = data[ip + 12:ip + 16], data[ip + 16:ip + 20]
        whole = ends + (data[ip + 4:ip + 6],)
        self._body(time, data, data[ip + 9], ends, body, end,
                   (whole, flags & 0x1fff, flags & 0x2000))

    def _packet6(self, time, data, ip, end):
        protocol, body = data[ip + 6], ip + 40
        ends = data[ip + 8:ip + 24], data[ip + 24:ip + 40]
        cut = None, 0, 0
        if protocol == IPV6_FRAGMENT:
            protocol = data[body]
            flags = struct.unpack_from("!H", data, body + 2)[0]
            cut = ends + (data[body + 4:body + 8],), flags & 0xfff8, flags & 1
            body += 8
        if protocol == ICMPV6 and not cut[1] and 133 <= data[body] <= 137:
            return
        self._body(time, data, protocol, ends, body, end, cut)

    def _body(self, time, data, protocol, ends, body, end, cut):
        """What follows the IP header; cut is (which packet, offset, more)."""
        whole, offset, more = cut
        if offset:  # certificates make messages longer than a packet
            self.other += whole not in self._cut
        elif protocol == ESP:
            spi, seq = struct.unpack_from("!II", data, body)
            self.esp[Esp(*ends, spi)].append(seq)
        elif protocol == AH:
            spi, seq = struct.unpack_from("!4xII", data, body)
            self.esp[Esp(*ends, spi)].append(seq)
        elif protocol == UDP and {IKE, NAT_T} & set(
                struct.unpack_from("!HH", data, body)):
            if more:
                self._cut.add(whole)
            if NAT_T in struct.unpack_from("!HH", data, body):
                self._natt(time, data, ends, body + 8, end)
            else:
                self._isakmp(time, data, ends, body + 8, end)
        else:
            self.other += 1
            if protocol == ICMP:
                self.errors[data[body], data[body + 1]] += 1

    def _natt(self, time, data, ends, body, end):
        """RFC 3948: IKE behind a marker, ESP, or a keepalive."""
        if data[body:body + 4] == bytes(4):
            self._isakmp(time, data, ends, body + 4, end)
        elif end - body > 8:
            spi, seq = struct.unpack_from("!II", data, body)
            self.esp[Esp(*ends, spi)].append(seq)
            self.udp += 1
        elif data[body:body + 1] != b"\xff":
            self.other += 1

    def _isakmp(self, time, data, ends, body, end):
        if end - body < 28:
            self.other += 1
            return
        first, exchange, mid, length = struct.unpack_from("!16xBxBxII", data, body)
        self.isakmp.append(Isakmp(time, ends[0], data[body:body + 8],
                                  exchange, mid, length, first))

    def holds(self, token):
        """Is the token anywhere in the files?"""
        for path in self.paths:
            with open(path, "rb") as f, \
                    mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if data.find(token) >= 0:
                    return True
        return False
