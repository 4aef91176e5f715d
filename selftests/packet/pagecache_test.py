#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of a file that travel in packets stay as they are.

Crypto in place over pages that are not the packet's own has been a hole in
several IPsec stacks: whoever may read a file wrote into its page cache. Pages
get into packets by sendfile(), splice(), vmsplice() and MSG_ZEROCOPY of TCP
(stable kernels copy what UDP is given so); here outbound as payload, of ESP, ESP
in UDP and AH; inbound as a packet of ESP, ESP in UDP and AH, with a good and a
bad ICV: its TCP header becomes options of IP (and the UDP header) on its way.

That a packet really has the file's pages is seen by changing the file while the
packet waits: outbound for its SA, inbound at the sender's device. What is sealed
is what the file has then, and so is the ICV that is judged. MSG_ZEROCOPY and the
ring of a packet socket get no further than veth, which makes copies for the
receiver; a ring's headers are in pages too, and a fault that writes there shows it.
"""
import ctypes
import mmap
import os
import pathlib
import select
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
from scapy.layers.inet import TCP

ALGORITHMS = ("aes128gcm16", "aes128-sha256")
PORT = 7            # TCP to here, and what has data becomes something else
NAT_T = 4500
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
SIZE = 1200
MSS = 1300          # the far host's
LARGE = 2 * MSS + 400
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, PACKET_IGNORE_OUTGOING = 263, 10, 13, 23
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

    def change(self, data):
        """The file is written to while packets have its pages."""
        self.data = data
        self.map[:len(data)] = data

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


def send(sock, how, pages):
    """Bytes that are the file's pages, in one piece."""
    same(WAYS[how](sock, pages), len(pages.data), "bytes sent")


