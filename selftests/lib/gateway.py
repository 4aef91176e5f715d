# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway in a namespace whose two wires end in this program.

    "host" 10.1.0.2, fd00:1::2 --lan-- gateway --wan-- "peer" 192.0.2.2, 2001:db8::2

Host and peer are frames that the test writes and reads; ESP of the peer is
scapy's, so nothing here shares code with the module.
"""
import hashlib
import hmac
import socket

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

import moatnl
import netns

OURS = {4: "192.0.2.1", 6: "2001:db8::1"}
PEERS = {4: "192.0.2.2", 6: "2001:db8::2"}
LOCAL = {4: "10.1.0.0/24", 6: "fd00:1::/64"}
REMOTE = {4: "10.2.0.0/24", 6: "fd00:2::/64"}
HOST = {4: "10.1.0.2", 6: "fd00:1::2"}
FAR = {4: "10.2.0.2", 6: "fd00:2::2"}
LAYER = {4: IP, 6: IPv6}
ETHERTYPE = {4: b"\x08\x00", 6: b"\x86\xdd"}

SCAPY_NAMES = {
    "aes128gcm16": ("AES-GCM", None), "aes256gcm16": ("AES-GCM", None),
    "aes128-sha1": ("AES-CBC", "HMAC-SHA1-96"),
    "aes128-sha256": ("AES-CBC", "SHA2-256-128"),
    "aes256-sha384": ("AES-CBC", "SHA2-384-192"),
    "aes256-sha512": ("AES-CBC", "SHA2-512-256"),
    "null-sha1": ("NULL", "HMAC-SHA1-96"), "null-sha256": ("NULL", "SHA2-256-128"),
}


def association(spi, algorithm, keys, src, dst):
    """scapy's half of an SA; None when scapy lacks the algorithm."""
    if algorithm not in SCAPY_NAMES:
        return None
    cipher, integrity = SCAPY_NAMES[algorithm]
    outer = LAYER[6 if ":" in dst else 4]
    return SecurityAssociation(ESP, spi=spi, crypt_algo=cipher, crypt_key=keys[0] or None,
                               auth_algo=integrity, auth_key=keys[1] or None,
                               tunnel_header=outer(src=src, dst=dst))


def packet(family, payload, number=1, src=None, dst=None, ttl=64, sport=1000, dport=2000):
    """A UDP packet from host to far; answers go the other way by src and dst."""
    src, dst = src or HOST[family], dst or FAR[family]
    if family == 4:
        head = IP(src=src, dst=dst, id=number, ttl=ttl)
    else:
        head = IPv6(src=src, dst=dst, fl=number, hlim=ttl)
    return LAYER[family](bytes(head / UDP(sport=sport, dport=dport) / Raw(payload)))


def answer(family, payload, number=1, **more):
    """A UDP packet from far to host."""
    more = {"src": FAR[family], "dst": HOST[family], "sport": 2000, "dport": 1000, **more}
    return packet(family, payload, number, **more)


def routed(inner):
    """The packet one hop later, as bytes."""
    copy = LAYER[inner.version](bytes(inner))
    if inner.version == 4:
        copy.ttl -= 1
        del copy.chksum
    else:
        copy.hlim -= 1
    return bytes(copy)


class Gateway:
    """Namespaces `name` (the gateway) and `name`-wire, and all that is in them."""

    def __init__(self, name="gw"):
        self.name = name
        wire = f"{name}-wire"
        for ns in (name, wire):
            netns.ip(f"netns add {ns}")
        with netns.inside(wire):
            netns.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
            netns.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        with netns.inside(name):
            for key, value in (("net.ipv4.ip_forward", 1), ("net.ipv4.conf.all.rp_filter", 0),
                               ("net.ipv4.conf.default.rp_filter", 0),
                               ("net.ipv4.icmp_ratelimit", 0),
                               ("net.ipv6.conf.all.forwarding", 1),
                               ("net.ipv6.conf.default.accept_dad", 0),
                               ("net.ipv6.conf.default.accept_ra", 0)):
                netns.sysctl(key, value)
        for device in ("lan", "wan"):
            netns.ip(f"link add {device} netns {name} type veth peer name {device}p "
                     f"netns {wire}")
        netns.ip("link set lanp up", "link set wanp up", ns=wire)
        self.mac = {d: netns.mac(d, name) for d in ("lan", "wan")}
        far_mac = {d: netns.mac(f"{d}p", wire) for d in ("lan", "wan")}
        netns.ip("link set lo up", "link set lan up", "link set wan up",
                 "addr add 10.1.0.1/24 dev lan", "addr add fd00:1::1/64 dev lan nodad",
                 "addr add 192.0.2.1/24 dev wan", "addr add 2001:db8::1/64 dev wan nodad",
                 *(f"neigh add {HOST[f]} lladdr {far_mac['lan']} dev lan" for f in (4, 6)),
                 *(f"neigh add {PEERS[f]} lladdr {far_mac['wan']} dev wan" for f in (4, 6)),
                 "route add default via 192.0.2.2", "route add default via 2001:db8::2",
                 ns=name)
        self.links = {d: netns.Link(wire, f"{d}p") for d in ("lan", "wan")}
        self.nl = None
        self.connect()

    def connect(self):
        """Meet the module, also after it was loaded again."""
        if self.nl:
            self.nl.close()
        with netns.inside(self.name):
            self.nl = moatnl.Netlink()

    def close(self):
        self.nl.close()
        for link in self.links.values():
            link.close()
        for ns in (self.name, f"{self.name}-wire"):
            netns.ip(f"netns del {ns}")

    def reset(self):
        """No policy, no SA, no frame from an earlier case."""
        self.nl.flush()
        for link in self.links.values():
            link.drain()

    def send(self, device, data):
        """An IP packet towards the gateway."""
        data = bytes(data)
        frame = (bytes.fromhex(self.mac[device].replace(":", "")) + b"\x02\0\0\0\0\x01" +
                 ETHERTYPE[data[0] >> 4] + data)
        self.links[device].send(frame)

    def receive(self, device, count, seconds=5.0, wanted=None):
        """IP packets from the gateway that are `wanted`; all must come in time."""
        frames = self.links[device].frames(
            seconds, lambda f: f[12:14] in ETHERTYPE.values() and
            (wanted or interesting)(f[14:]), count)
        return [trim(f[14:]) for f in frames]

    def silence(self, device, seconds=0.3, wanted=None):
        """What came although nothing should have."""
        return self.receive(device, None, seconds, wanted)

    def count(self, name):
        return self.nl.stats().get(name, 0)


