#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of header fields (RFC 4301 5.1.2, RFC 6040), of TFC padding, of the MSS
and of IVs."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateway
import moatnl
import netns
from gateway import (FAR, HOST, IP, IPv6, OURS, PEERS, Raw, Tunnel, answer, is_esp, packet,
                     padded, seal_plain, trim)
from ktap import Results, check, same, wait_for
from scapy.layers.inet import TCP, defragment, fragment

FAMILIES = [(4, 4), (6, 4), (4, 6), (6, 6)]
HEADERS = {4: IP, 6: IPv6}
NOT_ECT, ECT1, ECT0, CE = range(4)
COPY, SET, CLEAR = range(3)
TFC_AUTO = 65535

# RFC 6040, figure 4: (inner, outer) that are not simply the higher of the two marks.
ECN_KEPT = {(NOT_ECT, ECT0): NOT_ECT, (NOT_ECT, ECT1): NOT_ECT, (NOT_ECT, CE): None,
            (ECT0, NOT_ECT): ECT0, (ECT1, NOT_ECT): ECT1, (CE, NOT_ECT): CE,
            (ECT0, ECT1): ECT1, (ECT1, ECT0): ECT1, (CE, ECT0): CE, (CE, ECT1): CE,
            (ECT0, CE): CE, (ECT1, CE): CE}
ECN_ODD = {(NOT_ECT, ECT0), (NOT_ECT, ECT1), (NOT_ECT, CE), (ECT1, ECT0), (CE, ECT1)}


def dsfield(ip):
    return ip.tos if ip.version == 4 else ip.tc


def ttl(ip):
    return ip.ttl if ip.version == 4 else ip.hlim


def marked(one, value):
    """A packet with this DSCP and ECN, its checksum right."""
    copy = HEADERS[one.version](bytes(one))
    if one.version == 4:
        copy.tos = value
        del copy.chksum
    else:
        copy.tc = value
    return HEADERS[one.version](bytes(copy))


def sealed(gw, tunnel):
    """The next outer and inner packet on the wire."""
    got = gw.receive("wan", 1, wanted=is_esp)
    same(len(got), 1, "sealed packets")
    inner = trim(tunnel.open(got[0]))
    return HEADERS[tunnel.outer](got[0]), HEADERS[tunnel.inner](inner)


# --- out ---------------------------------------------------------------------

def outer_fields(gw, inner, outer):
    """DSCP and ECN are copied, the flow label if there is one; TTL and the rest are ours."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer)
    for number, value in enumerate((0, 0xb8 | ECT0, 0xb8 | ECT1, 0x28 | CE), 1):
        gw.send("lan", marked(packet(inner, b"out", 0x1000 + number, ttl=9), value))
        out, into = sealed(gw, tunnel)
        same((dsfield(out), dsfield(into)), (value, value), "outer and inner DSCP and ECN")
        same((ttl(out), ttl(into)), (64, 8), "outer and inner TTL")
        if outer == 6:
            same(out.fl, 0x1000 + number if inner == 6 else 0, "flow label")
        else:
            same((out.ihl, out.options), (5, []), "outer options")


def outer_dscp(gw, inner, outer):
    """A policy's DSCP; ECN is still copied, and the inner header stays."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer, more={"dscp": 46})
    same(gw.nl.policy_of(7)["dscp"], 46, "the policy's DSCP")
    for value in (0, 0x28 | ECT0, 0xfc | CE):
        gw.send("lan", marked(packet(inner, b"dscp"), value))
        out, into = sealed(gw, tunnel)
        same((dsfield(out), dsfield(into)), (46 << 2 | value & 3, value), "DSCP and ECN")


