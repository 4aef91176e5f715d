#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies at work: bypasses beside 0.0.0.0/0, a hub that sends packets from one
spoke to the other, a gateway with one arm, types of ICMP, GRE and other protocols,
marks, shadows."""
import json
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

import gateway
import moatnl
import netns
from gateway import FAR, HOST, LOCAL, OURS, Tunnel, answer, is_esp, packet, routed
from ktap import Results, check, same, wait_for
from moatnl import BYPASS

ANY = {4: "0.0.0.0/0", 6: "::/0"}
MOAT = pathlib.Path(netns.shell("moat_build").strip()) / "moat"
SO_MARK = 36


def reset(case):
    """A case that begins with an empty gateway."""
    def start(gw, *args):
        gw.reset()
        try:
            case(gw, *args)
        finally:
            gw.reset()
    return start


def add(gw, number, local, remote, action, **more):
    gw.nl.request("policy-add", {"policy": moatnl.policy(
        number, local, remote, action=action, **more)})


def moat(gw, *words, expected=0):
    """The command on the gateway: what it printed, and complained about."""
    done = subprocess.run(["ip", "netns", "exec", gw.name, str(MOAT), *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    same(done.returncode, expected, f"exit status of moat {' '.join(words)} ({done.stdout})")
    return done.stdout


def in_clear(gw, data):
    """A packet that arrives on the wire between the gateways is dropped as such."""
    before = gw.count("in_clear")
    gw.send("wan", data)
    wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
    check(not gw.silence("lan"), "it was delivered")


@reset
def beside_all(gw, family):
    """All goes through the tunnel but for two nets, our own one being the first."""
    near, other = {4: ("10.9.0.0/16", "10.9.0.1"), 6: ("fd00:9::/32", "fd00:9::1")}[family]
    tunnel = Tunnel(gw, family, more={"selector": moatnl.selector(LOCAL[family], ANY[family]),
                                      "priority": 1000})
    add(gw, 8, LOCAL[family], LOCAL[family], BYPASS, priority=1000)
    add(gw, 9, LOCAL[family], near, BYPASS, priority=1000)
    sent = packet(family, b"anywhere")
    gw.send("lan", sent)
    got = gw.receive("wan", 1)
    same([tunnel.open(g) for g in got], [routed(sent)], "through the tunnel")
    sent = packet(family, b"near", dst=other)
    gw.send("lan", sent)
    same(gw.receive("wan", 1), [routed(sent)], "past the tunnel")
    back = answer(family, b"near", src=other)
    gw.send("wan", back)
    same(gw.receive("lan", 1), [routed(back)], "back past the tunnel")
    in_clear(gw, answer(family, b"forged"))
    if family == 4:
        gw.send("lan", IP(src=HOST[4], dst="10.1.0.1") / ICMP(id=1, seq=1) / Raw(b"ping"))
        same([IP(g)[ICMP].type for g in gw.receive("lan", 1)], [0], "the gateway's own answer")


class Spoke:
    """A spoke of the hub: its half of both SAs."""

    def __init__(self, gw, number, peer, network):
        self.spi_in, self.spi_out = 0xa0000000 + number, 0xb0000000 + number
        algorithm = "aes128gcm16"
        keys_in, keys_out = (moatnl.ALGORITHMS[algorithm].keys() for _ in range(2))
        self.sealer = gateway.association(self.spi_in, algorithm, keys_in, peer, OURS[4])
        self.opener = gateway.association(self.spi_out, algorithm, keys_out, OURS[4], peer)
        gw.nl.request("policy-add", {"policy": moatnl.policy(
            number, "10.0.0.0/8", network, OURS[4], peer)})
        gw.nl.request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, self.spi_in, peer, OURS[4], algorithm, keys_in, policy=number)})
        gw.nl.request("policy-switch", {"policy": {"id": number}, "sa": moatnl.sa(
            moatnl.OUT, self.spi_out, OURS[4], peer, algorithm, keys_out, policy=number)})


@reset
def hairpin(gw):
    """From spoke to spoke by the hub, opened with one SA and sealed with another."""
    netns.ip(f"neigh replace 192.0.2.3 lladdr {netns.mac('wanp', gw.name + '-wire')} dev wan",
             ns=gw.name)
    a, b = Spoke(gw, 1, "192.0.2.2", "10.2.0.0/24"), Spoke(gw, 2, "192.0.2.3", "10.3.0.0/24")
    for seq, (here, there, src, dst) in enumerate(
            ((a, b, "10.2.0.2", "10.3.0.2"), (b, a, "10.3.0.2", "10.2.0.2")) * 2):
        sent = packet(4, b"from spoke to spoke", src=src, dst=dst)
        gw.send("wan", bytes(here.sealer.encrypt(sent, seq_num=seq // 2 + 1)))
        got = gw.receive("wan", 1, wanted=lambda d, spi=there.spi_out: is_esp(d) and
                         gateway.esp_fields(d)[0] == spi)
        same([bytes(there.opener.decrypt(IP(g))) for g in got], [routed(sent)], "at the spoke")
        # The hub may tell a spoke of a better way, by that one's SA and not otherwise.
        same([d for d in gw.silence("wan") if not is_esp(d)], [], "leaves in clear")
    same([gw.nl.sa_of(s.spi_in)["packets"] for s in (a, b)], [2, 2], "packets of both legs")
    before = gw.count("in_clear")
    gw.send("wan", packet(4, b"forged", src="10.2.0.2", dst="10.3.0.2"))
    wait_for("in_clear", lambda: gw.count("in_clear") == before + 1)
    check(not gw.silence("wan"), "what came in clear went on to a spoke")
    # One spoke may not speak for the other.
    before = gw.count("in_selector")
    gw.send("wan", bytes(a.sealer.encrypt(packet(4, b"other", src="10.3.0.9", dst="10.2.0.2"),
                                          seq_num=9)))
    wait_for("in_selector", lambda: gw.count("in_selector") == before + 1)


@reset
def one_armed(gw, family):
    """The network behind the gateway is on the wire that the tunnel is on."""
    local = {4: "10.1.0.1/24", 6: "fd00:1::1/64"}[family]
    wanp = netns.mac("wanp", gw.name + "-wire")
    nodad = "nodad" if family == 6 else ""
    netns.ip(f"addr del {local} dev lan", f"addr add {local} dev wan {nodad}",
             f"neigh replace {HOST[family]} lladdr {wanp} dev wan", ns=gw.name)
    try:
        tunnel = Tunnel(gw, family)
        sent = packet(family, b"in and out by one arm")
        gw.send("wan", sent)
        got = gw.receive("wan", 1, wanted=is_esp)
        same([tunnel.open(g) for g in got], [routed(sent)], "sealed")
        check(sent.load not in b"".join(gw.silence("wan")), "the packet left in clear as well")
        back = answer(family, b"and back")
        gw.send("wan", tunnel.seal(back, 1))
        got = gw.receive("wan", 1, wanted=lambda d: b"and back" in d)
        same(got, [routed(back)], "opened")
        in_clear(gw, answer(family, b"forged"))
    finally:
        lanp = netns.mac("lanp", gw.name + "-wire")
        netns.ip(f"addr del {local} dev wan", f"addr add {local} dev lan {nodad}",
                 f"neigh replace {HOST[family]} lladdr {lanp} dev lan", ns=gw.name)


@reset
def icmp_types(gw):
    """Types and codes are one number (RFC 4301 4.4.1.1); both directions; by command."""
    said = moat(gw, *"policy add id 1 local 10.1.0.0/24 remote 10.2.0.0/24 action discard "
                     "protocol icmp icmp-type 100-102 icmp-code 1-4".split())
    same(said, "", "complaints")
    line = moat(gw, "policy", "list")
    check("protocol 1 icmp-type 100-102 icmp-code 1-4" in line, f"the list says {line}")
    for kind, code, passes in ((99, 200, True), (100, 0, True), (100, 1, False),
                               (101, 200, False), (101, 0, False), (102, 4, False),
                               (102, 5, True), (103, 2, True)):
        if code in (0, 1):
            said = moat(gw, "why", HOST[4], FAR[4], "icmp", str(kind), str(code))
            same(said.split(":")[0], "clear" if passes else "discard", f"why {kind}/{code}")
        for device, to, src, dst in (("lan", "wan", HOST, FAR), ("wan", "lan", FAR, HOST)):
            sent = IP(bytes(IP(src=src[4], dst=dst[4]) / ICMP(type=kind, code=code) /
                            Raw(b"typed")))
            before = gw.count("discard")
            gw.send(device, sent)
            if passes:
                same(gw.receive(to, 1), [routed(sent)], f"type {kind}, code {code}")
            else:
                wait_for("the drop", lambda b=before: gw.count("discard") > b)
    for words, sentence in (
            ("protocol tcp icmp-type 8", "need protocol icmp"),
            ("protocol icmp local-port 8", "has no ports"),
            ("protocol icmp icmp-code 8", "needs icmp-type"),
            ("protocol icmp icmp-type 9-8", "runs backwards"),
            ("protocol icmp icmp-type 256", "0 to 255"),
            ("mark 5/2", "none of MARK beyond MASK")):
        said = moat(gw, *f"policy add id 2 local 10.1.0.0/24 remote 10.2.0.0/24 action discard "
                         f"{words}".split(), expected=2)
        check(sentence in said, f"{words}: {said}")


def of_protocol(number, src, dst, payload):
    """A packet of any protocol."""
    return IP(bytes(IP(src=src, dst=dst, proto=number) / Raw(payload)))


@reset
def protocols(gw):
    """GRE, SCTP by its ports, and OSPF each have a policy; ports of GRE are none."""
    gre, other_gre, ospf = b"\0\0\x08\0" + bytes(20), b"\x03\xe8\x07\xd0" + bytes(20), bytes(24)
    sctp, other_sctp = b"\x03\xe8\x07\xd0" + bytes(12), b"\x03\xe8\x07\xd1" + bytes(12)
    for number, more, good, bad in (
            (47, {}, (gre, other_gre), ((4, bytes(20)), (50, gre), (89, ospf))),
            (132, {"remote_port_min": 2000, "remote_port_max": 2000}, (sctp,),
             ((132, other_sctp), (47, sctp), (136, sctp))),
            (89, {}, (ospf,), ((88, ospf), (47, gre)))):
        gw.reset()
        tunnel = Tunnel(gw, more={"selector": moatnl.selector(
            LOCAL[4], "10.2.0.0/24", protocol=number, **more)})
        for seq, payload in enumerate(good, 1):
            sent = of_protocol(number, HOST[4], FAR[4], payload)
            gw.send("lan", sent)
            same([tunnel.open(g) for g in gw.receive("wan", 1)], [routed(sent)],
                 f"protocol {number}, through the tunnel")
            if number == 132:
                payload = payload[2:4] + payload[:2] + payload[4:]
            back = of_protocol(number, FAR[4], HOST[4], payload)
            gw.send("wan", tunnel.seal(back, seq))
            same(gw.receive("lan", 1), [routed(back)], f"protocol {number}, back")
            in_clear(gw, back)
        for other, payload in bad:
            sent = of_protocol(other, HOST[4], FAR[4], payload)
            gw.send("lan", sent)
            same(gw.receive("wan", 1), [routed(sent)], f"protocol {other} beside {number}")
        before = gw.count("in_selector")
        gw.send("wan", tunnel.seal(answer(4, b"UDP"), 9))
        wait_for("in_selector", lambda b=before: gw.count("in_selector") == b + 1)


def marked(gw, payload, mark):
    """A datagram of the gateway's own, of which somebody said that it is special."""
    with netns.inside(gw.name):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        sock.bind(("10.1.0.1", 0))
        sock.sendto(payload, (FAR[4], 9))


