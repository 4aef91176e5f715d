#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every algorithm against the kernel's own IPsec, both directions.

    gw-a (Moat) 192.0.2.1 ======== 192.0.2.2 gw-b (XFRM)
    10.1.0.0/16 (lo)                           10.2.0.0/16 (lo)

All SAs stand at once, each row's between two addresses of its own. A row
carries payloads of every length from 0 to 300 bytes each way. With ESN the
sequence numbers cross 2^32 in the middle of the row. MOAT_LONG=1 in the
environment: AH and transport mode too, and each row ends with packets of the
lengths around its SA's MTU, of which those that are too long leave in fragments.
"""
import os
import pathlib
import re
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import moatnl
import netns
from ktap import Results, check, same
from moatnl import IN, OUT, TRANSPORT, TUNNEL

LONG = os.environ.get("MOAT_LONG") == "1"
LENGTHS = range(301)
AROUND = range(-5, 4)           # and so many bytes more than the MTU
HEADERS = 28                    # IPv4 and ICMP
# Requests without an answer. The kernel's own socket for ICMP holds about 130 KB,
# and drops answers beyond that, when cryptd lets them wait (IcmpOutErrors).
WINDOW = 40
OURS, PEERS = "192.0.2.1", "192.0.2.2"
SPI_IN, SPI_OUT = 0x10000000, 0x20000000
SOURCE = os.urandom(1500)

# what `ip xfrm` calls them: kind, name, bits of ICV
XFRM_AUTH = {"md5": ("hmac(md5)", 96), "sha1": ("hmac(sha1)", 96),
             "sha256": ("hmac(sha256)", 128), "sha256_96": ("hmac(sha256)", 96),
             "sha384": ("hmac(sha384)", 192), "sha512": ("hmac(sha512)", 256),
             "aesxcbc": ("xcbc(aes)", 96), "aescmac": ("cmac(aes)", 96)}
XFRM_AEAD = {"gcm": "rfc4106(gcm(aes))", "ccm": "rfc4309(ccm(aes))",
             "gmac": "rfc4543(gcm(aes))"}


def xfrm_algorithm(name, keys):
    """The algorithm's words for `ip xfrm state add`."""
    if name.startswith("ah-"):
        auth, bits = XFRM_AUTH[name.removeprefix("ah-")]
        return f"auth-trunc {auth} 0x{keys[1].hex()} {bits}"
    if name == "chacha20poly1305":
        return f"aead rfc7539esp(chacha20,poly1305) 0x{keys[0].hex()} 128"
    combined = re.fullmatch(r"aes\d+(gcm|ccm|gmac)(\d*)", name)
    if combined:
        bits = int(combined[2] or 16) * 8
        return f"aead {XFRM_AEAD[combined[1]]} 0x{keys[0].hex()} {bits}"
    cipher, _, integrity = name.partition("-")
    enc = {"null": "ecb(cipher_null)", "3des": "cbc(des3_ede)"}.get(
        cipher, "rfc3686(ctr(aes))" if cipher.endswith("ctr") else "cbc(aes)")
    key = f"0x{keys[0].hex()}" if keys[0] else "\"\""
    auth, bits = XFRM_AUTH[integrity]
    return f"enc {enc} {key} auth-trunc {auth} 0x{keys[1].hex()} {bits}"


