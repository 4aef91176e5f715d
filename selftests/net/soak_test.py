#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Life and death under traffic: all that can be made is made and destroyed.

Three at a time, each in a process of its own, for MOAT_SOAK_SECONDS (60):
rekeys, expiry, deletion and other policies for the tunnel between gw-a and
gw-b, over which host-a never stops sending; devices, deleted with and without
their policies while packets are routed to them; whole namespaces, gone with
all that is in them while packets arrive. All AES goes through cryptd, so that
whatever dies has packets with the crypto API.

Nothing that a policy covers may be seen on the wire in clear, no request may be
refused, and at the end nothing is left. MOAT_SEED repeats the choices.
"""
import contextlib
import multiprocessing
import os
import pathlib
import random
import socket
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import moatnl  # noqa: E402
import netns  # noqa: E402
from gateways import LOCAL, OURS, PEERS, REMOTE, connect  # noqa: E402
from ktap import Results, check, same, wait_for  # noqa: E402

SECONDS = float(os.environ.get("MOAT_SOAK_SECONDS", "60"))
SEED = int(os.environ.get("MOAT_SEED", "1"))
ALGORITHMS = ("aes128gcm16", "aes128-sha256", "chacha20poly1305", "aes256ctr-sha1")
UNDER = [("10.1.0.0/16", "10.2.0.0/16"), ("fd00:1::/32", "fd00:2::/32")]
ENOUGH = 3                              # of each kind, however slow the machine
LONG = 300                              # seconds to wait, on a kernel that checks itself
CANARY = b"what a policy covers"
SENDERS = (("host-a", "10.1.0.2", "10.2.0.2"), ("host-a", "fd00:1::2", "fd00:2::2"),
           ("host-b", "10.2.0.2", "10.1.0.2"), ("gw-a", "10.1.0.1", "10.99.0.2"))


def breathe(since, seconds):
    """Sleep, and longer where sending is slow: all else has to go on beside it."""
    time.sleep(max(seconds, 4 * (time.monotonic() - since)))


def flood(ns, src, dst, stop):
    """Datagrams of all sizes from one host, 200 a second at most, whatever becomes of them."""
    with netns.inside(ns):
        sock = socket.socket(socket.AF_INET6 if ":" in src else socket.AF_INET,
                             socket.SOCK_DGRAM)
    sock.bind((src, 0))
    number = 0
    while not stop.is_set():
        began = time.monotonic()
        for _ in range(4):
            number += 1
            with contextlib.suppress(OSError):
                sock.sendto(CANARY * (1 + number % 100), (dst, 9))
        breathe(began, 0.02)


def fresh(algorithm, ah):
    """Algorithms and keys of an SA, or of a bundle: AH first."""
    names = ["ah-sha256", algorithm] if ah else [algorithm]
    return [(name, moatnl.ALGORITHMS[name].keys()) for name in names]


def layers(direction, spi, src, dst, kinds, **more):
    """The attributes of all SAs of one direction."""
    return [moatnl.sa(direction, spi + i, src, dst, name, keys,
                      bundle=spi if len(kinds) > 1 else None, **more)
            for i, (name, keys) in enumerate(kinds)]


class Tunnel:
    """The tunnel between gw-a and gw-b, for one inner family, and what may happen to it."""

    def __init__(self, rng, number, inner):
        self.rng, self.number, self.inner = rng, number, inner
        self.spi = number << 16
        self.sides = ((connect("gw-a"), OURS[4], PEERS[4], LOCAL[inner], REMOTE[inner]),
                      (connect("gw-b"), PEERS[4], OURS[4], REMOTE[inner], LOCAL[inner]))
        self.add()

    def add(self):
        """Policies, and nothing to send with."""
        for nl, ours, peers, local, remote in self.sides:
            nl.request("policy-add", {"policy": moatnl.policy(
                self.number, local, remote, ours, peers)})

    def remove(self):
        """Policies with their outbound SAs, then what still opens."""
        for nl, *_ in self.sides:
            nl.request("policy-del", {"policy": {"id": self.number}})
            self.delete(nl, lambda sa: True)

    def delete(self, nl, wanted):
        """SAs of this tunnel; one that expired meanwhile is gone already."""
        for sa in nl.sas():
            if sa.get("policy") == self.number and wanted(sa):
                with contextlib.suppress(moatnl.Refused):
                    nl.request("sa-del", {"sa": {k: sa[k] for k in (
                        "direction", "protocol", "spi", "dst")}})

    def rekey(self, **limits):
        """New SAs in both directions: inbound ones first, then the switches."""
        kinds = fresh(self.rng.choice(ALGORITHMS), self.rng.random() < 0.3)
        self.spi += 8
        for to in (1, 0):
            (sender, ours, peers, *_), receiver = self.sides[1 - to], self.sides[to][0]
            receiver.request("sa-add", {"sa": layers(
                moatnl.IN, self.spi + 4 * to, ours, peers, kinds, policy=self.number)})
            sender.request("policy-switch", {
                "policy": {"id": self.number},
                "sa": layers(moatnl.OUT, self.spi + 4 * to, ours, peers, kinds, **limits)})

    def old(self):
        """Delete what came before the last rekey."""
        for nl, *_ in self.sides:
            self.delete(nl, lambda sa: sa["spi"] < self.spi)

    def out(self):
        """Delete what sends; packets are held until there is more."""
        self.delete(self.sides[self.rng.randrange(2)][0],
                    lambda sa: sa["direction"] == moatnl.OUT)

    def discard(self):
        """The policy discards for a moment, then protects again."""
        nl = self.sides[self.rng.randrange(2)][0]
        for action in (moatnl.DISCARD, moatnl.PROTECT):
            nl.request("policy-set", {"policy": {"id": self.number, "action": action}})

    def again(self):
        self.remove()
        self.add()

    def step(self):
        """One thing happens."""
        self.rng.choices((self.rekey, lambda: self.rekey(hard_packets=self.rng.randrange(1, 40)),
                          lambda: self.rekey(soft_seconds=1, hard_seconds=1), self.old,
                          self.out, self.discard, self.again), (6, 2, 1, 4, 2, 1, 2))[0]()


def instances():
    """Each algorithm once in peace: the crypto API tests what it meets first, for a minute
    at most."""
    nl = connect("gw-a")
    for number, name in enumerate((*ALGORITHMS, "ah-sha256"), 0x800000):
        nl.request("sa-add", {"sa": layers(moatnl.IN, number, PEERS[4], OURS[4],
                                           [(name, moatnl.ALGORITHMS[name].keys())])})
    nl.flush()
    nl.close()


def tunnels(rng, end):
    """Both families of the tunnel, in turn; at the end it works."""
    both = [Tunnel(rng, 7, 4), Tunnel(rng, 8, 6)]
    steps = 0
    while time.monotonic() < end or steps < ENOUGH:
        rng.choice(both).step()
        steps += 1
    for one in both:
        one.again()
        one.rekey()
    return steps


def device_life(rng, nl, number):
    """A device is born, gets policy and SA, carries, and dies in one of four ways."""
    name = f"moat{number % 4}"
    netns.ip(f"link add {name} type moat", f"link set {name} up",
             f"route replace 10.99.0.0/24 dev {name}", ns="gw-a")
    policy = moatnl.policy(20, "0.0.0.0/0", "0.0.0.0/0", OURS[4], PEERS[4], device=name)
    nl.request("policy-add", {"policy": policy})
    spi = 0x900000 + number
    kinds = fresh(rng.choice(ALGORITHMS), False)
    nl.request("sa-add", {"sa": layers(moatnl.IN, spi, PEERS[4], OURS[4], kinds, policy=20)})
    nl.request("policy-switch", {"policy": {"id": 20}, "sa": layers(
        moatnl.OUT, spi, OURS[4], PEERS[4], kinds)})
    wait_for("a packet through the device", lambda: nl.policy_of(20)["packets"], LONG)
    death = rng.randrange(4)
    if death == 0:
        nl.request("policy-del", {"policy": {"id": 20}})
    elif death == 1:
        netns.ip(f"link set {name} down", f"link set {name} mtu {rng.randrange(1280, 9000)}",
                 ns="gw-a")
    elif death == 2:
        netns.ip(f"link set {name} netns host-b", ns="gw-a")
    netns.ip(f"link del {name}", ns="host-b" if death == 2 else "gw-a")
    for sa in nl.sas():
        if sa["spi"] == spi and sa["direction"] == moatnl.IN:
            nl.request("sa-del", {"sa": {k: sa[k] for k in (
                "direction", "protocol", "spi", "dst")}})
    if death:                           # a policy outlives its device, and leads nowhere
        nl.request("policy-del", {"policy": {"id": 20}})


def devices(rng, end):
    nl, lives = connect("gw-a"), 0
    while time.monotonic() < end or lives < ENOUGH:
        device_life(rng, nl, lives)
        lives += 1
    return lives


def datagram(protocol, src, dst, payload):
    """An IPv4 packet in its frame."""
    head = (b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + bytes(4) + b"\x40" +
            bytes([protocol, 0, 0]) + moatnl.address(src) + moatnl.address(dst))
    total = sum(int.from_bytes(head[i:i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xffff) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xffff
    return (b"\xff" * 6 + b"\2\0\0\0\0\1\x08\0" + head[:10] + total.to_bytes(2, "big") +
            head[12:] + payload)


def frames_for(spi, mac):
    """What arrives in a dying namespace: ESP that opens to nothing, clear text for it, and
    what it is to forward."""
    esp = spi.to_bytes(4, "big") + bytes(3) + b"\1" + bytes(208)
    forward = mac + datagram(17, "10.1.0.9", "10.2.0.2", CANARY)[6:]
    return [datagram(50, PEERS[4], OURS[4], esp), datagram(17, "10.2.0.2", "10.1.0.1", CANARY),
            forward]


def pour(link, frames, stop):
    """Frames onto a wire until its other end is gone."""
    with contextlib.suppress(OSError):
        while not stop.is_set():
            began = time.monotonic()
            for frame in frames:
                link.send(frame)
            breathe(began, 0.001)


def devices_of(ns):
    with netns.inside(ns):
        return [name for _, name in socket.if_nameindex()]


def namespace_life(rng, number):
    """A namespace with a device, policies and SAs, of which none is deleted."""
    name, spi = f"soak{number}", 0xa00000 + number
    netns.ip(f"netns add {name}")
    netns.ip(f"link add {name} type veth peer name eth0 netns {name}", f"link set {name} up",
             ns="host-b")
    netns.ip("link set lo up", f"addr add {OURS[4]}/24 dev eth0", "addr add 10.1.0.1/32 dev lo",
             "link set eth0 up", "link add moat0 type moat", "link set moat0 up",
             f"neigh add {PEERS[4]} lladdr 02:00:00:00:00:01 dev eth0",
             f"route add 10.2.0.0/24 via {PEERS[4]}", ns=name)
    with netns.inside(name):
        netns.sysctl("net.ipv4.ip_forward", 1)
        for where in ("all", "eth0"):
            netns.sysctl(f"net.ipv4.conf.{where}.rp_filter", 0)
        nl = moatnl.Netlink()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("10.1.0.1", 0))
    stop, link = threading.Event(), netns.Link("host-b", name)
    frames = frames_for(spi, bytes.fromhex(netns.mac("eth0", name).replace(":", "")))
    thread = threading.Thread(target=pour, args=(link, frames, stop))
    with contextlib.closing(link):
        thread.start()
        try:
            fill(nl, rng, spi, sock)
            wait_for("packets that cannot be opened", lambda: nl.stats()["in_icv"], LONG)
            nl.close()
            netns.ip(f"netns del {name}")
            sock.close()                # the last that kept it
            wait_for("its end", lambda: name not in devices_of("host-b"), LONG)
        finally:
            stop.set()
            thread.join()


def fill(nl, rng, spi, sock):
    """An SA pair, a policy of a device, a reserved SPI; or a policy that holds packets.

    Those of a local socket would keep the namespace for as long as they are held.
    """
    kinds = fresh(rng.choice(ALGORITHMS), False)
    nl.request("policy-add", {"policy": moatnl.policy(
        1, "10.1.0.0/24", "10.2.0.0/24", OURS[4], PEERS[4])})
    nl.request("policy-add", {"policy": moatnl.policy(
        2, "0.0.0.0/0", "0.0.0.0/0", OURS[4], PEERS[4], device="moat0")})
    nl.request("sa-add", {"sa": layers(moatnl.IN, spi, PEERS[4], OURS[4], kinds, policy=1)})
    nl.request("spi-alloc", {"sa": {"protocol": 50, "dst": OURS[4]}})
    if rng.random() < 0.5:
        wait_for("packets to be held", lambda: nl.policy_of(1)["held"], LONG)
        return
    nl.request("policy-switch", {"policy": {"id": 1}, "sa": layers(
        moatnl.OUT, spi, OURS[4], PEERS[4], kinds)})
    for _ in range(20):
        with contextlib.suppress(OSError):
            sock.sendto(CANARY, ("10.2.0.2", 9))


def namespaces(rng, end):
    lives = 0
    while time.monotonic() < end or lives < ENOUGH:
        namespace_life(rng, lives)
        lives += 1
    return lives


def worker(name, seed, seconds, pipe):
    """One of the three, in a process of its own."""
    try:
        pipe.send((globals()[name](random.Random(seed), time.monotonic() + seconds), None))
    except BaseException:               # whatever it is belongs into the report
        pipe.send((0, traceback.format_exc()))
    os._exit(0)                         # threads may hang on a dead wire


def in_clear(wires, seconds):
    """What leaves the gateways; what comes out of an SA is seen at the same devices."""
    return [frame for wire in wires for frame in wire.frames(
        seconds / len(wires), lambda f: CANARY in f, outgoing=True)]


def live(wires, seen):
    """All three, with traffic; `wires` are the gateways' ends of what is between them."""
    stop = multiprocessing.Event()
    senders = [multiprocessing.Process(target=flood, args=(*s, stop)) for s in SENDERS]
    pipes, processes = {}, []
    for number, name in enumerate(("tunnels", "devices", "namespaces")):
        pipes[name], far = multiprocessing.Pipe(duplex=False)
        processes.append(multiprocessing.Process(
            target=worker, args=(name, SEED + number, SECONDS, far)))
    for process in senders + processes:
        process.start()
    clear = []
    while any(p.is_alive() for p in processes):
        clear += in_clear(wires, 0.5)
    answers = {name: pipe.recv() if pipe.poll() else (0, f"{name} died")
               for name, pipe in pipes.items()}
    seen.update({name: count for name, (count, _) in answers.items()})
    stop.set()
    for process in senders:
        process.join(20)
    errors = [error for _, error in answers.values() if error]
    check(not errors, "\n".join(errors))
    same(len(clear), 0, f"packets in clear, the first {clear[:1]}")
    print(f"# {seen}", flush=True)


