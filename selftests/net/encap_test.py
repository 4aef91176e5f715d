#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP in UDP: with XFRM as peer, behind a NAT that changes its mind, and without a daemon.

gw-c is a peer behind the NAT; 10.3.0.1 is an address of its own.

    host-a --- gw-a 203.0.113.1 ===== 203.0.113.2 nat 192.168.9.1 ----- 192.168.9.2 gw-c
"""
import contextlib
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateways
import moatnl
import netns
from ktap import Results, check, same, wait_for

PORT = 4500
A, NAT, NAT_LATER, C = "203.0.113.1", "203.0.113.2", "203.0.113.3", "192.168.9.2"
FAR = "10.3.0.1"
ANY = {4: "0.0.0.0", 6: "::"}
LATER = {4: "192.0.2.22", 6: "2001:db8::22"}
REFUSED = 111                           # ECONNREFUSED


def udp_socket(ns, where=None, peer=None):
    six = any(":" in end[0] for end in (where, peer) if end)
    with netns.inside(ns):
        sock = socket.socket(gateways.FAMILY[6 if six else 4], socket.SOCK_DGRAM)
    sock.settimeout(2)
    if where:
        sock.bind(where)
    if peer:
        sock.connect(peer)
    return sock


def counted(nl, name, more=1):
    """Wait for a counter to have grown, from inside `with`."""
    @contextlib.contextmanager
    def watch():
        before = nl.stats()[name]
        yield
        wait_for(f"{more} more {name}", lambda: nl.stats()[name] >= before + more, 10)
        same(nl.stats()[name], before + more, name)
    return watch()


def drops(nl, keys):
    into = nl.sa_of(keys.spi_in).get("drop", {})
    out = nl.sa_of(keys.spi_out).get("drop", {})
    out.pop("out_mtu", None)
    return {**into, **out}


def meets_xfrm(nl, inner, outer, port, gro):
    """Datagrams, fragments and TCP both ways; not one refused on the way."""
    keys = gateways.Keys("aes128gcm16")
    for ns, device in (("gw-a", "wan-a"), ("gw-b", "wan-b")):
        netns.run("ip", "netns", "exec", ns, "ethtool", "-K", device, "gro", gro, "tso",
                  "off" if gro == "on" else "on", "rx-udp-gro-forwarding", gro)
    with gateways.xfrm_port("gw-b", outer, port):
        gateways.moat_pair(nl, keys, inner, outer, port=port)
        gateways.xfrm_pair("gw-b", keys, inner, outer, port=port)
        try:
            gateways.udp_exchange(inner)
            if inner == 4:              # IPv6 would first learn the path MTU
                gateways.udp_exchange(inner, count=3, size=4000)
            data = os.urandom(1 << 19)
            gateways.tcp(inner, data)
            gateways.tcp(inner, data, back=True, port=5002)
            same(drops(nl, keys), {}, "drops")
        finally:
            nl.flush()
            gateways.xfrm_flush("gw-b")


def raw_and_udp(nl):
    """An SA takes its packets the one way or the other."""
    keys = gateways.Keys("aes128gcm16")
    try:
        for ours, theirs in ((PORT, None), (None, PORT)):
            gateways.moat_pair(nl, keys, 4, 4, port=ours)
            gateways.xfrm_pair("gw-b", keys, 4, 4, port=theirs)
            with counted(nl, "in_encap"), udp_socket("host-b") as sock:
                sock.sendto(b"x", (gateways.HOST_A[4], 9))
            nl.flush()
            gateways.xfrm_flush("gw-b")
    finally:
        nl.flush()
        gateways.xfrm_flush("gw-b")


def what_is_the_sockets(nl, family):
    """Keepalives end in the kernel; the daemon gets IKE, and ESP that no SA takes."""
    nl.request("policy-add", {"policy": moatnl.policy(
        7, "10.1.0.0/24", "10.2.0.0/24", gateways.OURS[family], gateways.PEERS[family])})
    try:
        with udp_socket("gw-a", (ANY[family], PORT)) as daemon, \
                udp_socket("gw-b", (ANY[family], PORT), (gateways.OURS[family], PORT)) as peer:
            with counted(nl, "keepalives"):
                peer.send(b"\xff")
            for sent in (bytes(4) + b"IKE", b"\xc0\xff\xee\x01 an SPI of nobody", b"\xfe"):
                peer.send(sent)
                same(daemon.recv(100), sent, "what the daemon got")
    finally:
        nl.flush()


def silent_without_daemon(nl, family):
    """Nothing tells a peer that the daemon is away; others hear what they always do."""
    nl.request("policy-add", {"policy": moatnl.policy(
        7, "10.1.0.0/24", "10.2.0.0/24", gateways.OURS[family], gateways.PEERS[family])})

    def answer(port, data=bytes(4) + b"IKE"):
        with udp_socket("gw-b", peer=(gateways.OURS[family], port)) as peer:
            peer.send(data)
            try:
                return peer.recv(100)
            except OSError as error:
                return error.errno
    try:
        same(answer(501), REFUSED, "another port")
        for port in (500, 4500):
            with counted(nl, "no_daemon"):
                same(answer(port), None, f"port {port} without a daemon")
        with counted(nl, "no_daemon"):
            same(answer(4500, b"\xc0\xff\xee\x01" + bytes(40)), None, "ESP of an unknown SPI")
        nl.flush()
        same(answer(500), REFUSED, "a port 500 of no policy")
    finally:
        nl.flush()


def another_port(nl):
    """A keepalive also ends on the port of a manual SA, unless somebody else listens there."""
    keys, end = gateways.Keys("aes128gcm16"), (gateways.OURS[4], 6500)
    gateways.moat_pair(nl, keys, 4, 4, port=6500)
    try:
        with udp_socket("gw-b", ("0.0.0.0", 6500), end) as peer:
            with counted(nl, "keepalives"):
                peer.send(b"\xff")
            peer.settimeout(0.3)
            try:
                check(False, f"an answer: {peer.recv(100)}")
            except OSError as error:
                same(error.errno, None, "error of the peer's socket")
            with udp_socket("gw-a", ("0.0.0.0", 6500)) as other:
                peer.send(b"\xff")
                same(other.recv(100), b"\xff", "what the other one got")
    finally:
        nl.flush()


class Wanderer:
    """A peer at gw-b whose ESP comes in UDP from any port and address, intact or not."""

    def __init__(self, nl, family, window):
        self.nl, self.family = nl, family
        self.keys = gateways.Keys("aes128gcm16")
        self.codec = espcodec.Codec(self.keys.algorithm, self.keys.key_in)
        gateways.moat_pair(nl, self.keys, 4, family, port=PORT, window=window)
        self.events = Natted.listen()
        with netns.inside("gw-b"):
            self.sock = socket.socket(gateways.FAMILY[family], socket.SOCK_RAW,
                                      socket.IPPROTO_UDP)

    def send(self, seq, port, spoilt=False, total=None, src=None):
        """`total` is its UDP checksum, when it is not the right one."""
        src = src or gateways.PEERS[self.family]
        ends = moatnl.address(src) + moatnl.address(gateways.OURS[self.family])
        inner = struct.pack("!BxHIBBH", 0x45, 28, 0, 64, 253, 0)
        inner += moatnl.address(gateways.HOST_B[4]) + moatnl.address(gateways.HOST_A[4])
        esp = bytearray(self.codec.seal(self.keys.spi_in, seq, inner + bytes(8), 4))
        esp[-1] ^= spoilt
        size = 8 + len(esp)
        if total is None:
            data = ends + struct.pack("!IIHHHH", size, 17, port, PORT, size, 0) + esp
            total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
            total = ~(total % 0xffff) & 0xffff
        self.sock.bind((src, 0))
        self.sock.sendto(struct.pack("!HHHH", port, PORT, size, total) + esp,
                         (gateways.OURS[self.family], 0))

    def seen(self):
        """Where the outbound SA goes, and the policy's endpoint."""
        sa, kind = self.nl.sa_of(self.keys.spi_out), gateways.FAMILY[self.family]
        return (socket.inet_ntop(kind, sa.get("peer", sa["dst"])), sa["encap-dport"],
                socket.inet_ntop(kind, self.nl.policy_of(7)["remote"]))

    def taken(self, seq, port, **more):
        """An authentic one; where the peer is thought to be then."""
        before = self.nl.sa_of(self.keys.spi_in)["packets"]
        self.send(seq, port, **more)
        wait_for(f"number {seq}", lambda: self.nl.sa_of(self.keys.spi_in)["packets"] > before)
        return self.seen()

    def told(self):
        """Mapping events since the last call: ports."""
        ports = []
        while event := self.events.next_event(0.3):
            if event[0] == "mapping-ntf":
                ports.append(event[1]["port"])
        return ports

    def close(self):
        self.sock.close()
        self.events.close()
        self.nl.flush()