class Row:
    """One algorithm in one mode: addresses, keys, and what both sides are told."""

    def __init__(self, number, name, mode, esn=False):
        self.number, self.name, self.mode, self.esn = number, name, mode, esn
        self.here, self.there = (f"10.{n}.{number // 250}.{number % 250 + 1}" for n in (1, 2))
        self.ends = (self.here, self.there) if mode == TRANSPORT else (OURS, PEERS)
        self.start = (1 << 32) - 151 if esn else 0
        self.spi_in, self.spi_out = SPI_IN + number, SPI_OUT + number
        algorithm = moatnl.ALGORITHMS[name]
        self.keys_in, self.keys_out = algorithm.keys(), algorithm.keys()
        self.protocol = "ah" if name.startswith("ah-") else "esp"

    def title(self):
        mode = "transport" if self.mode == TRANSPORT else "tunnel"
        return f"{self.name}: {mode}{', ESN' if self.esn else ''}"

    def xfrm_state(self, src, dst, spi, keys, counter):
        mode = "transport" if self.mode == TRANSPORT else "tunnel"
        more = "flag align4 " if self.protocol == "ah" else ""  # as RFC 4302 wants IPv4's
        if self.esn:
            more = (f"replay-window 64 {more or 'flag '}esn replay-{counter} "
                    f"{self.start & 0xffffffff} replay-{counter}-hi {self.start >> 32} ")
        return (f"xfrm state add src {src} dst {dst} proto {self.protocol} spi {spi:#x} "
                f"reqid {self.number + 1} mode {mode} {more}{xfrm_algorithm(self.name, keys)} "
                f"sel src {self.inner(src)} dst {self.inner(dst)}")

    def inner(self, end):
        """The inner address behind an end of the tunnel."""
        return self.here if end == self.ends[0] else self.there

    def xfrm(self):
        """Lines for `ip -batch` in gw-b."""
        ours, peers = self.ends
        mode = "transport" if self.mode == TRANSPORT else "tunnel"
        ends = {"in": (ours, peers), "out": (peers, ours)}
        yield self.xfrm_state(ours, peers, self.spi_out, self.keys_out, "seq")
        yield self.xfrm_state(peers, ours, self.spi_in, self.keys_in, "oseq")
        for way, (src, dst) in ends.items():
            yield (f"xfrm policy add dir {way} src {self.inner(src)} dst {self.inner(dst)} "
                   f"tmpl src {src} dst {dst} proto {self.protocol} reqid {self.number + 1} "
                   f"mode {mode}")

    def sa(self, nl, direction):
        """What an SA of Moat says about itself."""
        key = {"direction": direction,
               "protocol": moatnl.AH if self.protocol == "ah" else moatnl.ESP,
               "spi": self.spi_in if direction == IN else self.spi_out,
               "dst": self.ends[0] if direction == IN else self.ends[1]}
        return nl.request("sa-get", {"sa": key})[0]["sa"][0]

    def moat(self, nl):
        """Policy and both SAs in gw-a."""
        ours, peers = self.ends
        number = self.number + 1
        more = {"policy": number, "mode": self.mode, "seq": self.start, "esn": self.esn}
        nl.request("policy-add", {"policy": moatnl.policy(
            number, self.here, self.there, ours, peers, mode=self.mode)})
        # larger than the row: XFRM's packets may overtake each other by far
        nl.request("sa-add", {"sa": moatnl.sa(
            IN, self.spi_in, peers, ours, self.name, self.keys_in, replay=1024, **more)})
        nl.request("policy-switch", {"policy": {"id": number}, "sa": moatnl.sa(
            OUT, self.spi_out, ours, peers, self.name, self.keys_out, **more)})


class Host:
    """A namespace at one end of the wire; every address of its net is its own."""

    def __init__(self, ns, device, address, net):
        self.ns = ns
        with netns.inside(ns):
            netns.sysctl("net.ipv4.ping_group_range", "0 2147483647")
        netns.ip("link set lo up", f"addr add {address}/24 dev {device}",
                 f"link set {device} up", f"route add local {net} dev lo", ns=ns)

    def socket(self, address):
        """A ping socket: the kernel makes headers, and a peer's kernel answers."""
        with netns.inside(self.ns):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)     # SO_RCVBUFFORCE
        sock.setsockopt(socket.IPPROTO_IP, 10, 0)           # IP_PMTUDISC_DONT: without DF
        sock.bind((address, 0))
        sock.settimeout(10)
        return sock


