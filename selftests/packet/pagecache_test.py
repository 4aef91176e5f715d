#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of a file that travel in packets stay as they are.

Crypto in place over pages that are not the packet's own has been a hole in
several IPsec stacks: whoever may read a file wrote into its page cache. Pages
get into packets by sendfile(), splice(), vmsplice() and MSG_ZEROCOPY; here
outbound as payload, of ESP, ESP in UDP and AH; inbound as a packet of ESP, of
ESP in UDP, and of AH from its sequence number on, with a good and a bad ICV.
Today's stable kernels copy what UDP is given by sendfile() and its kin into the
linear part; so packets come by the ring of a packet socket too, all but their
Ethernet header in pages. Of these veth makes copies: that they are in pages is
shown by a fault that writes there, not that somebody else sees them.
"""
import ctypes
import mmap
import os
import pathlib
import socket
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateway
import netns
from gateway import FAR, HOST, IP, OURS, PEERS, Tunnel, answer, packet, routed, trim
from ktap import Results, check, same, wait_for

ALGORITHMS = ("aes128gcm16", "aes128-sha256")
FOU_PORT = 5555     # UDP to here is ESP without its UDP header
AH_PORT = 5556      # UDP to here leaves as AH, whose first bytes the UDP header becomes
NAT_T = 4500
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
SO_NO_CHECK = 11
SIZE = 1200
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING = 263, 10, 13
RING_HEAD = 32      # of struct tpacket2_hdr, behind which the frame begins
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


def becomes_ah(gw, head):
    """UDP to AH_PORT is given another protocol and the first bytes of AH, by nftables.

    Where the checksum of UDP was, nftables keeps counting it; so the SPI comes last.
    """
    netns.run("ip", "netns", "exec", f"{gw.name}-wire", "nft", "-f", "-", input=f"""
        table ip becomes_ah
        delete table ip becomes_ah
        table ip becomes_ah {{
            chain out {{
                type filter hook output priority 0
                udp dport {AH_PORT} @th,0,32 set 0x{head[:4].hex()} ip id set 1 \\
                    ip protocol set 51 @th,32,32 set 0x{head[4:].hex()}
            }}
        }}""")


def ah_packet(tunnel, one, seq, tos=0):
    """What the peer sends for a packet by an SA of AH."""
    codec = espcodec.Ah(tunnel.algorithm[3:], tunnel.keys_in[1])
    head = IP(src=PEERS[4], dst=OURS[4], id=1, flags="DF", proto=51, tos=tos,
              len=20 + codec.length(4) + len(one))
    return codec.seal(bytes(head), tunnel.spi_in, seq, bytes(one), 4)


def inbound_ah(gw, how, good):
    """As an AH packet of the peer's, of which the file has all but the first 8 bytes."""
    for algorithm in ("ah-sha256", "ah-aes128gmac"):
        gw.reset()
        tunnel = Tunnel(gw, algorithm=algorithm)
        one = answer(4, os.urandom(SIZE - 200), 1)
        # explicit congestion is told to the inner header: one more reason to write
        one.tos = 2
        del one.chksum
        one = IP(bytes(one))
        data = bytearray(ah_packet(tunnel, one, 1, tos=3))
        if not good:
            data[-1] ^= 1
        becomes_ah(gw, data[20:28])
        pages = Pages(bytes(data[28:]))
        with connected(f"{gw.name}-wire", PEERS[4], (OURS[4], AH_PORT)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 3)
            send(sock, how, pages)
        one.tos = 3
        del one.chksum
        arrives(gw, tunnel, IP(bytes(one)), good)
        pages.check()


def ring_of(gw, frame):
    """Send a frame to the gateway by a ring; its pages, and where they must not change."""
    with netns.inside(f"{gw.name}-wire"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("wanp", 0))
    sock.setsockopt(SOL_PACKET, PACKET_VERSION, 1)
    sock.setsockopt(SOL_PACKET, PACKET_TX_RING,
                    struct.pack("=4I", mmap.PAGESIZE, 1, mmap.PAGESIZE, 1))
    ring = mmap.mmap(sock.fileno(), mmap.PAGESIZE)
    ring[RING_HEAD:RING_HEAD + len(frame)] = frame
    ring[:12] = struct.pack("=3I", 1, len(frame), len(frame))   # TP_STATUS_SEND_REQUEST
    same(sock.send(b""), len(frame), "bytes sent")
    return sock, ring


def by_ring(gw, algorithm, good):
    """The peer's packet, headers and all, in pages that its sender mapped."""
    gw.reset()
    tunnel = Tunnel(gw, algorithm=algorithm)
    one = answer(4, os.urandom(SIZE), 1)
    data = bytearray((ah_packet if algorithm.startswith("ah-") else Tunnel.seal)(tunnel, one, 1))
    if not good:
        data[-1] ^= 1
    frame = (bytes.fromhex(gw.mac["wan"].replace(":", "")) + b"\x02\0\0\0\0\x01\x08\0" + data)
    sock, ring = ring_of(gw, frame)
    with sock:
        arrives(gw, tunnel, one, good)
        check(ring[RING_HEAD:RING_HEAD + len(frame)] == frame, "the sender's pages have changed")


def tapped(gw, algorithm):
    """Who listens at a device shares the packet with us: what he reads is what arrived."""
    gw.reset()
    tunnel = Tunnel(gw, algorithm=algorithm)
    for seq in range(1, 9):
        plain, back = packet(4, os.urandom(SIZE), seq), answer(4, os.urandom(SIZE), seq)
        sealed = (ah_packet if algorithm.startswith("ah-") else Tunnel.seal)(tunnel, back, seq)
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
    run("taps", tapped, gw, ALGORITHMS[0])
    run("taps of AH", tapped, gw, "ah-sha256")
    for algorithm in (*ALGORITHMS, "ah-sha256", "ah-aes128gmac"):
        for good in (True, False):
            run(f"a ring, {algorithm} with {'a good' if good else 'a bad'} ICV", by_ring, gw,
                algorithm, good)
    for how in WAYS:
        run(f"{how} at the gateway", outbound_all, gw, how, gw.name, "10.1.0.1")
        run(f"{how} through the gateway", outbound_all, gw, how, f"{gw.name}-wire", HOST[4])
        for good in (True, False):
            which = "a good" if good else "a bad"
            run(f"{how} of ESP with {which} ICV", inbound, gw, how, good)
            run(f"{how} of AH with {which} ICV", inbound_ah, gw, how, good)
    netns.ip(f"fou del port {FOU_PORT}", ns=gw.name)
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