def followed(nl, family):
    """Only the newest authentic packet moves the peer, by its port or its address: none that
    is forged, damaged, repeated or late, of either family."""
    peer = Wanderer(nl, family, 64)
    home, later = gateways.PEERS[family], LATER[family]
    netns.ip(f"addr add {later}/{24 if family == 4 else '64 nodad'} dev wan-b", ns="gw-b")
    try:
        same(peer.taken(1, PORT), (home, PORT, home), "at first")
        wrong = [("in_icv", {"spoilt": True}), ("in_checksum", {"total": 0xbad})]
        if family == 6:                 # RFC 8200 8.1; of IPv4 it means that there is none
            wrong.append(("in_checksum", {"total": 0}))
        for name, more in wrong:
            with counted(nl, name):
                peer.send(2, 4700, **more)
        with counted(nl, "in_replay_dup"):
            peer.send(1, 4700)
        same((peer.seen(), peer.told()), ((home, PORT, home), []), "after the wrong ones")
        peer.taken(9, 4701, **({"total": 0} if family == 4 else {}))
        wait_for("the new port", lambda: peer.seen() == (home, 4701, home))
        same(peer.taken(5, 4702), (home, 4701, home), "after a late one")
        same(peer.told(), [4701], "events")
        peer.taken(10, 4703, src=later)
        wait_for("the new address", lambda: peer.seen() == (later, 4703, later))
        same(peer.told(), [4703], "events")
    finally:
        peer.close()
        netns.ip(f"addr del {later}/{24 if family == 4 else 64} dev wan-b", ns="gw-b")