def stream(ns, source):
    """A TCP socket in a namespace that says no farewell."""
    with netns.inside(ns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=2i", 1, 0))
    sock.bind((source, 0))
    return sock


def connected(gw, ns, source):
    """To the far host, which is this function; in clear, so there must be no policy."""
    sock = stream(ns, source)
    sock.setblocking(False)
    sock.connect_ex((FAR[4], 5678))
    syn = IP(gw.receive("wan", 1, wanted=lambda data: data[9] == socket.IPPROTO_TCP)[0])
    gw.send("wan", IP(src=syn.dst, dst=syn.src) / TCP(
        sport=syn.dport, dport=syn.sport, flags="SA", ack=syn.seq + 1,
        options=[("MSS", MSS)]))
    check(select.select([], [sock], [], 20)[1], "no connection")
    sock.setblocking(True)
    return sock


def opened(tunnel, data):
    """The TCP segment that a packet of the gateway's carries."""
    if tunnel.algorithm.startswith("ah-"):
        inner = espcodec.Ah(tunnel.algorithm[3:], tunnel.keys_out[1]).open(data)[2]
    else:
        inner = tunnel.open(data)
    return IP(trim(inner))[TCP]


def outbound(gw, how, ns, source, algorithm, encap=None):
    """As payload, from the gateway itself or through it."""
    gw.reset()
    with connected(gw, ns, source) as sock:
        tunnel = Tunnel(gw, algorithm=algorithm, encap=encap, switch=False)
        before, after = os.urandom(LARGE), os.urandom(LARGE)
        pages = Pages(before)
        send(sock, how, pages)
        wait_for("the segments", lambda: gw.nl.policy_of(tunnel.number).get("held"))
        pages.change(after)
        tunnel.switch()
        got = gw.receive("wan", 3, wanted=lambda data: data[9] != socket.IPPROTO_TCP)
    same(len(got), 3, "sealed packets")
    segments = sorted((opened(tunnel, data) for data in got), key=lambda tcp: tcp.seq)
    sent = b"".join(bytes(tcp.payload) for tcp in segments)
    if how == "MSG_ZEROCOPY" and ns != gw.name:
        same(sent, before, "what the peer opens: a copy that veth made")
    else:
        check(sent != before, "the packet had copies, not the file's pages")
        same(sent, after, "what the peer opens")
    pages.check()


def outbound_all(gw, how, ns, source):
    for algorithm in (*ALGORITHMS, "ah-sha256"):
        outbound(gw, how, ns, source, algorithm)
    outbound(gw, how, ns, source, ALGORITHMS[0], NAT_T)


def arrives(gw, tunnel, one, good):
    """The packet gets to its host, or was refused for its ICV."""
    if good:
        got = gw.receive("lan", 1)
        check(got == [routed(one)], f"{len(got)} packets arrived by {tunnel.algorithm}, ports "
              f"{tunnel.encap}, which dropped {tunnel.drops_in()} (in_icv: they had copies)")
    else:
        wait_for("in_icv", lambda: tunnel.drops_in().get("in_icv"))
        same(tunnel.sa_in()["packets"], 0, "packets taken: they had copies")


def becomes(gw, protocol, tos=0, udp=b""):
    """What segments with data to PORT become at their sender's device, and they stop there.

    The TCP header, of 20 bytes, becomes options that do nothing, and a UDP header.
    """
    options = 20 - len(udp)
    words = (b"\1" * options + udp).hex(" ", 4).split()
    changes = "".join(f"munge offset {20 + 4 * n} u32 set 0x{word} " for n, word in
                      enumerate(words))
    tc(gw, "filter replace dev wanp egress protocol ip pref 1 handle 1 flower ip_proto tcp "
       f"dst_port {PORT} tcp_flags 8/8 action pedit munge offset 0 u8 set {0x45 + options // 4} "
       f"munge offset 1 u8 set {tos} munge offset 4 u16 set 1 "
       f"munge offset 9 u8 set {protocol} {changes} pipe action csum iph",
       "qdisc change dev wanp root plug block")


def tc(gw, *lines):
    netns.run("tc", "-netns", f"{gw.name}-wire", "-batch", "-", input="\n".join(lines) + "\n")


def spoilt(data):
    """With a bad ICV."""
    return data[:-1] + bytes([data[-1] ^ 1])


def from_file(gw, how, data, good, **header):
    """A packet of the peer's, all but its IP header in a file that has become good, or bad,
    by the time that it leaves; the file."""
    with stream(f"{gw.name}-wire", PEERS[4]) as sock:
        sock.connect((OURS[4], PORT))
        becomes(gw, **header)
        pages = Pages(spoilt(data) if good else data)
        send(sock, how, pages)
        pages.change(data if good else spoilt(data))
        tc(gw, "qdisc change dev wanp root plug release_indefinite")
    return pages


def inbound(gw, how, good):
    """As an ESP packet of the peer's, bare or in UDP."""
    for algorithm, port in ((ALGORITHMS[0], None), (ALGORITHMS[1], None),
                            (ALGORITHMS[0], NAT_T), (ALGORITHMS[1], NAT_T)):
        gw.reset()
        tunnel = Tunnel(gw, algorithm=algorithm, encap=port)
        one = answer(4, os.urandom(SIZE - 200), 1)
        esp = bytes(IP(tunnel.seal(one, 1)).payload)
        header = {"protocol": socket.IPPROTO_ESP}
        if port:
            header = {"protocol": socket.IPPROTO_UDP,
                      "udp": struct.pack(">4H", port, port, 8 + len(esp), 0)}
        pages = from_file(gw, how, esp, good, **header)
        arrives(gw, tunnel, one, good)
        pages.check()


def ah_packet(tunnel, one, seq, tos=0, options=b""):
    """What the peer sends for a packet by an SA of AH."""
    codec = espcodec.Ah(tunnel.algorithm[3:], tunnel.keys_in[1])
    size = 20 + len(options)
    head = IP(src=PEERS[4], dst=OURS[4], id=1, flags="DF", proto=51, tos=tos,
              ihl=size // 4, len=size + codec.length(4) + len(one))
    return codec.seal(bytes(head) + options, tunnel.spi_in, seq, bytes(one), 4)


def inbound_ah(gw, how, good):
    """As an AH packet of the peer's."""
    for algorithm in ("ah-sha256", "ah-aes128gmac"):
        gw.reset()
        tunnel = Tunnel(gw, algorithm=algorithm)
        one = answer(4, os.urandom(SIZE - 200), 1)
        # explicit congestion is told to the inner header: one more reason to write
        one.tos = 2
        del one.chksum
        one = IP(bytes(one))
        data = ah_packet(tunnel, one, 1, 3, b"\1" * 20)
        pages = from_file(gw, how, data[40:], good, protocol=socket.IPPROTO_AH, tos=3)
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
    """Sockets at both wires; nobody who looks at what they send makes clones of it."""
    wire = f"{gw.name}-wire"
    netns.ip(f"addr add {PEERS[4]}/24 dev wanp", f"addr add {HOST[4]}/24 dev lanp",
             "route add 10.2.0.0/24 via 10.1.0.1", ns=wire)
    with netns.inside(wire):
        netns.sysctl("net.ipv4.tcp_timestamps", 0)      # they would be in the header
    for link in gw.links.values():
        link.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    tc(gw, "qdisc add dev wanp clsact", "qdisc add dev wanp root plug limit 1000000",
       "qdisc change dev wanp root plug release_indefinite")
    with netns.inside(gw.name):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((OURS[4], PORT))
    sock.listen(200)
    return sock


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    sock = prepare(gw)
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
    sock.close()
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
