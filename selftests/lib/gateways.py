# SPDX-License-Identifier: GPL-2.0-or-later
"""host-a, gw-a, gw-b and host-b (the picture is in net/lib.sh), and traffic."""
import hashlib
import os
import socket
import threading

import moatnl
import netns

OURS = {4: "192.0.2.1", 6: "2001:db8::1"}
PEERS = {4: "192.0.2.2", 6: "2001:db8::2"}
LOCAL = {4: "10.1.0.0/24", 6: "fd00:1::/64"}
REMOTE = {4: "10.2.0.0/24", 6: "fd00:2::/64"}
HOST_A = {4: "10.1.0.2", 6: "fd00:1::2"}
HOST_B = {4: "10.2.0.2", 6: "fd00:2::2"}

# What `ip xfrm` calls the algorithms: (aead or enc, then auth, each with a length).
XFRM = {
    "aes128gcm16": ("rfc4106(gcm(aes))", 128), "aes256gcm16": ("rfc4106(gcm(aes))", 128),
    "aes256gcm8": ("rfc4106(gcm(aes))", 64),
    "aes128-sha1": ("cbc(aes)", "hmac(sha1)", 96),
    "aes128-sha256": ("cbc(aes)", "hmac(sha256)", 128),
    "aes256-sha384": ("cbc(aes)", "hmac(sha384)", 192),
    "aes256-sha512": ("cbc(aes)", "hmac(sha512)", 256),
    "null-sha1": ("ecb(cipher_null)", "hmac(sha1)", 96),
    "null-sha256": ("ecb(cipher_null)", "hmac(sha256)", 128),
}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def connect(name):
    """A netlink socket in a namespace."""
    with netns.inside(name):
        return moatnl.Netlink()


class Keys:
    """SPIs and keys of a pair, in both directions, seen from gw-a."""

    def __init__(self, algorithm, spis=(0xa0000001, 0xb0000001)):
        self.algorithm = algorithm
        self.spi_in, self.spi_out = spis
        self.key_in = moatnl.ALGORITHMS[algorithm].keys()
        self.key_out = moatnl.ALGORITHMS[algorithm].keys()

    def turned(self):
        """The same, seen from gw-b."""
        other = Keys(self.algorithm, (self.spi_out, self.spi_in))
        other.key_in, other.key_out = self.key_out, self.key_in
        return other


def moat_pair(nl, keys, inner, outer, number=7, side_b=False, window=1024, port=None, **more):
    """A policy (with `more`) and both SAs by Moat's netlink; in UDP when there is a port."""
    ours, peers, local, remote = OURS, PEERS, LOCAL, REMOTE
    if side_b:
        ours, peers, local, remote = PEERS, OURS, REMOTE, LOCAL
    nl.request("policy-add", {"policy": moatnl.policy(
        number, local[inner], remote[inner], ours[outer], peers[outer], **more)})
    nl.request("sa-add", {"sa": moatnl.sa(
        moatnl.IN, keys.spi_in, peers[outer], ours[outer], keys.algorithm, keys.key_in,
        policy=number, replay=window, encap_sport=port, encap_dport=port)})
    nl.request("policy-switch", {"policy": {"id": number}, "sa": moatnl.sa(
        moatnl.OUT, keys.spi_out, ours[outer], peers[outer], keys.algorithm, keys.key_out,
        policy=number, encap_sport=port, encap_dport=port)})


def xfrm_algorithm(algorithm, key):
    words = XFRM[algorithm]
    if len(words) == 2:
        return f"aead {words[0]} 0x{key[0].hex()} {words[1]}"
    cipher = f'0x{key[0].hex()}' if key[0] else '""'
    return f"enc {words[0]} {cipher} auth-trunc {words[1]} 0x{key[1].hex()} {words[2]}"