def followed_without_window(nl):
    """With replays let through, a repeated packet still moves nothing."""
    peer = Wanderer(nl, 4, 0)
    home = gateways.PEERS[4]
    try:
        peer.taken(3, PORT)
        same((peer.taken(3, 4700), peer.told()), ((home, PORT, home), []), "after a repeated one")
        peer.taken(4, 4701)
        wait_for("the new port", lambda: peer.seen() == (home, 4701, home))
    finally:
        peer.close()


class Natted:
    """gw-c by XFRM behind the NAT, gw-a by Moat before it."""

    def __init__(self, nl, peer=True):
        self.nl = nl
        self.keys = gateways.Keys("aes128gcm16", (0xa0000011, 0xc0000011))
        self.stack = contextlib.ExitStack()
        netns.shell(f"""topo_namespace nat gw-c &&
            topo_wire gw-a wan-n {A}/24 nat wan {NAT}/24 &&
            topo_wire nat lan 192.168.9.1/24 gw-c wan-c {C}/24 &&
            ip -n gw-a route add 10.3.0.0/24 dev wan-n &&
            ip -n gw-c address add {FAR}/32 dev lo &&
            ip -n gw-c route add default via 192.168.9.1 src {FAR}""")
        self.map(4600)
        self.stack.enter_context(gateways.xfrm_port("gw-c", 4, PORT))
        if peer:
            self.peer()
        self.events = self.stack.enter_context(contextlib.closing(self.listen()))
        self.inside = self.stack.enter_context(udp_socket("gw-c", (FAR, 7008),
                                                          (gateways.HOST_A[4], 7007)))
        self.host = self.stack.enter_context(udp_socket("host-a", ("0.0.0.0", 7007)))

    @staticmethod
    def listen():
        with netns.inside("gw-a"):
            return moatnl.Netlink(events=True)

    def peer(self):
        keys, nl = self.keys, self.nl
        to_a, to_c = f"src {C} dst {A} proto esp", f"src {A} dst {C} proto esp"
        encap = f"encap espinudp {PORT} {PORT} 0.0.0.0"
        netns.ip(
            f"xfrm state add {to_a} spi {keys.spi_in:#x} mode tunnel "
            f"{gateways.xfrm_algorithm(keys.algorithm, keys.key_in)} {encap}",
            f"xfrm state add {to_c} spi {keys.spi_out:#x} mode tunnel "
            f"{gateways.xfrm_algorithm(keys.algorithm, keys.key_out)} {encap}",
            f"xfrm policy add src {FAR} dst 10.1.0.0/24 dir out tmpl {to_a} mode tunnel",
            f"xfrm policy add src 10.1.0.0/24 dst {FAR} dir in tmpl {to_c} mode tunnel",
            ns="gw-c")
        nl.request("policy-add", {"policy": moatnl.policy(
            8, "10.1.0.0/24", "10.3.0.0/24", A, NAT)})
        nl.request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, keys.spi_in, NAT, A, keys.algorithm, keys.key_in, policy=8,
            encap_sport=4600, encap_dport=PORT)})
        nl.request("policy-switch", {"policy": {"id": 8}, "sa": moatnl.sa(
            moatnl.OUT, keys.spi_out, A, NAT, keys.algorithm, keys.key_out, policy=8,
            encap_sport=PORT, encap_dport=4600)})

    def close(self):
        self.stack.close()
        self.nl.flush()
        netns.shell("topo_cleanup nat gw-c")

    @staticmethod
    def map(port, address=NAT):
        """A mapping: what is gone with its address takes its connections along."""
        netns.run("ip", "netns", "exec", "nat", "nft", "-f", "-", input=f"""
            table ip nat
            delete table ip nat
            table ip nat {{
                chain out {{
                    type nat hook postrouting priority srcnat;
                    oifname "wan" udp sport {PORT} masquerade to :{port}
                }}
            }}""")
        netns.ip("addr flush dev wan", f"addr add {address}/24 dev wan", ns="nat")

    def exchange(self):
        """A datagram from inside and one back."""
        def there():
            self.inside.send(b"there")
            self.host.settimeout(0.2)
            try:
                return self.host.recvfrom(100)
            except socket.timeout:
                return None
        _, where = wait_for("a datagram from behind the NAT", there, 20)

        def back():
            self.host.sendto(b"back", where)
            self.inside.settimeout(0.2)
            try:
                return self.inside.recv(100)
            except socket.timeout:
                return None
        wait_for("the way back behind the NAT", back, 20)

    def heard(self):
        """Address and port of the next mapping event."""
        def event():
            name, values = self.events.next_event(1) or (None, None)
            if name == "mapping-ntf" and values["sa"][0]["spi"] == self.keys.spi_in:
                return socket.inet_ntoa(values["addr"]), values["port"]
            return None
        return wait_for("a mapping event", event)

    def seen(self):
        """Where the outbound SA goes: address, port; and the policy's endpoint."""
        sa = self.nl.sa_of(self.keys.spi_out)
        return (socket.inet_ntoa(sa.get("peer", sa["dst"])), sa["encap-dport"],
                socket.inet_ntoa(self.nl.policy_of(8)["remote"]))


