#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP against an independent implementation (scapy), frame by frame."""
import os
import pathlib
import random
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateway
import moatnl
import netns
from gateway import (FAR, HOST, OURS, PEERS, Tunnel, answer, esp_fields, is_esp, packet,
                     padded, routed, seal_plain)
from ktap import Results, check, same, wait_for

SEED = int(os.environ.get("MOAT_SEED", "1"))
FAMILIES = [(4, 4), (6, 4), (4, 6), (6, 6)]
SIZES = [*range(0, 18), 100, 1000, 1300]    # all alignments


def sizes(inner, outer):
    """scapy takes its time: all sizes once for each algorithm, some for each family."""
    return SIZES if (inner, outer) == FAMILIES[0] else [0, 5, 1300]


def reset(case):
    """A case that begins with an empty gateway."""
    def start(gw, *args):
        gw.reset()
        case(gw, *args)
        gw.reset()
    start.__doc__ = case.__doc__
    return start


# --- seal and open -----------------------------------------------------------

@reset
def seals(gw, algorithm):
    """scapy opens what we seal, all families, all alignments."""
    for inner, outer in FAMILIES:
        gw.reset()
        tunnel = Tunnel(gw, inner, outer, algorithm)
        sent = [packet(inner, os.urandom(n), n + 1) for n in sizes(inner, outer)]
        for one in sent:
            gw.send("lan", one)
        got = gw.receive("wan", len(sent))
        same(len(got), len(sent), f"packets on the wire, {inner} in {outer}")
        for i, (one, data) in enumerate(zip(sent, got)):
            same(esp_fields(data), (tunnel.spi_out, i + 1), "SPI and sequence number")
            same(tunnel.open(data).hex(), routed(one).hex(), f"{inner} in {outer}, packet {i}")
        sa = tunnel.sa_out()
        same((sa["packets"], sa["bytes"], sa["seq"]),
             (len(sent), sum(map(len, sent)), len(sent)), "counters")


@reset
def opens(gw, algorithm):
    """We open what scapy seals."""
    for inner, outer in FAMILIES:
        gw.reset()
        tunnel = Tunnel(gw, inner, outer, algorithm)
        sent = [answer(inner, os.urandom(n), n + 1) for n in sizes(inner, outer)]
        for i, one in enumerate(sent):
            gw.send("wan", tunnel.seal(one, i + 1))
        got = gw.receive("lan", len(sent))
        same(len(got), len(sent), f"packets for the host, {inner} in {outer}")
        for i, (one, data) in enumerate(zip(sent, got)):
            same(data.hex(), routed(one).hex(), f"{inner} in {outer}, packet {i}")
        sa = tunnel.sa_in()
        same((sa["packets"], sa["bytes"], sa["seq"], sa.get("drop", {})),
             (len(sent), sum(map(len, sent)), len(sent), {}), "counters")


# --- replay ------------------------------------------------------------------

@reset
def replay_window(gw):
    """New, late but inside, duplicate, and left of the window."""
    tunnel = Tunnel(gw, window=64)

    def arrives(seq):
        gw.send("wan", tunnel.seal(answer(4, b"replay", seq), seq))
        return len(gw.receive("lan", 1, 0.5)) == 1

    steps = [(1, True), (1, False), (100, True), (99, True), (37, True), (37, False),
             (36, False), (100, False), (163, True), (100, False), (101, True), (99, False)]
    for seq, expected in steps:
        same(arrives(seq), expected, f"sequence number {seq} accepted")
    same(tunnel.drops_in(), {"in_replay_dup": 4, "in_replay_late": 2}, "drops")
    same([tuple(row.values()) for row in tunnel.sa_in()["late"]],
         [(0, 0, 0, 2), (1, 1, 0, 0), (32, 2, 0, 2), (64, 0, 2, 0)],
         "histogram: from, accepted, refused, duplicate")
    same(tunnel.sa_in()["seq"], 163, "highest number")


@reset
def replay_wraps(gw):
    """A step over the end of the bitmap forgets what its beginning stood for."""
    tunnel = Tunnel(gw, window=64)
    # 65 to 69 have the places of 1 to 5, and 60 comes before the end of the bitmap
    order = [1, 2, 3, 4, 5, 60, 70, 64, 65, 66, 67, 68, 69, 61, 62, 63]
    for seq in order:
        gw.send("wan", tunnel.seal(answer(4, b"wraps", seq), seq))
    same(len(gw.receive("lan", len(order))), len(order), "packets")
    for seq in order:
        gw.send("wan", tunnel.seal(answer(4, b"wraps", seq), seq))
    check(not gw.silence("lan"), "a repeated packet was delivered")
    same(tunnel.drops_in(), {"in_replay_dup": 11, "in_replay_late": 5}, "drops")