@reset
def marks(gw):
    """A policy of a mark takes what has it, and guards what arrives without one."""
    Tunnel(gw, more={"mark": 5, "mark-mask": 0xf})
    for mark, seals in ((5, True), (0x25, True), (4, False), (0, False)):
        marked(gw, b"some mark", mark)
        same([is_esp(g) for g in gw.receive("wan", 1)], [seals], f"sealed with mark {mark:#x}")
    check("mark 0x5/0xf" in moat(gw, "policy", "list"), "the list shows no mark")
    for words, verdict in (("mark 0x15", "protect"), ("mark 6", "clear"), ("", "clear")):
        said = moat(gw, "why", "10.1.0.1", FAR[4], *words.split())
        check(said.startswith(verdict), f"why {words} says {said}")
    in_clear(gw, answer(4, b"no mark"))
    # Who wants the others in clear in both directions says so.
    add(gw, 8, LOCAL[4], "10.2.0.0/24", BYPASS)
    gw.send("wan", answer(4, b"no mark"))
    same(len(gw.receive("lan", 1)), 1, "packets beside the tunnel")
    for values in ({"mark": 5, "mark-mask": 2}, {"mark": 0, "mark-mask": 0},
                   {"mark-mask": 2}):
        try:
            add(gw, 9, LOCAL[4], "10.3.0.0/24", BYPASS, **values)
        except moatnl.Refused as refused:
            check("mark" in refused.sentence, f"{values}: {refused}")
        else:
            check(False, f"{values} is taken")