def payloads(row, nl):
    """Of all lengths that the row has."""
    limit = row.sa(nl, OUT)["mtu"] - HEADERS
    around = [limit + more for more in AROUND] if LONG else []
    return [SOURCE[:n] for n in (*LENGTHS, *around)]


def receive(sock, answers, count):
    """By their number, until there are so many: XFRM lets one answer overtake another that
    cryptd completes later."""
    try:
        while len(answers) < count:
            data = sock.recv(2048)
            kind, number = struct.unpack("!BxxxxxH", data[:8])
            same((kind, number in answers), (0, False), "type of an answer, seen before")
            answers[number] = data[8:]
    except TimeoutError:
        pass


def exchange(row, host, nl):
    """Echo requests and answers; afterwards its SAs know each packet, and no drop."""
    sent, answers = payloads(row, nl), {}
    with host.socket(row.here) as sock:
        for first in range(0, len(sent), WINDOW):
            for i, payload in enumerate(sent[first:first + WINDOW], first):
                sock.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, i) + payload, (row.there, 0))
            receive(sock, answers, min(first + WINDOW, len(sent)))
    lost = [len(payload) for i, payload in enumerate(sent) if i not in answers]
    check(not lost, f"no answers of {lost} bytes; Moat's SAs "
          f"{[row.sa(nl, d) for d in (OUT, IN)] if lost else ''}, XFRM {xfrm_errors()}")
    for i, payload in enumerate(sent):
        check(answers[i] == payload, f"the answer of {len(payload)} bytes is not what was sent")
    for direction in (OUT, IN):
        sa = row.sa(nl, direction)
        same((sa["packets"], sa["seq"], sa.get("drop", {})),
             (len(sent), row.start + len(sent), {}), "packets, number and drops")


def xfrm_errors():
    """What XFRM counts in gw-b."""
    lines = netns.run("ip", "netns", "exec", "gw-b", "cat", "/proc/net/xfrm_stat").split()
    return {name: int(n) for name, n in zip(lines[::2], lines[1::2]) if n != "0"}


def rows():
    """Each algorithm in each mode, and each kind of it with ESN; XFRM has no AH-GMAC."""
    names = [n for n in moatnl.ALGORITHMS
             if not re.match(r"ah-aes\d+gmac" if LONG else "ah-", n)]
    wanted = [(name, mode, False) for name in names
              for mode in ((TUNNEL, TRANSPORT) if LONG else (TUNNEL,))]
    wanted += [(name, TUNNEL, True) for name in names
               if re.match(r"aes128|chacha|ah-sha", name)]
    return [Row(number, *one) for number, one in enumerate(wanted)]


def main():
    results = Results()
    # What different CPUs send overtakes on a veth, with or without us.
    os.sched_setaffinity(0, {0})
    netns.shell("load_moat")
    netns.ip("netns add gw-a", "netns add gw-b",
             "link add wan-a netns gw-a type veth peer name wan-b netns gw-b")
    hosts = [Host("gw-a", "wan-a", OURS, "10.1.0.0/16"),
             Host("gw-b", "wan-b", PEERS, "10.2.0.0/16")]
    netns.ip(f"route add 10.2.0.0/16 via {PEERS}", ns="gw-a")
    netns.ip(f"route add 10.1.0.0/16 via {OURS}", ns="gw-b")
    with netns.inside("gw-a"):
        nl = moatnl.Netlink()
    table = rows()

    def install():
        netns.ip(*(line for row in table for line in row.xfrm()), ns="gw-b")
        for row in table:
            row.moat(nl)

    results.run(f"{len(table)} pairs of SAs", install)
    for row in table:
        results.run(row.title(), exchange, row, hosts[0], nl)
    results.run("XFRM counts no error", lambda: same(xfrm_errors(), {}, "xfrm_stat"))
    nl.flush()
    netns.ip("netns del gw-a", "netns del gw-b")
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