def local_ttl(gw, inner, outer):
    """What the gateway itself sends is not forwarded: its TTL is what it was."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer)
    ours = {4: "10.1.0.1", 6: "fd00:1::1"}[inner]
    gateway.udp_from(gw, (ours, 1234), (FAR[inner], 5678), b"local")
    _, into = sealed(gw, tunnel)
    same((ttl(into), bytes(into)[-5:]), (64, b"local"), "inner TTL")


def outer_df(gw, df, expected):
    """The outer DF for an inner packet without it, with it, and for IPv6."""
    gw.reset()
    tunnels = [Tunnel(gw, more={"df": df}),
               Tunnel(gw, 6, 4, number=8, spis=(0xc0ffee03, 0xc0ffee04), more={"df": df})]
    with_df = IP(bytes(packet(4, b"df")))
    with_df.flags = "DF"
    del with_df.chksum
    found = []
    for tunnel, one in ((tunnels[0], packet(4, b"df")), (tunnels[0], with_df),
                        (tunnels[1], packet(6, b"df"))):
        gw.send("lan", one)
        out, into = sealed(gw, tunnel)
        found.append(int(out.flags.DF))
        if into.version == 4:
            same(into.flags, one.flags, "inner flags")
    same(found, expected, "outer DF")


# --- in ----------------------------------------------------------------------

def inner_ecn(gw, inner, outer):
    """All 16 combinations of marks; DSCP stays; the TTL falls once, for it is forwarded."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer)
    odd = gw.count("ecn_odd")
    seq = 0
    for mark in range(4):
        for outer_mark in range(4):
            seq += 1
            # the outer DSCP is not the inner one's business
            name = "tos" if outer == 4 else "tc"
            setattr(tunnel.sealer.tunnel_header, name, 0x88 | outer_mark)
            one = marked(answer(inner, b"in", seq, ttl=7), 0x28 | mark)
            gw.send("wan", tunnel.seal(one, seq))
            expected = ECN_KEPT.get((mark, outer_mark), mark)
            if expected is None:
                wait_for("in_ecn", lambda: tunnel.drops_in() == {"in_ecn": 1})
                check(not gw.silence("lan", 0.1), "CE on a packet without ECN was delivered")
                continue
            got = gw.receive("lan", 1)
            same(len(got), 1, f"packets, inner {mark}, outer {outer_mark}")
            ip = HEADERS[inner](got[0])
            same((dsfield(ip), ttl(ip)), (0x28 | expected, 6),
                 f"DSCP, ECN and TTL, inner {mark}, outer {outer_mark}")
            if inner == 4:
                chksum = ip.chksum
                del ip.chksum
                same(chksum, IP(bytes(ip)).chksum, "checksum")
    same(gw.count("ecn_odd") - odd, len(ECN_ODD), "odd marks")
    same(tunnel.drops_in(), {"in_ecn": 1}, "drops")


# --- TFC padding and dummies -------------------------------------------------

def tfc_out(gw, inner, outer):
    """All packets up to the number look alike, and all are whole inside."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer, more={"tfc": 600})
    lengths = set()
    for size in (0, 1, 7, 200, 500):
        one = packet(inner, bytes(size), size + 1)
        gw.send("lan", one)
        got = gw.receive("wan", 1, wanted=is_esp)
        same(len(got), 1, "sealed packets")
        lengths.add(len(got[0]))
        inside = tunnel.open(got[0])
        same((len(inside), trim(inside)), (600, gateway.routed(one)), "inside")
    same(len(lengths), 1, "different lengths")
    gw.send("lan", packet(inner, bytes(800)))
    check(len(gw.receive("wan", 1, wanted=is_esp)[0]) > 840, "a longer one was cut")
    sa = tunnel.sa_out()
    overhead = 28 if inner == 4 else 48
    same((sa["packets"], sa["bytes"]), (6, 1508 + 6 * overhead), "bytes without padding")


def tfc_auto(gw):
    """Up to the MTU, which AES-GCM over IPv4 makes 1446: the wire carries 1500."""
    gw.reset()
    tunnel = Tunnel(gw, more={"tfc": TFC_AUTO})
    for size in (0, 999, 1446 - 28):
        gw.send("lan", packet(4, bytes(size)))
        got = gw.receive("wan", 1, wanted=is_esp)
        same([len(d) for d in got], [1500], "bytes on the wire")
        same(len(trim(tunnel.open(got[0]))), size + 28, "inside")


def tfc_in(gw):
    """A peer's padding is taken off, whatever it holds."""
    gw.reset()
    tunnel = Tunnel(gw, algorithm="null-sha256")
    for seq, more in enumerate((1, 2, 64, 1000), 1):
        one = answer(4, b"padded", seq)
        gw.send("wan", seal_plain(tunnel, seq, padded(bytes(one) + b"\xa5" * more)))
        same(gw.receive("lan", 1), [gateway.routed(one)], f"with {more} bytes of padding")


