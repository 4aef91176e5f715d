#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of a file that travel in packets stay as they are.

Crypto in place over pages that are not the packet's own has been a hole in
several IPsec stacks: whoever may read a file wrote into its page cache. Pages
get into packets by sendfile(), splice(), vmsplice() and MSG_ZEROCOPY; here
outbound as payload, of ESP, ESP in UDP and AH; inbound as a packet of ESP and of
ESP in UDP, with a good and a bad ICV.
"""
import ctypes
import mmap
import os
import pathlib
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateway
import netns
from gateway import FAR, HOST, IP, OURS, PEERS, Tunnel, answer, packet, routed, trim
from ktap import Results, check, same, wait_for

ALGORITHMS = ("aes128gcm16", "aes128-sha256")
FOU_PORT = 5555     # UDP to here is ESP without its UDP header
NAT_T = 4500
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
SIZE = 1200
LIBC = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    """struct iovec"""
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Pages:
    """A file in the page cache, and its first bytes mapped."""

    def __init__(self, data):
        self.data = data
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(data.ljust(mmap.PAGESIZE, b"\xa5"))
        self.file.flush()
        self.map = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)

    def check(self):
        """By the mapping and by read(): nothing has changed."""
        wanted = self.data.ljust(mmap.PAGESIZE, b"\xa5")
        check(self.map[:] == wanted, "the mapped pages have changed")
        check(os.pread(self.file.fileno(), mmap.PAGESIZE, 0) == wanted, "the file has changed")

    def address(self):
        return ctypes.addressof(ctypes.c_char.from_buffer(self.map))


def by_sendfile(sock, pages):
    return os.sendfile(sock.fileno(), pages.file.fileno(), 0, len(pages.data))


def from_pipe(sock, fill):
    reader, writer = os.pipe()
    try:
        count = fill(writer)
        return os.splice(reader, sock.fileno(), count)
    finally:
        os.close(reader)
        os.close(writer)


def by_splice(sock, pages):
    return from_pipe(sock, lambda pipe: os.splice(pages.file.fileno(), pipe,
                                                  len(pages.data), offset_src=0))


def by_vmsplice(sock, pages):
    def fill(pipe):
        vector = Vector(pages.address(), len(pages.data))
        count = LIBC.vmsplice(pipe, ctypes.byref(vector), ctypes.c_ulong(1), 0)
        if count < 0:
            raise OSError(ctypes.get_errno(), "vmsplice")
        return count
    return from_pipe(sock, fill)


def by_zerocopy(sock, pages):
    sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    return sock.send(memoryview(pages.map)[:len(pages.data)], MSG_ZEROCOPY)


WAYS = {"sendfile": by_sendfile, "splice": by_splice, "vmsplice": by_vmsplice,
        "MSG_ZEROCOPY": by_zerocopy}


def connected(ns, source, target, port=0):
    """A UDP socket in a namespace, as a context."""
    with netns.inside(ns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, port))
    sock.connect(target)
    return sock


def send(sock, how, pages):
    """One datagram whose bytes are the file's pages."""
    same(WAYS[how](sock, pages), len(pages.data), "bytes sent")


def outbound(gw, how, ns, source, algorithm, encap=None):
    """As payload, from the gateway itself or through it."""
    gw.reset()
    tunnel = Tunnel(gw, algorithm=algorithm, encap=encap)
    pages = Pages(os.urandom(SIZE))
    with connected(ns, source, (FAR[4], 5678)) as sock:
        send(sock, how, pages)
    got = gw.receive("wan", 1)
    same(len(got), 1, "sealed packets")
    if algorithm.startswith("ah-"):
        check(pages.data in got[0], "AH does not carry what was sent")
    else:
        same(trim(tunnel.open(got[0]))[28:], pages.data, "what the peer opens")
    pages.check()


def outbound_all(gw, how, ns, source):
    for algorithm in (*ALGORITHMS, "ah-sha256"):
        outbound(gw, how, ns, source, algorithm)
    outbound(gw, how, ns, source, ALGORITHMS[0], NAT_T)


def arrives(gw, tunnel, one, good):
    """The packet gets to its host, or was refused for its ICV."""
    if good:
        same(gw.receive("lan", 1), [routed(one)], "what the host gets")
    else:
        wait_for("in_icv", lambda: tunnel.drops_in() == {"in_icv": 1})


def inbound(gw, how, good):
    """As an ESP packet of the peer's, bare or in UDP."""
    for algorithm, port in ((ALGORITHMS[0], None), (ALGORITHMS[1], None),
                            (ALGORITHMS[0], NAT_T), (ALGORITHMS[1], NAT_T)):
        gw.reset()
        tunnel = Tunnel(gw, algorithm=algorithm, encap=port)
        one = answer(4, os.urandom(SIZE - 200), 1)
        esp = bytearray(bytes(IP(tunnel.seal(one, 1)).payload))
        if not good:
            esp[-1] ^= 1
        pages = Pages(bytes(esp))
        with connected(f"{gw.name}-wire", PEERS[4], (OURS[4], port or FOU_PORT),
                       port or 0) as sock:
            send(sock, how, pages)
        arrives(gw, tunnel, one, good)
        pages.check()


def tapped(gw):
    """Who listens at a device shares the packet with us: what he reads is what arrived."""
    gw.reset()
    tunnel = Tunnel(gw)
    for seq in range(1, 9):
        plain, back = packet(4, os.urandom(SIZE), seq), answer(4, os.urandom(SIZE), seq)
        sealed = tunnel.seal(back, seq)
        for device, data, far in (("lan", bytes(plain), "wan"), ("wan", sealed, "lan")):
            tap = netns.Link(gw.name, device)
            gw.send(device, data)
            same(len(gw.receive(far, 1)), 1, f"packets at {far}")
            same([trim(f[14:]).hex() for f in tap.frames(5, lambda f: f[12:14] == b"\x08\0", 1)],
                 [data.hex()], f"packet that arrived at {device}, once it had left")
            tap.close()


def prepare(gw):
    """Sockets at both wires, and ESP out of UDP by another hand than ours."""
    netns.ip(f"addr add {PEERS[4]}/24 dev wanp", f"addr add {HOST[4]}/24 dev lanp",
             "route add 10.2.0.0/24 via 10.1.0.1", ns=f"{gw.name}-wire")
    netns.run("modprobe", "fou")
    netns.ip(f"fou add port {FOU_PORT} ipproto 50", ns=gw.name)


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    prepare(gw)
    run = results.run
    run("taps", tapped, gw)
    for how in WAYS:
        run(f"{how} at the gateway", outbound_all, gw, how, gw.name, "10.1.0.1")
        run(f"{how} through the gateway", outbound_all, gw, how, f"{gw.name}-wire", HOST[4])
        for good in (True, False):
            which = "a good" if good else "a bad"
            run(f"{how} of ESP with {which} ICV", inbound, gw, how, good)
    netns.ip(f"fou del port {FOU_PORT}", ns=gw.name)
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