def rebound(natted):
    """The NAT changes its port, then its address: an authentic packet is enough."""
    natted.exchange()
    same(natted.seen(), (NAT, 4600, NAT), "mapping at first")
    for address, port in ((NAT, 4601), (NAT_LATER, 4602)):
        natted.map(port, address)
        natted.exchange()
        same(natted.heard(), (address, port), "mapping event")
        same(natted.seen(), (address, port, address), "mapping")
    same(natted.events.next_event(0), None, "one event for each change")


def not_fooled(natted):
    """Forged and repeated packets from another port are counted, and change nothing."""
    before, spi = natted.seen(), natted.keys.spi_in.to_bytes(4, "big")
    link = netns.Link("nat", "wan")
    natted.exchange()
    frames = link.frames(1, lambda f: f[42:46] == spi, 1, outgoing=True)
    check(frames, "no ESP in UDP seen at the NAT")
    link.close()
    with udp_socket("nat", (before[0], 7777), (A, PORT)) as other:
        for name, payload in (("in_icv", spi + b"\0\1\0\0" + bytes(60)),
                              ("in_replay_dup", frames[0][42:]),
                              ("in_short", spi)):
            with counted(natted.nl, name):
                other.send(payload)
    same(natted.seen(), before, "mapping")
    same(natted.events.next_event(0), None, "events")