def xfrm_pair(ns, keys, inner, outer, port=None):
    """The peer's half at gw-b, by XFRM; `keys` as gw-a sees them."""
    ours, peers = OURS[outer], PEERS[outer]
    to_a = f"src {peers} dst {ours} proto esp"
    to_b = f"src {ours} dst {peers} proto esp"
    encap = f"encap espinudp {port} {port} {'0.0.0.0' if outer == 4 else '::'}" if port else ""
    netns.ip(
        f"xfrm state add {to_a} spi {keys.spi_in:#x} mode tunnel flag af-unspec "
        f"replay-window 1024 {xfrm_algorithm(keys.algorithm, keys.key_in)} {encap}",
        f"xfrm state add {to_b} spi {keys.spi_out:#x} mode tunnel flag af-unspec "
        f"replay-window 1024 {xfrm_algorithm(keys.algorithm, keys.key_out)} {encap}",
        f"xfrm policy add src {REMOTE[inner]} dst {LOCAL[inner]} dir out "
        f"tmpl {to_a} mode tunnel",
        *(f"xfrm policy add src {LOCAL[inner]} dst {REMOTE[inner]} dir {d} "
          f"tmpl {to_b} mode tunnel" for d in ("in", "fwd")), ns=ns)


def xfrm_port(ns, family, port):
    """The socket by which XFRM gets ESP in UDP."""
    sock = listen(ns, family, socket.SOCK_DGRAM, port)
    sock.setsockopt(socket.IPPROTO_UDP, 100, 2)     # UDP_ENCAP, UDP_ENCAP_ESPINUDP
    return sock


def xfrm_flush(ns):
    netns.ip("xfrm state flush", "xfrm policy flush", ns=ns)


def listen(ns, family, kind, port, at=None):
    with netns.inside(ns):
        sock = socket.socket(FAMILY[family], kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(30)
    sock.bind((at or ("::" if family == 6 else "0.0.0.0"), port))
    if kind == socket.SOCK_STREAM:
        sock.listen(1)
    return sock


def receive_all(server, result):
    """Take one connection to its end; leaves length and hash, or the error."""
    digest, length = hashlib.sha256(), 0
    try:
        connection, _ = server.accept()
        connection.settimeout(30)
        with connection:
            while data := connection.recv(1 << 18):
                digest.update(data)
                length += len(data)
    except OSError as error:
        result["error"] = error
    result.update(length=length, hash=digest.hexdigest())


HOSTS = (("host-a", HOST_A), ("host-b", HOST_B))
GATEWAYS = (("gw-a", OURS), ("gw-b", PEERS))


def tcp(family, data, back=False, port=5001, ends=HOSTS):
    """Data from the first of the ends to the second arrives whole; `back` turns it around."""
    (here, _), (there, addresses) = reversed(ends) if back else ends
    address, result = addresses[family], {}
    with listen(there, family, socket.SOCK_STREAM, port) as server:
        thread = threading.Thread(target=receive_all, args=(server, result))
        thread.start()
        with netns.inside(here):
            client = socket.socket(FAMILY[family], socket.SOCK_STREAM)
        with client:
            client.settimeout(30)
            client.connect((address, port))
            client.sendall(data)
        thread.join()
    expected = {"length": len(data), "hash": hashlib.sha256(data).hexdigest()}
    if result != expected:
        raise AssertionError(f"received {result}, sent {expected}")


def udp_exchange(family, count=20, size=200, ends=HOSTS, sizes=None):
    """Datagrams to an echo at the second end, one by one; all must come back."""
    (here, _), (there, addresses) = ends
    with listen(there, family, socket.SOCK_DGRAM, 7007) as server:
        with netns.inside(here):
            client = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
        with client:
            client.settimeout(10)
            client.connect((addresses[family], 7007))
            for length in sizes or [size] * count:
                sent = os.urandom(length)
                client.send(sent)
                data, where = server.recvfrom(65536)
                server.sendto(data, where)
                if client.recv(65536) != sent:
                    raise AssertionError("a datagram came back changed")