def trim(data):
    """An IP packet without Ethernet padding."""
    if data[0] >> 4 == 4:
        return data[:int.from_bytes(data[2:4], "big")]
    return data[:40 + int.from_bytes(data[4:6], "big")]


def without_udp(data):
    """ESP out of UDP, of an outer header without options."""
    start = 20 if data[0] >> 4 == 4 else 40
    protocol = 9 if start == 20 else 6
    if data[protocol] != 17:
        raise ValueError(f"protocol {data[protocol]} is not UDP")
    outer = bytearray(data[:start] + data[start + 8:])
    outer[protocol] = 50
    return bytes(outer)


def interesting(data):
    """Not what a gateway says about itself: IGMP, MLD, router and neighbour messages."""
    if data[0] >> 4 == 4:
        return data[9] != 2
    protocol, start = data[6], 40
    if protocol == 0:  # hop-by-hop options, which MLD has
        protocol, start = data[40], 40 + (data[41] + 1) * 8
    return not (protocol == 58 and data[start] in range(130, 144))


def is_esp(data):
    return (data[9] if data[0] >> 4 == 4 else data[6]) == 50


def esp_fields(data):
    """SPI and sequence number of an ESP packet."""
    start = (data[0] & 15) * 4 if data[0] >> 4 == 4 else 40
    return (int.from_bytes(data[start:start + 4], "big"),
            int.from_bytes(data[start + 4:start + 8], "big"))


class Tunnel:
    """One pair on a gateway: its policy, both SAs, and the peer's side of them."""

    def __init__(self, gateway, inner=4, outer=4, algorithm="aes128gcm16", number=7,
                 spis=(0xc0ffee01, 0xc0ffee02), switch=True, window=64, more=None, encap=None,
                 sas=None):
        self.encap = encap
        self.sas = {"encap-sport": encap, "encap-dport": encap} if encap else sas or {}
        self.gateway, self.inner, self.outer = gateway, inner, outer
        self.algorithm, self.number = algorithm, number
        self.spi_in, self.spi_out = spis
        self.keys_in = moatnl.ALGORITHMS[algorithm].keys()
        self.keys_out = moatnl.ALGORITHMS[algorithm].keys()
        ours, peers = OURS[outer], PEERS[outer]
        self.sealer = association(self.spi_in, algorithm, self.keys_in, peers, ours)
        self.opener = association(self.spi_out, algorithm, self.keys_out, ours, peers)
        gateway.nl.request("policy-add", {"policy": moatnl.policy(
            number, LOCAL[inner], REMOTE[inner], ours, peers, **(more or {}))})
        gateway.nl.request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, self.spi_in, peers, ours, algorithm, self.keys_in, policy=number,
            replay=window, **self.sas)})
        if switch:
            self.switch()

    def switch(self):
        """Add the outbound SA and let the policy use it."""
        self.gateway.nl.request("policy-switch", {
            "policy": {"id": self.number},
            "sa": moatnl.sa(moatnl.OUT, self.spi_out, OURS[self.outer], PEERS[self.outer],
                            self.algorithm, self.keys_out, policy=self.number,
                            **self.sas)})

    def seal(self, inner, seq):
        """What the peer sends for an inner packet, as bytes."""
        return bytes(self.sealer.encrypt(inner, seq_num=seq))

    def open(self, data):
        """The inner packet of what the gateway sent, as bytes; wrong ICVs raise."""
        if self.encap:
            data = without_udp(data)
        return bytes(self.opener.decrypt(LAYER[self.outer](data)))

    def sa_in(self):
        return self.gateway.nl.sa_of(self.spi_in)

    def sa_out(self):
        return self.gateway.nl.sa_of(self.spi_out)

    def drops_in(self):
        return self.sa_in().get("drop", {})


def padded(data, next_header=4):
    """A payload with ESP's trailer for a block of 4 bytes."""
    pad = -(len(data) + 2) % 4
    return data + bytes(range(1, pad + 1)) + bytes([pad, next_header])


def seal_plain(tunnel, seq, plain):
    """An ESP packet of NULL and HMAC-SHA2-256-128 around any bytes, over IPv4."""
    head = tunnel.spi_in.to_bytes(4, "big") + seq.to_bytes(4, "big")
    icv = hmac.new(tunnel.keys_in[1], head + plain, hashlib.sha256).digest()[:16]
    return bytes(IP(src=PEERS[4], dst=OURS[4], proto=50) / Raw(head + plain + icv))


def echo_request(family, dst, number):
    """A ping, inside the tunnel, for the gateway itself."""
    assert family == 4
    return IP(bytes(IP(src=FAR[4], dst=dst, id=number) / ICMP(id=7, seq=number) /
                    Raw(b"ping")))


def udp_from(gateway, source, destination, payload):
    """A datagram of the gateway's own."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    with netns.inside(gateway.name):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    with sock:
        sock.bind(source)
        sock.sendto(payload, destination)