def moved_by_hand(natted):
    """sa-move: for SAs that hear nothing themselves; and what it refuses."""
    keys, nl = natted.keys, natted.nl
    before = natted.seen()
    name = {"direction": moatnl.OUT, "protocol": moatnl.ESP, "spi": keys.spi_out, "dst": NAT}
    nl.request("sa-move", {"sa": name, "addr": NAT, "port": 4999})
    same(natted.seen(), (NAT, 4999, NAT), "mapping")
    for more, sentence in (
            ({"addr": NAT}, "port is missing or 0"), ({"port": 1}, "addr"),
            ({"addr": "2001:db8::2", "port": 1}, "not of the family"),
            ({"addr": NAT, "port": 1, "sa": {**name, "direction": moatnl.IN, "dst": A,
                                             "spi": keys.spi_in}}, "takes outbound SAs")):
        try:
            nl.request("sa-move", {"sa": name, **more})
            check(False, f"{more} was not refused")
        except moatnl.Refused as refused:
            check(sentence in refused.sentence, f"{more}: {refused}")
    nl.request("sa-move", {"sa": name, "addr": before[0], "port": before[1]})
    same(natted.seen(), before, "mapping")


def path_mtu(natted):
    """An ICMP error about the UDP packet is learnt without a socket."""
    natted.exchange()
    before = natted.nl.sa_of(natted.keys.spi_out)["mtu"]
    netns.ip("link set lan mtu 1300", ns="nat")
    netns.ip("link set wan-c mtu 1300", ns="gw-c")
    with udp_socket("host-a") as big:
        big.setsockopt(socket.IPPROTO_IP, 10, 2)        # IP_MTU_DISCOVER, DO
        big.connect((FAR, 9))

        def smaller():
            with contextlib.suppress(OSError):
                big.send(bytes(1350))
            return natted.nl.sa_of(natted.keys.spi_out)["mtu"] < 1300
        wait_for("a smaller path MTU", smaller)
    same(before - natted.nl.sa_of(natted.keys.spi_out)["mtu"], 200, "MTUs of 1500 and 1300")


def refused_client(client, *args, **more):
    try:
        client(*args, **more)
    except moatnl.Refused as refused:
        check("policy 8: another client of the NAT has this" in refused.sentence, refused)
        return
    check(False, "another client with the same traffic was not refused")