@reset
def replay_sizes(gw, window):
    """The last number inside a window, and the first one left of it."""
    tunnel = Tunnel(gw, window=window, algorithm="null-sha1")
    top = 200000
    for seq in (top, top - window + 1, top - window, top - window + 1):
        gw.send("wan", tunnel.seal(answer(4, b"size"), seq))
    wait_for("two drops", lambda: sum(tunnel.drops_in().values()) == 2)
    same(tunnel.drops_in(), {"in_replay_dup": 1, "in_replay_late": 1}, "drops")
    same(len(gw.receive("lan", 2)), 2, "packets")
    same([sum(row[k] for row in tunnel.sa_in()["late"])
          for k in ("accepted", "refused", "duplicate")], [1, 1, 1], "histogram")


@reset
def replay_off(gw):
    """replay 0 lets repeated packets through."""
    tunnel = Tunnel(gw, window=0)
    data = tunnel.seal(answer(4, b"again"), 5)
    for _ in range(3):
        gw.send("wan", data)
    same(len(gw.receive("lan", 3)), 3, "packets")


@reset
def replay_large(gw):
    """A window of 4096 packets, in random order, each exactly once."""
    tunnel = Tunnel(gw, window=4096)
    order = random.Random(SEED).sample(range(10000, 14096), 60)
    order.insert(0, 14095)
    sealed = [tunnel.seal(answer(4, b"large", seq), seq) for seq in dict.fromkeys(order)]
    for data in sealed * 2:
        gw.send("wan", data)
    got = gw.receive("lan", len(sealed))
    same(len(got), len(sealed), "packets")
    check(not gw.silence("lan"), "a repeated packet was delivered")
    same(tunnel.drops_in(), {"in_replay_dup": len(sealed)}, "drops")
    gw.send("wan", tunnel.seal(answer(4, b"large"), 14095 - 4096))
    wait_for("in_replay_late", lambda: tunnel.drops_in().get("in_replay_late") == 1)


def late_sums(tunnel):
    """The histogram: how many were accepted, refused, repeated."""
    late = tunnel.sa_in().get("late", [])
    return [sum(row[k] for row in late) for k in ("accepted", "refused", "duplicate")]


@reset
def replay_border(gw, window):
    """ESN, around 2^32: which upper half a number has that comes late (RFC 4303 A2.2). What
    is left of the window is taken for one that comes 2^32 later, and its ICV for wrong."""
    border, half = 1 << 32, window // 2
    tunnel = Tunnel(gw, window=window, sas={"esn": True, "seq": border - 2 * window})
    codec = espcodec.Codec(tunnel.algorithm, tunnel.keys_in, esn=True)
    steps = [(border - half, True),                 # new, before the border
             (border + half - 2, True),             # new, behind it
             (border - 1, True), (border, True),    # late, on both sides of it
             (border - half - 1, True), (border - half - 2, False),     # the window's end
             (border - 1, False), (border, False),
             # the window is behind the border
             (border + window + 5, True), (border + 6, True), (border + 6, False),
             (border + 5, False)]
    for i, (seq, passes) in enumerate(steps):
        data = codec.seal(tunnel.spi_in, seq, bytes(answer(4, b"border", i)), 4)
        gw.send("wan", gateway.IP(src=PEERS[4], dst=OURS[4], proto=50) / gateway.Raw(data))
        got = gw.receive("lan", 1, 5 if passes else 0.2)
        same(len(got), int(passes), f"packets of number 2^32 {seq - border:+d}")
    same(tunnel.drops_in(), {"in_icv": 2, "in_replay_dup": 3}, "drops")
    same(late_sums(tunnel), [4, 0, 3], "histogram")
    same(tunnel.sa_in()["seq"], border + window + 5, "highest number")


@reset
def replay_border_off(gw):
    """ESN without a window: each packet passes, wherever it comes around 2^32."""
    border = 1 << 32
    tunnel = Tunnel(gw, window=0, sas={"esn": True, "seq": border - 9})
    codec = espcodec.Codec(tunnel.algorithm, tunnel.keys_in, esn=True)
    for seq in (border - 3, border + 2, border - 1, border - 70000, border, border + 2, border + 1):
        data = codec.seal(tunnel.spi_in, seq, bytes(answer(4, b"off")), 4)
        gw.send("wan", gateway.IP(src=PEERS[4], dst=OURS[4], proto=50) / gateway.Raw(data))
        same((len(gw.receive("lan", 1, 5)), tunnel.drops_in()), (1, {}),
             f"packets of number 2^32 {seq - border:+d}")