def dummies(gw):
    """Next header 59: gone without a word, counted; the window has moved."""
    gw.reset()
    tunnel = Tunnel(gw, algorithm="null-sha256")
    for seq in (1, 2, 3):
        gw.send("wan", seal_plain(tunnel, seq, padded(b"anything" * seq, 59)))
    wait_for("in_dummy", lambda: tunnel.drops_in() == {"in_dummy": 3})
    check(not gw.silence("lan", 0.2) and not gw.silence("wan", 0.2), "a dummy was answered")
    sa = tunnel.sa_in()
    same((sa["seq"], sa["packets"], sa["bytes"]), (3, 0, 0), "the SA")


# --- MSS ---------------------------------------------------------------------

def syn(family, src, dst, flags="S", options=None, payload=b""):
    head = IP if family == 4 else IPv6
    one = head(src=src, dst=dst) / TCP(sport=1, dport=2, flags=flags, options=options or [])
    return head(bytes(one / Raw(payload)))


def mss_of(family, data):
    """The MSS that a packet announces; its checksum must be right."""
    ip = HEADERS[family](data)
    chksum = ip[TCP].chksum
    del ip[TCP].chksum
    same(chksum, HEADERS[family](bytes(ip))[TCP].chksum, "TCP checksum")
    return dict(ip[TCP].options).get("MSS")


MSS_ROWS = [
    ("a SYN", "S", [("MSS", 1460)], 1300),
    ("a SYN and ACK", "SA", [("MSS", 8960)], 1300),
    ("on an odd byte", "S", [("NOP", None), ("MSS", 1460)], 1300),
    ("behind others", "S", [("SAckOK", b""), ("Timestamp", (1, 2)), ("MSS", 1460)], 1300),
    ("a smaller one stays", "S", [("MSS", 536)], 536),
    ("the same stays", "S", [("MSS", 1300)], 1300),
    ("none stays none", "S", [("SAckOK", b"")], None),
    ("no SYN, no change", "A", [("MSS", 1460)], 1460),
]


def mss(gw, inner, outer):
    """The MSS of both directions."""
    gw.reset()
    tunnel = Tunnel(gw, inner, outer, more={"mss": 1300})
    for seq, (name, flags, options, expected) in enumerate(MSS_ROWS, 1):
        gw.send("lan", syn(inner, HOST[inner], FAR[inner], flags, options))
        _, into = sealed(gw, tunnel)
        same(mss_of(inner, bytes(into)), expected, f"out, {name}")
        one = syn(inner, FAR[inner], HOST[inner], flags, options)
        gw.send("wan", tunnel.seal(one, seq))
        got = gw.receive("lan", 1)
        same(mss_of(inner, got[0]), expected, f"in, {name}")


def mss_broken(gw):
    """Options that lie about their length, and headers cut short, pass as they are."""
    gw.reset()
    tunnel = Tunnel(gw, more={"mss": 1300})
    for options in (b"\x02\x04\x05", b"\x02\x00\x05\xb4", b"\x08\x01\x02\x04",
                    b"\x02\x08\x05\xb4", b"\x02\x03\x05\xb4", b"\x00\x02\x04\x05"):
        head = bytearray(bytes(TCP(sport=1, dport=2, flags="S", dataofs=6)))[:20]
        one = IP(bytes(IP(src=HOST[4], dst=FAR[4], proto=6) / Raw(bytes(head) + options)))
        gw.send("lan", one)
        _, into = sealed(gw, tunnel)
        same(bytes(into)[20:], bytes(one)[20:], f"options {options.hex()}")