@reset
def shadows(gw):
    """Who is never met is told, when it is added and ever after."""
    moat(gw, *"policy add id 1 local 10.1.0.0/16 remote 0.0.0.0/0 action discard "
              "priority 10".split())
    said = moat(gw, *"policy add id 2 local 10.1.0.0/24 remote 10.2.0.0/24 action bypass "
                     "priority 20".split())
    check("no packet will meet policy 2: policy 1 covers it" in said, f"add said {said!r}")
    said = moat(gw, *"policy add id 3 local 10.1.0.0/24 remote 10.2.0.0/24 action bypass "
                     "priority 5".split())
    same(said, "", "add of one that is met")
    text = moat(gw, "show", "policies")
    same(text.count("shadowed by policy 3: no packet meets it"), 1, f"lines in {text}")
    listed = {p["id"]: p["shadowed_by"] for p in
              json.loads(moat(gw, "policy", "list", "--json"))["policies"] if "id" in p}
    same(listed, {1: None, 2: 3, 3: None}, "shadowed_by")
    moat(gw, *"policy del id 3".split())
    # Policy 3 was the best that covers it, and not the only one.
    check("shadowed by policy 1" in moat(gw, "policy", "list"), "policy 2 is not shadowed")
    moat(gw, *"policy add id 4 local fd00::/16 remote fd01::/16 action discard "
              "protocol ipv6-icmp icmp-type 134-136".split())
    check("shadowed by an implicit bypass" in moat(gw, "policy", "list"),
          "neighbour discovery could be discarded")