@reset
def replay_before_first(gw):
    """ESN: there is no upper half below 0; such a number is late, and counted as that."""
    tunnel = Tunnel(gw, window=64, sas={"esn": True, "seq": 10})
    codec = espcodec.Codec(tunnel.algorithm, tunnel.keys_in, esn=True)
    data = codec.seal(tunnel.spi_in, (1 << 32) - 5, bytes(answer(4, b"first")), 4)
    gw.send("wan", gateway.IP(src=PEERS[4], dst=OURS[4], proto=50) / gateway.Raw(data))
    wait_for("the drop", lambda: tunnel.drops_in() == {"in_replay_late": 1})
    same([tuple(row.values()) for row in tunnel.sa_in().get("late", [])], [(8, 0, 1, 0)],
         "histogram: from, accepted, refused, duplicate")


# --- forgeries ---------------------------------------------------------------

def survives(tunnel, gw, seq):
    """After an attack the tunnel still works both ways, and nobody else heard of it."""
    check(not gw.silence("lan", 0.2), "a forged packet was delivered")
    good = answer(4, b"good", 77)
    gw.send("wan", tunnel.seal(good, seq))
    same([d.hex() for d in gw.receive("lan", 1)], [routed(good).hex()], "good packet after")
    gw.send("lan", packet(4, b"good"))
    same(len(gw.receive("wan", 1, wanted=is_esp)), 1, "ESP after")


