#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Route-based tunnels: devices between gw-a and gw-b, made with stock iproute2."""
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateways
import moatnl
import netns
from gateways import HOST_B, OURS, PEERS
from ktap import Results, check, same, wait_for

ANY = {4: "0.0.0.0/0", 6: "::/0"}
MOAT = pathlib.Path(netns.shell("moat_build").strip()) / "moat"
GROUP = {4: "224.0.0.5", 6: "ff02::5"}


def link(ns, device):
    """What iproute2 says of a device; None without it."""
    done = subprocess.run(["ip", "-n", ns, "-d", "-j", "link", "show", device], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def mtu(ns, device="moat0"):
    return link(ns, device)["mtu"]


class Ends:
    """Both gateways' sockets, and tunnels between them."""

    def __init__(self):
        self.nl = {ns: gateways.connect(ns) for ns in ("gw-a", "gw-b")}

    def policy(self, number, inner, device):
        for ns, ours, peers in (("gw-a", OURS, PEERS), ("gw-b", PEERS, OURS)):
            self.nl[ns].request("policy-add", {"policy": moatnl.policy(
                number, ANY[inner], ANY[inner], ours[4], peers[4], device=device)})

    def sas(self, number, spi, algorithm="aes128gcm16"):
        """Fresh SAs in both directions, bound to the policy of this number."""
        keys = gateways.Keys(algorithm, (spi, spi + 1))
        for ns, half, ours, peers in (("gw-a", keys, OURS, PEERS),
                                      ("gw-b", keys.turned(), PEERS, OURS)):
            self.nl[ns].request("sa-add", {"sa": moatnl.sa(
                moatnl.IN, half.spi_in, peers[4], ours[4], algorithm, half.key_in,
                policy=number, replay=1024)})
            self.nl[ns].request("policy-switch", {
                "policy": {"id": number}, "sa": moatnl.sa(
                    moatnl.OUT, half.spi_out, ours[4], peers[4], algorithm, half.key_out,
                    policy=number)})

    def flush(self):
        for nl in self.nl.values():
            nl.flush()


def up(ends):
    """moat0 at both gateways, its policies and SAs, and routes over it."""
    for ns in ends.nl:
        netns.ip("link add moat0 type moat", "link set moat0 up", ns=ns)
    for number, inner in ((7, 4), (8, 6)):
        ends.policy(number, inner, "moat0")
        ends.sas(number, 0x1000 * number)
    netns.ip("route add 10.2.0.0/24 dev moat0", "route add fd00:2::/64 dev moat0",
             "addr add 10.99.0.1/30 dev moat0", ns="gw-a")
    netns.ip("route add 10.1.0.0/24 dev moat0", "route add fd00:1::/64 dev moat0",
             "addr add 10.99.0.2/30 dev moat0", ns="gw-b")


def ping(ns, target, *more):
    netns.run("ip", "netns", "exec", ns, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "10",
              *more, target)


def packets(nl, number):
    return nl.policy_of(number)["packets"]


# --- cases -------------------------------------------------------------------

def carries(ends):
    """Hosts and gateways reach each other, IPv4 and IPv6; the wire carries ESP alone."""
    with open_wire("gw-b", "wan-b") as wire:
        ping("host-a", HOST_B[4])
        ping("host-a", HOST_B[6])
        ping("gw-a", "10.99.0.2")
        clear = [f for f in wire.frames(0.2) if f[12:14] == b"\x08\x00" and f[23] != 50]
        same(clear, [], "packets in clear")
    same(ends.nl["gw-a"].stats().get("in_clear", 0), 0, "dropped as clear")
    check(packets(ends.nl["gw-a"], 7) >= 4 and packets(ends.nl["gw-a"], 8) >= 2,
          "the policies met nothing")
    same(ends.nl["gw-a"].policy_of(7)["device"], "moat0", "device of the policy")
    stats = json.loads(netns.run("ip", "-n", "gw-a", "-s", "-j", "link", "show",
                                 "moat0"))[0]["stats64"]
    check(stats["tx"]["packets"] >= 6 and stats["rx"]["packets"] >= 6, f"statistics {stats}")


def open_wire(ns, device):
    """A raw socket, as a context."""
    class Wire(netns.Link):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()
    return Wire(ns, device)


def asked(dst, *more):
    """What the kernel would do with a packet from host-a."""
    return json.loads(netns.run("ip", "netns", "exec", "gw-a", str(MOAT), "why", "10.1.0.2",
                                dst, *more, "--json"))


def why(ends):
    """The kernel says which policy a packet meets, as it is routed."""
    answer = asked("10.2.0.2")
    same((answer["verdict"], answer["policy"]["id"], answer["policy"]["device"]),
         ("protect", 7, "moat0"), "what is routed to the device")
    same(asked("192.0.2.99")["verdict"], "clear", "what is not")

    netns.ip("route add 203.0.113.0/24 dev moat0 table 50", "rule add fwmark 1 table 50",
             ns="gw-a")
    same([asked("203.0.113.9", *mark)["verdict"] for mark in ((), ("mark", "1"))],
         ["clear", "protect"], "what is routed by its mark")
    netns.ip("rule del fwmark 1 table 50", ns="gw-a")

    ends.nl["gw-a"].request("policy-add", {"policy": moatnl.policy(
        9, ANY[4], "10.2.0.0/24", action=moatnl.DISCARD)})
    answer = asked("10.2.0.2")
    same((answer["verdict"], answer["policy"]["id"]), ("discard", 9),
         "what a policy without a device discards")
    before = packets(ends.nl["gw-a"], 7)
    netns.shell(f"! ip netns exec host-a ping -n -c 1 -W 1 {HOST_B[4]}")
    same(packets(ends.nl["gw-a"], 7), before, "packets that met the device's policy")
    ends.nl["gw-a"].request("policy-del", {"policy": {"id": 9}})


def not_by_policy(ends):
    """A device's policy is met by what is routed there only: the rest stays in clear."""
    before = packets(ends.nl["gw-a"], 7)
    ping("gw-a", PEERS[4])
    same(packets(ends.nl["gw-a"], 7), before, "packets that met the device's policy")


def mtu_follows(ends):
    """The device's MTU is its SAs'; a new SA with less room lowers it, more room raises it."""
    for ns in ends.nl:
        wait_for("the MTU of GCM", lambda: mtu(ns) == 1446)
    ends.sas(7, 0x7100, "aes256-sha512")
    for ns in ends.nl:
        wait_for("the MTU of CBC and SHA-512", lambda: mtu(ns) == 1422)
    ping("host-a", HOST_B[4], "-M", "do", "-s", str(1422 - 28))
    ends.sas(7, 0x7200)
    for ns in ends.nl:
        wait_for("the MTU of GCM again", lambda: mtu(ns) == 1446)


def mtu_grows(ends):
    """It also follows its path, both ways, while it sends something."""
    def becomes(wanted):
        ping("gw-a", "10.99.0.2")
        return mtu("gw-a") == wanted
    target = f"{PEERS[4]}/32"
    netns.ip(f"route add {target} dev wan-a mtu 1400", ns="gw-a")
    wait_for("the MTU of the path", lambda: becomes(1346), 60)
    netns.ip(f"route del {target} dev wan-a", ns="gw-a")
    wait_for("the MTU without it", lambda: becomes(1446), 60)


def mtu_chosen(ends):
    """Who sets the MTU keeps it."""
    netns.ip("link set moat0 mtu 1300", ns="gw-a")
    ends.sas(7, 0x7300)
    wait_for("the other side's MTU", lambda: mtu("gw-b") == 1446)
    same(mtu("gw-a"), 1300, "MTU")
    netns.ip("link add moat9 mtu 1200 type moat", ns="gw-a")
    same(mtu("gw-a", "moat9"), 1200, "MTU given with the device")
    netns.ip("link del moat9", "link set moat0 mtu 1446", ns="gw-a")


def tcp_whole(ends):
    """TCP meets the device's policy in large GSO packets, which are cut behind it."""
    met, sent = packets(ends.nl["gw-a"], 7), ends.nl["gw-a"].sa_of(0x7301)["packets"]
    gateways.tcp(4, os.urandom(1 << 20))
    met = packets(ends.nl["gw-a"], 7) - met
    sent = ends.nl["gw-a"].sa_of(0x7301)["packets"] - sent
    # one by one both would be equal; how large TCP makes them is a matter of its pace
    check(met * 3 < sent * 2, f"{met} packets met the policy, {sent} were sealed")
    gateways.tcp(6, os.urandom(1 << 16))
    same(ends.nl["gw-a"].sa_of(0x7301).get("drop", {}), {}, "drops")


def multicast(ends, family):
    """What a routing daemon says to its group arrives, by the device."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with netns.inside("gw-b"):
        receiver = socket.socket(kind, socket.SOCK_DGRAM)
        at_b = socket.if_nametoindex("moat0")
    with netns.inside("gw-a"):
        sender = socket.socket(kind, socket.SOCK_DGRAM)
        at_a = socket.if_nametoindex("moat0")
    group = socket.inet_pton(kind, GROUP[family])
    with receiver, sender:
        receiver.bind(("", 8989))
        receiver.settimeout(20)
        if family == 4:
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                group + struct.pack("=4si", bytes(4), at_b))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                              struct.pack("=4s4si", bytes(4), bytes(4), at_a))
        else:
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                group + struct.pack("=i", at_b))
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, at_a)
        sender.sendto(b"hello", (GROUP[family], 8989))
        data, where = receiver.recvfrom(100)
    same(data, b"hello", "datagram")
    if family == 6:
        check(where[0].startswith("fe80:") and where[3] == at_b, f"it came from {where}")


BIRD = """router id {router};
protocol device {{ }}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol kernel {{ ipv6 {{ export all; }}; }}
protocol ospf v2 {{
    ipv4;
    area 0 {{ interface "moat0" {{ type ptp; hello 1; }}; interface "{lan}" {{ stub; }}; }};
}}
protocol ospf v3 {{
    ipv6;
    area 0 {{ interface "moat0" {{ type ptp; hello 1; }}; interface "{lan}" {{ stub; }}; }};
}}
"""


def bird(ns, folder, router, lan):
    """BIRD, in the foreground, as a process that the caller ends."""
    conf = pathlib.Path(folder) / f"{ns}.conf"
    conf.write_text(BIRD.format(router=router, lan=lan))
    with netns.inside(ns):
        return subprocess.Popen(["bird", "-f", "-c", conf, "-s", f"{folder}/{ns}.ctl", "-P",
                                 f"{folder}/{ns}.pid"], stderr=subprocess.DEVNULL)


def learnt_route(ns, net, kind):
    """The route that BIRD has put there."""
    return json.loads(netns.run("ip", "-n", ns, kind, "-j", "route", "show", net, "proto",
                                "bird") or "[]")


def routing_daemon(_):
    """OSPF for both families finds its neighbour through the device, and its routes carry."""
    for ns, far in (("gw-a", 2), ("gw-b", 1)):
        netns.ip(f"route del 10.{far}.0.0/24 dev moat0", f"route del fd00:{far}::/64 dev moat0",
                 ns=ns)
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            processes += [bird("gw-a", folder, "10.99.0.1", "lan-a"),
                          bird("gw-b", folder, "10.99.0.2", "lan-b")]
            for ns, far in (("gw-a", 2), ("gw-b", 1)):
                for kind, net in (("-4", f"10.{far}.0.0/24"), ("-6", f"fd00:{far}::/64")):
                    route = wait_for(f"the route to {net}",
                                     lambda: learnt_route(ns, net, kind), 120)
                    same(route[0]["dev"], "moat0", f"device of the route to {net}")
            for family in (4, 6):
                ping("host-a", HOST_B[family])
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    for ns, far in (("gw-a", 2), ("gw-b", 1)):
        same(learnt_route(ns, f"10.{far}.0.0/24", "-4"), [], "routes that BIRD left")
        netns.ip(f"route add 10.{far}.0.0/24 dev moat0", f"route add fd00:{far}::/64 dev moat0",
                 ns=ns)


def second(ends):
    """Another device between the same gateways, with SAs of its own."""
    for ns in ends.nl:
        netns.ip("link add moat1 type moat", "link set moat1 up", ns=ns)
    ends.policy(17, 4, "moat1")
    ends.sas(17, 0x17000)
    netns.ip("addr add 10.98.0.1/30 dev moat1", ns="gw-a")
    netns.ip("addr add 10.98.0.2/30 dev moat1", ns="gw-b")
    before = packets(ends.nl["gw-a"], 7)
    ping("gw-a", "10.98.0.2")
    same((packets(ends.nl["gw-a"], 7) - before, packets(ends.nl["gw-a"], 17)), (0, 2),
         "packets of both policies")
    netns.ip("link del moat1", ns="gw-a")
    same(ends.nl["gw-a"].policy_of(17)["device"], "(gone)", "device of the policy left")
    for ns in ends.nl:
        ends.nl[ns].request("policy-del", {"policy": {"id": 17}})
    netns.ip("link del moat1", ns="gw-b")


def no_policy(ends):
    """Without a policy a device sends nothing at all."""
    netns.ip("link add moat2 type moat", "link set moat2 up",
             "route add 10.5.0.0/24 dev moat2", ns="gw-a")
    before = ends.nl["gw-a"].stats().get("no_policy", 0)
    with open_wire("gw-b", "wan-b") as wire:
        with netns.inside("gw-a"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"canary of no_policy", ("10.5.0.1", 9))
        wait_for("no_policy", lambda: ends.nl["gw-a"].stats()["no_policy"] > before)
        check(not [f for f in wire.frames(0.2) if b"canary" in f], "it left in clear")
    netns.ip("link del moat2", ns="gw-a")


def loops(ends):
    """The peer's address routed into its own tunnel: dropped, not for ever."""
    netns.ip(f"route add {PEERS[4]}/32 dev moat0", ns="gw-a")
    try:
        before = ends.nl["gw-a"].stats().get("out_route", 0)
        with netns.inside("gw-a"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"loop", ("10.99.0.2", 9))
        wait_for("out_route", lambda: ends.nl["gw-a"].stats()["out_route"] > before)
    finally:
        netns.ip(f"route del {PEERS[4]}/32 dev moat0", ns="gw-a")
    ping("gw-a", "10.99.0.2")


def moved(ends):
    """Moved to another namespace, the outer packets still are the first one's."""
    netns.ip("netns add red")
    netns.ip("link set moat0 netns red", ns="gw-a")
    netns.ip("link set lo up", "link set moat0 up", "addr add 10.99.0.1/30 dev moat0",
             ns="red")
    ping("red", "10.99.0.2")
    gateways_in("red")
    same(ends.nl["gw-a"].policy_of(7)["device"], "moat0", "device of the policy")
    check(link("red", "moat0").get("link_netnsid") is not None, "no link to its first namespace")
    netns.ip("netns del red")
    same(link("gw-a", "moat0"), None, "device after its namespace is gone")
    same(ends.nl["gw-a"].policy_of(7)["device"], "(gone)", "device of the policy")


def gateways_in(ns):
    """A TCP connection from a moved device to the other gateway."""
    with netns.inside("gw-b"):
        server = socket.create_server(("10.99.0.2", 5999))
    with server:
        server.settimeout(20)
        with netns.inside(ns):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with client:
            client.settimeout(20)
            client.connect(("10.99.0.2", 5999))
            peer, _ = server.accept()
            with peer:
                peer.settimeout(20)
                client.sendall(bytes(100000))
                client.shutdown(socket.SHUT_WR)
                got = 0
                while data := peer.recv(1 << 16):
                    got += len(data)
                same(got, 100000, "bytes")


def creator_dies(ends):
    """A device goes with the namespace that it was created from, wherever it is."""
    netns.ip("netns add blue", "netns add green")
    netns.ip("link add moat5 netns green type moat", ns="blue")
    check(link("green", "moat5"), "no device in the other namespace")
    nl = gateways.connect("blue")
    nl.request("policy-add", {"policy": moatnl.policy(
        5, ANY[4], ANY[4], OURS[4], PEERS[4], device="moat5")})
    nl.close()
    netns.ip("netns del blue")
    wait_for("the end of the device", lambda: link("green", "moat5") is None)
    netns.ip("netns del green")


def refusals(ends):
    """Each in its words; and who is root in a user namespace only gets none."""
    def refused(sentence, **more):
        try:
            ends.nl["gw-b"].request("policy-add", {"policy": moatnl.policy(
                99, ANY[4], ANY[4], PEERS[4], OURS[4], **more)})
        except moatnl.Refused as refusal:
            same(refusal.sentence, sentence, "refusal")
        else:
            check(False, f"accepted: {sentence}")
    refused("no device moat7: ip link add moat7 type moat", device="moat7")
    refused("no device wan-b: ip link add wan-b type moat", device="wan-b")
    refused("Attribute failed policy validation", device="a-name-that-is-too-long")
    try:
        ends.nl["gw-b"].request("policy-add", {"policy": moatnl.policy(
            99, ANY[4], ANY[4], action=moatnl.BYPASS, device="moat0")})
        check(False, "a bypass was accepted")
    except moatnl.Refused as refusal:
        same(refusal.sentence, "a policy of a device protects in tunnel mode, or discards",
             "refusal")
    done = subprocess.run(["unshare", "-Urn", "ip", "link", "add", "moat0", "type", "moat"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    check(done.returncode and "CAP_NET_ADMIN in the initial user" in done.stdout,
          f"in a user namespace: {done.stdout}")


def by_command():
    """The command binds a policy to a device, and shows it."""
    run = ["ip", "netns", "exec", "gw-b", str(MOAT)]
    netns.run(*run, *"policy add id 55 local 0.0.0.0/0 remote 10.77.0.0/16 action protect "
              "endpoints 192.0.2.2 192.0.2.1 device moat0 dscp 46 df set tfc auto".split())
    shown = json.loads(netns.run(*run, "policy", "list", "--json"))["policies"]
    mine = next(p for p in shown if p.get("id") == 55)
    same((mine["device"], mine["dscp"], mine["df"], mine["tfc"], mine["mss"]),
         ("moat0", 46, "set", "auto", None), "policy")
    check("dscp 46 df set tfc auto device moat0" in netns.run(*run, "policy", "list"),
          "the text lacks it")


def under_traffic(ends):
    """Deleted and made again while packets come both ways."""
    with netns.inside("gw-a"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
    with sock:
        for _ in range(5):
            up(ends)
            for _ in range(200):
                try:
                    sock.sendto(bytes(500), ("10.99.0.2", 9))
                except OSError:
                    pass
            for ns in ends.nl:
                netns.ip("link del moat0", ns=ns)
            ends.flush()


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    ends = Ends()
    # Who leaves a group says so twice, the second time when others count packets.
    for ns in ends.nl:
        netns.run("ip", "netns", "exec", ns, "sysctl", "-qw",
                  "net.ipv4.igmp_link_local_mcast_reports=0")
    run = results.run
    up(ends)
    run("hosts and gateways, IPv4 and IPv6", carries, ends)
    run("why", why, ends)
    run("what is not routed there", not_by_policy, ends)
    run("the MTU follows the SA", mtu_follows, ends)
    run("the MTU follows the path", mtu_grows, ends)
    run("an MTU that was chosen", mtu_chosen, ends)
    run("TCP in large packets", tcp_whole, ends)
    for family in (4, 6):
        run(f"multicast, IPv{family}", multicast, ends, family)
    run("a routing daemon", routing_daemon, ends)
    run("a second device", second, ends)
    run("no policy", no_policy, ends)
    run("a route into itself", loops, ends)
    run("refusals", refusals, ends)
    run("by command", by_command)
    run("moved to another namespace", moved, ends)
    run("created from a namespace that ends", creator_dies, ends)
    netns.ip("link del moat0", ns="gw-b")
    ends.flush()
    run("deleted under traffic", under_traffic, ends)
    for nl in ends.nl.values():
        nl.close()
    run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