def enough(seen):
    """Something did happen, of each kind."""
    check(min(seen.values()) >= ENOUGH, f"{seen}")


def works():
    """The tunnel carries at the end, both families, both ways."""
    for ns, src, dst in (SENDERS[0], SENDERS[1], SENDERS[2]):
        netns.run("ip", "netns", "exec", ns, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "20",
                  "-I", src, dst)


def nothing_left():
    """After a flush no SA and no policy is left, in user space's eyes nor in the slabs."""
    for ns in ("gw-a", "gw-b"):
        nl = connect(ns)
        nl.flush()
        same((nl.sas(), nl.policies()), ([], []), f"of {ns}")
        nl.close()

    def used():
        # each time: KASAN keeps what was freed until its cache shrinks
        for shrink in pathlib.Path("/sys/kernel/slab").glob("moat_*/shrink"):
            shrink.write_text("1")
        lines = pathlib.Path("/proc/slabinfo").read_text().splitlines()
        return [f[:2] for f in map(str.split, lines) if f[0].startswith("moat_") and f[1] != "0"]

    wait_for("the end of the last object", lambda: not used(), 60)


def main():
    results, seen = Results(), {}
    netns.shell("topo_site_to_site && load_moat async_crypto=1")
    instances()
    # under all that comes and goes, so that nothing leaves in between
    netns.ip("route add blackhole 10.99.0.0/16", ns="gw-a")
    for ns, nets in (("gw-a", UNDER), ("gw-b", [(r, l) for l, r in UNDER])):
        nl = connect(ns)
        for number, (local, remote) in enumerate(nets, 1000):
            nl.request("policy-add", {"policy": moatnl.policy(
                number, local, remote, action=moatnl.DISCARD)})
        nl.close()
    wires = [netns.Link("gw-a", "wan-a"), netns.Link("gw-b", "wan-b")]
    print(f"# {SECONDS:.0f} s, seed {SEED}", flush=True)
    results.run("life and death under traffic", live, wires, seen)
    results.run("enough of each", enough, seen)
    results.run("the tunnel carries at the end", works)
    results.run("nothing is left", nothing_left)
    results.run("unload", netns.shell, "unload_moat")
    netns.shell("topo_cleanup")
    results.finish()


main()