@reset
def bit_flips(gw, algorithm):
    """Each bit behind the SPI, flipped alone: refused, counted, nothing moves."""
    tunnel = Tunnel(gw, algorithm=algorithm)
    data = tunnel.seal(answer(4, b"bit flips"), 9)
    count = 0
    for bit in range(24 * 8, len(data) * 8):
        forged = bytearray(data)
        forged[bit // 8] ^= 0x80 >> bit % 8
        gw.send("wan", forged)
        count += 1
    wait_for("the forgeries to be counted",
             lambda: sum(tunnel.drops_in().values()) >= count)
    same(tunnel.drops_in(), {"in_icv": count}, "drops")
    same((tunnel.sa_in()["seq"], tunnel.sa_in()["packets"]), (0, 0), "window and counters")
    survives(tunnel, gw, 9)


@reset
def truncated(gw, algorithm):
    """Each length from nothing to one byte short."""
    tunnel = Tunnel(gw, algorithm=algorithm)
    data = tunnel.seal(answer(4, b"truncated" * 4), 9)
    for length in range(20, len(data)):
        short = gateway.IP(data[:length])
        short.len = length
        del short.chksum
        gw.send("wan", bytes(short)[:length])
    # without a whole SPI and sequence number no SA can be found
    count = len(data) - 28
    wait_for("the short packets to be counted",
             lambda: sum(tunnel.drops_in().values()) >= count)
    drops = tunnel.drops_in()
    check(set(drops) <= {"in_short", "in_icv"}, f"unexpected names in {drops}")
    survives(tunnel, gw, 9)


@reset
def random_esp(gw):
    """Random packets for a valid SPI, for a wrong one, and of any length."""
    tunnel = Tunnel(gw)
    rng = random.Random(SEED)
    ours = 0
    heads = {}
    for _ in range(2000):
        body = rng.randbytes(rng.choice([0, 3, 4, 8, 12, 24, 28, 29, 60, 300]))
        spi = rng.choice([tunnel.spi_in, tunnel.spi_in, rng.randrange(1 << 32)])
        if spi == tunnel.spi_in and len(body) >= 4:
            ours += 1
        if len(body) not in heads:
            heads[len(body)] = bytes(gateway.IP(src=PEERS[4], dst=OURS[4], proto=50,
                                                len=24 + len(body)))
        gw.send("wan", heads[len(body)] + spi.to_bytes(4, "big") + body)
    wait_for("the random packets to be counted",
             lambda: sum(tunnel.drops_in().values()) >= ours)
    drops = tunnel.drops_in()
    same(sum(drops.values()), ours, f"drops {drops}")
    check(set(drops) <= {"in_short", "in_icv"}, f"unexpected names in {drops}")
    gw.links["wan"].drain()             # ICMP about SPIs that nobody has
    survives(tunnel, gw, 9)


@reset
def lies_inside(gw):
    """Authenticated, but padding, next header or inner headers are wrong."""
    tunnel = Tunnel(gw, algorithm="null-sha256")
    good = bytes(answer(4, b"inside", 3))

    def send(seq, plain, counter):
        before = tunnel.drops_in().get(counter, 0)
        gw.send("wan", seal_plain(tunnel, seq, plain))
        wait_for(f"{counter} after {plain[-4:].hex()}",
                 lambda: tunnel.drops_in().get(counter, 0) == before + 1, 3)

    send(1, padded(good)[:-2] + bytes([255, 4]), "in_padding")
    pad = -(len(good) + 2) % 4 + 4
    for seq, wrong in ((12, 0), (13, pad - 1)):         # RFC 4303 2.4: 1, 2, 3, ...
        padding = bytearray(range(1, pad + 1))
        padding[wrong] ^= 0x80
        send(seq, good + padding + bytes([pad, 4]), "in_padding")
    send(2, padded(good, 59), "in_dummy")
    send(3, padded(good, 17), "in_next_header")
    send(4, padded(b""), "in_inner")
    send(5, padded(good[:19]), "in_inner")
    send(6, padded(b"\x65" + good[1:]), "in_inner")
    send(7, padded(b"\x44" + good[1:]), "in_inner")
    send(8, padded(good[:2] + b"\xff\xff" + good[4:]), "in_inner")
    send(9, padded(good, 41), "in_inner")
    stranger = bytes(answer(4, b"inside", 3, src="10.3.0.2"))
    send(10, padded(stranger), "in_selector")
    check(not gw.silence("lan", 0.2), "one of them was delivered")
    gw.send("wan", seal_plain(tunnel, 11, padded(good)))
    same(len(gw.receive("lan", 1)), 1, "the good one")


# --- policies ----------------------------------------------------------------

@reset
def held_packets(gw, inner, outer):
    """Traffic before the SA: one acquire; then everything, in order, the first too."""
    with netns.inside(gw.name):
        listener = moatnl.Netlink(events=True)
    tunnel = Tunnel(gw, inner, outer, switch=False)
    sent = [packet(inner, b"held %d" % i, i + 1) for i in range(8)]
    for one in sent:
        gw.send("lan", one)
    event = listener.next_event()
    check(event and event[0] == "acquire-ntf", f"no acquire but {event}")
    same(event[1]["policy"]["id"], 7, "policy of the acquire")
    same((event[1]["flow"]["src"], event[1]["flow"]["dst"], event[1]["flow"]["protocol"]),
         (moatnl.address(HOST[inner]), moatnl.address(FAR[inner]), 17), "its flow")
    check(not gw.silence("wan"), "a packet left before there was an SA")
    found = gw.nl.policy_of(7)
    same((found["held"], found.get("acquire")), (len(sent), True), "held and acquire")
    check(listener.next_event(0.1) is None, "a second acquire at once")
    tunnel.switch()
    gw.send("lan", packet(inner, b"after", 99))
    got = gw.receive("wan", len(sent) + 1)
    same([tunnel.open(d).hex() for d in got],
         [routed(p).hex() for p in [*sent, packet(inner, b"after", 99)]], "opened, in order")
    same([esp_fields(d)[1] for d in got], list(range(1, len(sent) + 2)), "sequence")
    found = gw.nl.policy_of(7)
    same((found["held"], found.get("acquire")), (0, None), "held and acquire afterwards")
    listener.close()


@reset
def held_bounds(gw):
    """Held packets are bounded, and end with their policy."""
    Tunnel(gw, switch=False)
    data = bytes(packet(4, bytes(1000)))
    for _ in range(200):
        gw.send("lan", data)
    wait_for("a full queue", lambda: gw.nl.policy_of(7).get("drop", {}) ==
             {"hold_full": 200 - gw.nl.policy_of(7)["held"]})
    held = gw.nl.policy_of(7)["held"]
    check(16 <= held < 200, f"{held} packets of 1 kB are held")
    before = gw.count("hold_deleted")
    gw.nl.request("policy-del", {"policy": {"id": 7}})
    wait_for("held packets to be dropped", lambda: gw.count("hold_deleted") - before == held)
    check(not gw.silence("wan"), "a held packet left in clear")


@reset
def actions(gw):
    """discard, acquire-off, and a bypass of better priority."""
    nl = gw.nl
    nl.request("policy-add", {"policy": moatnl.policy(
        1, "10.1.0.0/24", "10.2.0.0/24", action=moatnl.DISCARD, priority=10)})
    gw.send("lan", packet(4, b"discarded"))
    wait_for("discard", lambda: nl.policy_of(1).get("drop", {}).get("discard") == 1)
    nl.request("policy-add", {"policy": moatnl.policy(
        2, "10.1.0.0/24", "10.2.0.0/24", OURS[4], PEERS[4], priority=5, acquire_off=True)})
    gw.send("lan", packet(4, b"no SA"))
    wait_for("no_sa", lambda: nl.policy_of(2).get("drop", {}).get("no_sa") == 1)
    check(not gw.silence("wan"), "something left")
    nl.request("policy-add", {"policy": moatnl.policy(
        3, "10.1.0.2/32", "10.2.0.2/32", action=moatnl.BYPASS, priority=1)})
    gw.send("lan", packet(4, b"bypassed"))
    same([d[-8:] for d in gw.receive("wan", 1)], [b"bypassed"], "bypassed packet")


@reset
def specific_wins(gw):
    """Equal priorities: the more specific policy; then ports and protocols count."""
    nl = gw.nl
    wide = {"priority": 5}
    nl.request("policy-add", {"policy": moatnl.policy(
        1, "10.1.0.0/16", "0.0.0.0/0", action=moatnl.DISCARD, **wide)})
    nl.request("policy-add", {"policy": moatnl.policy(
        2, "10.1.0.0/24", "10.2.0.0/24", action=moatnl.BYPASS, **wide)})
    gw.send("lan", packet(4, b"specific"))
    same(len(gw.receive("wan", 1)), 1, "packet of the specific policy")
    gw.send("lan", packet(4, b"wide", dst="10.9.0.1"))
    check(not gw.silence("wan"), "the wide policy let a packet pass")
    nl.request("policy-add", {"policy": {
        **moatnl.policy(3, "10.1.0.0/24", "10.2.0.0/24", action=moatnl.DISCARD, priority=1),
        "selector": moatnl.selector("10.1.0.0/24", "10.2.0.0/24", protocol=17,
                                    remote_port_min=2000, remote_port_max=2009)}})
    gw.send("lan", packet(4, b"port", dport=2005))
    check(not gw.silence("wan"), "a discarded port passed")
    gw.send("lan", packet(4, b"other port", dport=2010))
    same(len(gw.receive("wan", 1)), 1, "packet of another port")


@reset
def clear_inbound(gw):
    """What a policy protects and arrives in clear is dropped; the rest is not."""
    Tunnel(gw)
    before = gw.count("in_clear")
    gw.send("wan", answer(4, b"clear"))
    wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
    check(not gw.silence("lan"), "a clear packet was delivered")
    gw.send("wan", answer(4, b"other", src="10.3.0.2"))
    same(len(gw.receive("lan", 1)), 1, "packet that no policy covers")
    Tunnel(gw, 6, 4, number=8, spis=(0xc0ffee03, 0xc0ffee04))
    gw.send("wan", answer(6, b"clear"))
    wait_for("in_clear of IPv6", lambda: gw.count("in_clear") == before + 2)
    check(not gw.silence("lan"), "a clear IPv6 packet was delivered")
    gw.nl.flush()
    gw.send("wan", answer(4, b"clear"))
    same(len(gw.receive("lan", 1)), 1, "packet after the policy has gone")


@reset
def implicit_bypass(gw):
    """A policy that covers everything swallows neither IKE, ESP nor neighbours."""
    for family, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
        gw.nl.request("policy-add", {"policy": moatnl.policy(
            family, everything, everything, OURS[family], PEERS[family], acquire_off=True)})
    for family in (4, 6):
        for port in (500, 4500):
            gateway.udp_from(gw, (OURS[family], port), (PEERS[family], port), b"IKE")
            same([d[-3:] for d in gw.receive("wan", 1)], [b"IKE"], f"UDP {port}, {family}")
        gateway.udp_from(gw, (OURS[family], 501), (PEERS[family], 501), b"not IKE")
        check(not gw.silence("wan"), f"UDP 501 left in clear, {family}")
        implicit = [p for p in gw.nl.policies(implicit=True) if "implicit" in p]
        check(implicit, "no implicit bypass is shown")
    netns.ip(f"neigh del {PEERS[6]} dev wan", ns=gw.name)
    gateway.udp_from(gw, (OURS[6], 500), (PEERS[6], 500), b"IKE")
    same(len(gw.receive("wan", 1, wanted=lambda d: d[6] == 58 and d[40] == 135)), 1,
         "neighbour solicitation")
    peer_mac = netns.mac("wanp", f"{gw.name}-wire")
    netns.ip(f"neigh replace {PEERS[6]} lladdr {peer_mac} dev wan", ns=gw.name)
    gw.links["wan"].drain()
    netns.ip("addr add 192.0.2.77/24 dev wan", ns=gw.name)
    gateway.udp_from(gw, ("192.0.2.77", 500), ("192.0.2.99", 500), b"stranger")
    check(not gw.silence("wan", wanted=lambda d: b"stranger" in d),
          "UDP 500 between others passed")
    netns.ip("addr del 192.0.2.77/24 dev wan", ns=gw.name)


@reset
def local_traffic(gw):
    """The gateway's own packets, both ways."""
    tunnel = Tunnel(gw)
    gw.send("wan", tunnel.seal(gateway.echo_request(4, "10.1.0.1", 1), 1))
    got = gw.receive("wan", 1, wanted=is_esp)
    same(len(got), 1, "answers to a ping of the gateway")
    inner = gateway.IP(tunnel.open(got[0]))
    same((inner.src, inner.dst, inner.proto, inner.payload.type), ("10.1.0.1", FAR[4], 1, 0),
         "answer")
    gateway.udp_from(gw, ("10.1.0.1", 1234), (FAR[4], 5678), b"local")
    got = gw.receive("wan", 1, wanted=is_esp)
    same(tunnel.open(got[0])[-5:], b"local", "own datagram")


# --- NAT ---------------------------------------------------------------------

NAT = """table ip t {{
    chain c {{
        type nat hook postrouting priority 100
        {}
    }}
}}
"""


def nft(gw, rules):
    netns.run("ip", "netns", "exec", gw.name, "nft", "-f", "-", input=rules)


def flow_get(gw, src, dst, sport=0):
    """What the kernel says about the test's datagrams."""
    answer = gw.nl.request("flow-get", {"flow": {
        "src": src, "dst": dst, "protocol": 17, "sport": sport, "dport": 2000}})[0]
    return {**answer, "verdict": moatnl.VERDICT[answer["verdict"]]}


def rewritten(answer):
    """Addresses before and after NAT."""
    return tuple(tuple(socket.inet_ntop(socket.AF_INET, answer[which][end])
                       for end in ("src", "dst")) for which in ("original", "translated"))


@reset
def nat_rewrote(gw):
    """Masquerading takes a packet out of its policy: dropped, not sent in clear."""
    Tunnel(gw)
    nft(gw, NAT.format("oifname wan masquerade"))
    try:
        canary = os.urandom(16)
        before = gw.count("nat_rewrote")
        gw.send("lan", packet(4, canary))
        wait_for("nat_rewrote", lambda: gw.count("nat_rewrote") == before + 1)
        for asked in ((HOST[4], FAR[4]), (OURS[4], FAR[4])):
            why = flow_get(gw, *asked)
            same((why["verdict"], why["reason"], why["policy"]["id"], rewritten(why)),
                 ("discard", "nat_rewrote", 7, ((HOST[4], FAR[4]), (OURS[4], FAR[4]))),
                 f"why, for {asked}")
        check("original" not in flow_get(gw, HOST[4], "10.2.0.9"), "another flow")
        check(not gw.silence("wan"), "something left")
        gw.send("lan", packet(4, canary, dst="10.9.0.1"))
        got = gw.receive("wan", 1)
        same([(gateway.IP(d).src, d[-16:]) for d in got], [(OURS[4], canary)],
             "packet that no policy covers, masqueraded")
    finally:
        nft(gw, "flush ruleset")


@reset
def narrowed(gw):
    """An SA for a part of its policy: the rest is dropped, which flow-get says, too."""
    Tunnel(gw, sas={"selector": moatnl.selector("10.1.0.0/25", "10.2.0.0/24")})
    before = gw.count("out_selector")
    gw.send("lan", packet(4, b"within"))
    same(len(gw.receive("wan", 1, wanted=is_esp)), 1, "sealed packets")
    gw.send("lan", packet(4, b"beside", src="10.1.0.200"))
    wait_for("out_selector", lambda: gw.count("out_selector") == before + 1)
    for src, said in ((HOST[4], ("protect", None)),
                      ("10.1.0.200", ("discard", "out_selector"))):
        why = flow_get(gw, src, FAR[4])
        same((why["verdict"], why.get("reason")), said, f"why, from {src}")


@reset
def nat_into_tunnel(gw):
    """Deliberate NAT: the translated packet matches, answers find their way back."""
    netns.ip("addr add 10.8.0.1/32 dev lo", ns=gw.name)
    nft(gw, NAT.format("ip saddr 10.7.0.0/24 ip daddr 10.2.0.0/24 snat to 10.1.0.1"))
    netns.ip(f"route add 10.7.0.0/24 via {HOST[4]}", ns=gw.name)
    try:
        tunnel = Tunnel(gw)
        for i in range(2):
            gw.send("lan", packet(4, b"translated", i + 1, src="10.7.0.9"))
            got = gw.receive("wan", 1, wanted=is_esp)
            same(len(got), 1, "sealed packets")
            inner = gateway.IP(tunnel.open(got[0]))
            same((inner.src, inner.dst, bytes(inner)[-10:]),
                 ("10.1.0.1", FAR[4], b"translated"), "translated and sealed")
            for asked in (("10.7.0.9", FAR[4], 1000), ("10.7.0.9", FAR[4]),
                          ("10.1.0.1", FAR[4], inner.sport)):
                why = flow_get(gw, *asked)
                same((why["verdict"], why["policy"]["id"], why["sa"][0]["spi"],
                      why["sa"][0]["mtu"] > 1400, why.get("reason"), rewritten(why)),
                     ("protect", 7, tunnel.spi_out, True, None,
                      (("10.7.0.9", FAR[4]), ("10.1.0.1", FAR[4]))), f"why, for {asked}")
            back = answer(4, b"back", i + 1, dst="10.1.0.1", dport=inner.sport)
            gw.send("wan", tunnel.seal(back, i + 1))
            got = gw.receive("lan", 1)
            same([(gateway.IP(d).dst, d[-4:]) for d in got], [("10.7.0.9", b"back")],
                 "answer for the host")
    finally:
        nft(gw, "flush ruleset")
        netns.ip("route del 10.7.0.0/24", "addr del 10.8.0.1/32 dev lo", ns=gw.name)


# --- beside others -----------------------------------------------------------

@reset
def two_namespaces(gw):
    """The same SPI and addresses in two namespaces, with different keys."""
    other = gateway.Gateway("gw2")
    try:
        one, two = Tunnel(gw), Tunnel(other)
        for where, tunnel in ((gw, one), (other, two)):
            where.send("lan", packet(4, b"mine"))
            got = where.receive("wan", 1, wanted=is_esp)
            same(tunnel.open(got[0])[-4:], b"mine", "sealed with its own key")
            where.send("wan", tunnel.seal(answer(4, b"mine"), 1))
            same(len(where.receive("lan", 1)), 1, "opened with its own key")
        other.send("wan", one.seal(answer(4, b"wrong"), 2))
        wait_for("a wrong key", lambda: two.drops_in() == {"in_icv": 1})
        same(one.drops_in(), {}, "drops of the other namespace")
        other.nl.flush()
        same((len(gw.nl.sas()), len(gw.nl.policies())), (2, 1), "objects that must stay")
    finally:
        other.close()                   # with its SAs: the namespace takes them along
    gw.send("lan", packet(4, b"still"))
    same(len(gw.receive("wan", 1, wanted=is_esp)), 1, "ESP after the other has gone")


@reset
def beside_xfrm(gw):
    """XFRM with another SPI in this namespace and the same SPI in another."""
    key, theirs = os.urandom(20), "10.3.0.2"
    xfrm = gateway.association(0xdead0001, "aes128gcm16", (key, b""), PEERS[4], OURS[4])
    netns.ip(f"xfrm state add src {PEERS[4]} dst {OURS[4]} proto esp spi 0xdead0001 "
             f"mode tunnel aead rfc4106(gcm(aes)) 0x{key.hex()} 128",
             f"xfrm policy add src 10.3.0.0/24 dst 10.1.0.0/24 dir fwd tmpl src {PEERS[4]} "
             f"dst {OURS[4]} proto esp mode tunnel", ns=gw.name)
    try:
        tunnel = Tunnel(gw)
        for i in range(1, 4):
            gw.send("wan", bytes(xfrm.encrypt(answer(4, b"xfrm", i, src=theirs), seq_num=i)))
            gw.send("wan", tunnel.seal(answer(4, b"moat", i), i))
            same(sorted(d[-4:] for d in gw.receive("lan", 2)), [b"moat", b"xfrm"],
                 "both opened")
        gw.send("lan", packet(4, b"moat"))
        same(len(gw.receive("wan", 1, wanted=is_esp)), 1, "sealed")
        check("lifetime current" in netns.run("ip", "-n", gw.name, "-s", "xfrm", "state"),
              "XFRM's state")
    finally:
        netns.ip("xfrm state flush", "xfrm policy flush", ns=gw.name)


@reset
def same_spi_xfrm_elsewhere(gw):
    """An XFRM state of our SPI and address, in another namespace."""
    other = gateway.Gateway("gw3")
    key = os.urandom(20)
    try:
        netns.ip(f"xfrm state add src {PEERS[4]} dst {OURS[4]} proto esp spi 0xc0ffee01 "
                 f"mode tunnel aead rfc4106(gcm(aes)) 0x{key.hex()} 128",
                 f"xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd tmpl "
                 f"src {PEERS[4]} dst {OURS[4]} proto esp mode tunnel", ns=other.name)
        xfrm = gateway.association(0xc0ffee01, "aes128gcm16", (key, b""), PEERS[4], OURS[4])
        tunnel = Tunnel(gw)
        other.send("wan", bytes(xfrm.encrypt(answer(4, b"xfrm"), seq_num=1)))
        gw.send("wan", tunnel.seal(answer(4, b"moat"), 1))
        same([d[-4:] for d in other.receive("lan", 1)], [b"xfrm"], "opened by XFRM")
        same([d[-4:] for d in gw.receive("lan", 1)], [b"moat"], "opened by Moat")
    finally:
        netns.ip("xfrm state flush", "xfrm policy flush", ns=other.name)
        other.close()


def load_order(gw, esp4_first):
    """esp4 and Moat loaded in either order, both at work."""
    gw.reset()
    gw.nl.close()
    netns.shell("unload_moat; modprobe -r esp4 2>/dev/null; " +
                ("modprobe esp4 && load_moat" if esp4_first else "load_moat && modprobe esp4"))
    gw.connect()
    beside_xfrm(gw)


def main():
    results = Results()
    netns.shell("load_moat")            # before esp4
    gw = gateway.Gateway()
    run = results.run
    # one for each way the crypto API is called; all others: algorithms_test.py
    for algorithm in ("aes128gcm16", "aes256-sha384", "null-sha1"):
        run(f"seal {algorithm}", seals, gw, algorithm)
        run(f"open {algorithm}", opens, gw, algorithm)
    run("replay window", replay_window, gw)
    run("replay window, over the end of its bitmap", replay_wraps, gw)
    for window in (32, 64, 100, 1024, 4096, 65536):
        run(f"ends of a window of {window}", replay_sizes, gw, window)
    run("replay off", replay_off, gw)
    for window in (32, 4096, 65536):
        run(f"ESN around 2^32, window of {window}", replay_border, gw, window)
    run("ESN around 2^32, replay off", replay_border_off, gw)
    run("ESN before the first number", replay_before_first, gw)
    run("replay window of 4096", replay_large, gw)
    for algorithm in ("aes128gcm16", "aes128-sha256", "null-sha1"):
        run(f"flipped bits, {algorithm}", bit_flips, gw, algorithm)
        run(f"truncated, {algorithm}", truncated, gw, algorithm)
    run("random ESP", random_esp, gw)
    run("authenticated lies", lies_inside, gw)
    for inner, outer in FAMILIES:
        run(f"held packets, {inner} in {outer}", held_packets, gw, inner, outer)
    run("held packets are bounded", held_bounds, gw)
    run("discard, bypass, acquire off", actions, gw)
    run("the more specific policy wins", specific_wins, gw)
    run("clear packets inbound", clear_inbound, gw)
    run("implicit bypass", implicit_bypass, gw)
    run("the gateway's own traffic", local_traffic, gw)
    run("an SA for a part of its policy", narrowed, gw)
    run("masquerading before the policy", nat_rewrote, gw)
    run("deliberate NAT into a tunnel", nat_into_tunnel, gw)
    run("one SPI in two namespaces", two_namespaces, gw)
    run("beside XFRM, esp4 loaded later", load_order, gw, False)
    run("beside XFRM, esp4 loaded before", load_order, gw, True)
    run("XFRM with our SPI elsewhere", same_spi_xfrm_elsewhere, gw)
    gw.reset()
    gw.close()
    run("unload", netns.shell, "unload_moat")
    results.finish()


main()