@reset
def overrides(gw):
    """Who takes traffic by hand out of what protects it hears of it, and so does who asks why."""
    protect = "local 10.1.0.0/24 remote 10.2.0.0/24 action protect endpoints 192.0.2.1 192.0.2.2"
    moat(gw, *f"policy add id 1 {protect} priority 10".split())
    for words, told in (("local 10.1.0.9 remote 10.2.0.0/24 priority 10", True),
                        ("local 10.1.0.0/24 remote 10.2.0.0/24 priority 9", True),
                        ("local 10.0.0.0/8 remote 10.0.0.0/8 priority 9", True),
                        ("local 10.1.0.0/24 remote 10.2.0.0/24 priority 10 protocol udp", True),
                        ("local 10.0.0.0/8 remote 10.0.0.0/8 priority 10", False),
                        ("local 10.1.0.9 remote 10.2.0.0/24 priority 11", False),
                        ("local 10.1.1.0/24 remote 10.2.0.0/24 priority 9", False)):
        for name, becomes in (("bypass", "leaves in clear"), ("discard", "is dropped")):
            said = moat(gw, *f"policy add id 2 {words} action {name}".split())
            warned = ("policy 2 goes before policy 1, which protects 10.1.0.0/24 to "
                      "10.2.0.0/24" in said)
            same(warned and becomes in said and "moat policy del id 2" in said, told,
                 f"{words} {name}: {said!r}")
            moat(gw, *"policy del id 2".split())
    moat(gw, *"policy add id 2 local 10.1.0.9 remote 10.2.0.0/24 action discard".split())
    said = moat(gw, *"policy set id 2 action bypass".split())
    check("policy 2 goes before policy 1" in said, f"set said {said!r}")
    why = moat(gw, "why", "10.1.0.9", "10.2.0.9")
    check("policy 2 was added by hand and goes before policy 1" in why, f"why said {why!r}")
    check("goes before" not in moat(gw, "why", "10.1.0.8", "10.2.0.9"), "of another packet")
    same(json.loads(moat(gw, "why", "10.1.0.9", "10.2.0.9", "--json"))["overridden"],
         {"policy": 1, "tunnel": ""}, "overridden")
    moat(gw, *"policy add id 3 local 10.1.3.0/24 remote 10.2.0.0/24 action bypass "
              "priority 10".split())
    moat(gw, *f"policy add id 4 {protect} priority 10".replace("10.1.0.0", "10.1.3.0").split())
    check("policy 3 was added by hand and goes before policy 4" in
          moat(gw, "why", "10.1.3.9", "10.2.0.9"), "an older one of the same rank")


def main():
    results = Results()
    netns.shell("load_moat")
    gw = gateway.Gateway()
    for family in (4, 6):
        results.run(f"bypasses beside all, IPv{family}", beside_all, gw, family)
    results.run("hub and spoke", hairpin, gw)
    for family in (4, 6):
        results.run(f"one arm, IPv{family}", one_armed, gw, family)
    results.run("types of ICMP", icmp_types, gw)
    results.run("GRE, SCTP and OSPF by protocol", protocols, gw)
    results.run("marks", marks, gw)
    results.run("shadowed policies are told", shadows, gw)
    results.run("policies by hand before those that protect are told", overrides, gw)
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