def transport(nl):
    """Transport mode behind a NAT: TCP and UDP get the checksums of the addresses they
    have here (RFC 3948 3.1.2); another client with the same traffic is refused (5.2)."""
    natted = Natted(nl, peer=False)
    keys = gateways.Keys("aes128gcm16", (0xa0000021, 0xc0000021))
    ends = (("gw-c", {4: NAT}), ("gw-a", {4: A}))

    def client(number, spis, port, **more):
        its = gateways.Keys("aes128gcm16", spis) if number > 8 else keys
        hosts = {**moatnl.selector(f"{A}/32", f"{NAT}/32"), **more}
        nl.request("policy-add", {"policy": moatnl.policy(
            number, A, NAT, A, NAT, selector=hosts, **{"mode": moatnl.TRANSPORT})})
        nl.request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, its.spi_in, NAT, A, its.algorithm, its.key_in, policy=number,
            mode=moatnl.TRANSPORT, encap_sport=port, encap_dport=PORT)})
        nl.request("policy-switch", {"policy": {"id": number}, "sa": moatnl.sa(
            moatnl.OUT, its.spi_out, A, NAT, its.algorithm, its.key_out, policy=number,
            mode=moatnl.TRANSPORT, encap_sport=PORT, encap_dport=port)})
    try:
        to_a, to_c = f"src {C} dst {A} proto esp", f"src {A} dst {C} proto esp"
        encap = f"encap espinudp {PORT} {PORT} 0.0.0.0"
        netns.ip(
            *(f"xfrm state add {way} spi {spi:#x} mode transport "
              f"{gateways.xfrm_algorithm(keys.algorithm, key)} {encap}"
              for way, spi, key in ((to_a, keys.spi_in, keys.key_in),
                                    (to_c, keys.spi_out, keys.key_out))),
            f"xfrm policy add src {C} dst {A} dir out tmpl {to_a} mode transport",
            "route replace default via 192.168.9.1", ns="gw-c")
        client(8, None, 4600)
        gateways.udp_exchange(4, ends=ends)
        gateways.tcp(4, os.urandom(1 << 16), ends=ends)
        same(drops(nl, keys), {}, "drops")
        check(nl.sa_of(keys.spi_in)["packets"] > 40, "SA unused")
        natted.map(4601)
        with udp_socket("gw-c", peer=(A, 9)) as sock:
            def moved():
                with contextlib.suppress(OSError):
                    sock.send(b"from the new port")
                return nl.sa_of(keys.spi_out)["encap-dport"] == 4601
            wait_for("the new port", moved)
        gateways.udp_exchange(4, ends=ends)
        refused_client(client, 9, (0xa0000031, 0xc0000031), 4700)
        nl.flush()
        client(8, None, 4600, protocol=17)
        client(9, (0xa0000031, 0xc0000031), 4700, protocol=6)
        refused_client(client, 10, (0xa0000041, 0xc0000041), 4800, protocol=17)
    finally:
        natted.close()


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    nl = gateways.connect("gw-a")
    for inner, outer, port, gro in ((4, 4, PORT, "off"), (6, 4, 6500, "on"),
                                    (4, 6, PORT, "on"), (6, 6, PORT, "off")):
        results.run(f"{inner} in UDP/{outer}, port {port}, GRO {gro}, with XFRM", meets_xfrm,
                    nl, inner, outer, port, gro)
    results.run("raw and in UDP", raw_and_udp, nl)
    for family in (4, 6):
        results.run(f"what is the socket's, IPv{family}", what_is_the_sockets, nl, family)
        results.run(f"silence without a daemon, IPv{family}", silent_without_daemon, nl, family)
        results.run(f"who is followed, IPv{family}", followed, nl, family)
    results.run("who is followed without a window", followed_without_window, nl)
    results.run("keepalives of another port", another_port, nl)
    natted = Natted(nl)
    for case in (rebound, not_fooled, moved_by_hand, path_mtu):
        results.run(case.__name__.replace("_", " "), case, natted)
    natted.close()
    results.run("transport mode", transport, nl)
    nl.close()
    results.run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