def mss_in_pieces(gw):
    """A SYN that comes out of an SA in pieces is put together where ports matter: its options
    are where they are, not in what lies behind the first piece."""
    gw.reset()
    selector = {**moatnl.selector(gateway.LOCAL[4], gateway.REMOTE[4]), "protocol": 6,
                "remote-port-min": 1, "remote-port-max": 9}
    tunnel = Tunnel(gw, algorithm="null-sha256", more={"mss": 1300, "selector": selector})
    seq = 0
    for number, (size, options, behind) in enumerate((
            (8, [("MSS", 1460)], b""), (16, [("MSS", 1460)], b""), (24, [("MSS", 1460)], b""),
            (8, [("Timestamp", (1, 2)), ("NOP", None), ("MSS", 1460)], b""),
            # what TCP would go on with, and where its options would be
            (8, [("MSS", 1460)], bytes(4) + b"\xf0\x02" + bytes(6) + b"\x02\x04\xff\xff" * 10),
            (8, [("MSS", 536)], bytes(4) + b"\xf0\x02" + bytes(6) + b"\x02\x04\xff\xff" * 10)), 1):
        one = syn(4, FAR[4], HOST[4], options=options, payload=b"x" * 40)
        one.id = number
        del one.chksum
        for piece in fragment(IP(bytes(one)), size):
            seq += 1
            more = behind if piece.frag == 0 else b""
            gw.send("wan", seal_plain(tunnel, seq, padded(bytes(piece) + more)))
        got = defragment([IP(data) for data in gw.silence("lan", 0.5)])
        same([len(whole) for whole in got], [len(one)], f"lengths, pieces of {size}")
        found = bytes(got[0].payload)
        whole = bytes(IP(src=FAR[4], dst=HOST[4], proto=6) / Raw(found))
        same(mss_of(4, whole), min(1300, options[-1][1]), f"the MSS, pieces of {size}")
        same(found[-40:], b"x" * 40, "what the SYN carries")
    same(tunnel.drops_in(), {}, "drops")


# --- IVs -----------------------------------------------------------------------

def unpredictable_ivs(gw):
    """An IV of CBC has nothing to do with those before it, nor with the number (RFC 3602 3):
    of two any 128 bits about 64 differ, and some 20 in one pair of 10^15."""
    gw.reset()
    Tunnel(gw, algorithm="aes128-sha256")
    for number in range(8):
        gw.send("lan", packet(4, b"the same each time", number))
    ivs = [int.from_bytes(data[28:44], "big") for data in gw.receive("wan", 8, wanted=is_esp)]
    same(len(ivs), 8, "packets")
    ivs += range(8)
    for n, one in enumerate(ivs[:8]):
        for other in ivs[n + 1:]:
            check((one ^ other).bit_count() > 20, f"IVs {one:#x} and {other:#x}")


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    run = results.run
    for inner, outer in FAMILIES:
        where = f"{inner} in {outer}"
        run(f"outer header, {where}", outer_fields, gw, inner, outer)
        run(f"a policy's DSCP, {where}", outer_dscp, gw, inner, outer)
        run(f"TTL of the gateway's own, {where}", local_ttl, gw, inner, outer)
        run(f"ECN in, {where}", inner_ecn, gw, inner, outer)
        run(f"TFC padding out, {where}", tfc_out, gw, inner, outer)
        run(f"MSS, {where}", mss, gw, inner, outer)
    for name, df, expected in (("copy", COPY, [0, 1, 1]), ("set", SET, [1, 1, 1]),
                               ("clear", CLEAR, [0, 0, 0])):
        run(f"df {name}", outer_df, gw, df, expected)
    run("TFC padding up to the MTU", tfc_auto, gw)
    run("TFC padding in", tfc_in, gw)
    run("dummy packets", dummies, gw)
    run("broken TCP options", mss_broken, gw)
    run("a SYN in pieces", mss_in_pieces, gw)
    run("IVs of CBC", unpredictable_ivs, gw)
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
