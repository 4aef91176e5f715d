#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every allocation of every netlink operation fails once.

Request after request is sent with its first, second, third ... allocation
failing (/proc/thread-self/fail-nth), until one meets no failure any more. A
refused one must have changed nothing; one that succeeds all the same must have
done all it was asked for. Needs a kernel with fault injection, which Debian's
has not: it runs in "make check-debug" only.
"""
import contextlib
import errno
import os
import pathlib
import socket
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "netlink")]
import contract  # noqa: E402
import moatnl  # noqa: E402
import netns  # noqa: E402
from contract import CBC, inbound, outbound, protect, snapshot  # noqa: E402
from ktap import Results, check, same, wait_for  # noqa: E402
from moatnl import AH, IN, OUT, Refused, attr, attributes  # noqa: E402

MOST = 2000                             # allocations of one request
NO_MEMORY = (errno.ENOMEM, errno.ENOBUFS)
DEBUG = pathlib.Path("/sys/kernel/debug")
RESERVED, UDP6 = 0x4000, ("2001:db8::2", "2001:db8::1")
RTM_NEWLINK, RTM_DELLINK, RTM_SETLINK = 16, 17, 19


class Faulty:
    """A socket whose calls can be told to fail at their n-th allocation."""

    def __init__(self, sock):
        self.sock = sock
        self.nth = 0                    # the next call to be hurt; 0: none
        self.hit = False
        self.file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def hurt(self, call, *args):
        """One system call; sets `hit` when the allocation was reached."""
        nth, self.nth = self.nth, 0
        if not nth:
            return call(*args)
        os.pwrite(self.file, str(nth).encode(), 0)
        try:
            return call(*args)
        finally:
            self.hit = int(os.pread(self.file, 16, 0)) == 0
            os.pwrite(self.file, b"0", 0)

    def send(self, data):
        return self.hurt(self.sock.send, data)


def inject(slabs):
    """All that a task asks for may fail, whatever it would do to get it; no noise.

    Either objects, or pages: how often a slab wants another page is chance, and would
    move what is the n-th, so that some allocations were met twice and others never.
    """
    for kind in ("failslab", "fail_page_alloc"):
        check((DEBUG / kind).is_dir(), f"this kernel has no {kind}: run it on the debug kernel")
        for name, value in (("ignore-gfp-wait", "N"), ("verbose", "0")):
            (DEBUG / kind / name).write_text(value)
    (DEBUG / "failslab/cache-filter").write_text("N" if slabs else "Y")
    (DEBUG / "fail_page_alloc/min-order").write_text("32" if slabs else "0")


def everything(nl):
    """SAs, reserved SPIs, policies, and the endpoints that have implicit bypasses."""
    ends = sorted(str((p["implicit"], p["selector"])) for p in nl.policies(implicit=True)
                  if "implicit" in p)
    return snapshot(nl) + ends


class Faults:
    """Netlink with faults, and what the database was before."""

    def __init__(self, nl, codes=NO_MEMORY):
        self.nl = nl
        self.codes = codes
        self.sock = nl.sock = Faulty(nl.sock)

    def attempt(self, nth, ask):
        """"done", "refused", or "unknown" when only the answer was lost."""
        self.sock.nth, self.sock.hit = nth, False
        try:
            ask()
        except Refused as refusal:
            check(refusal.code in self.codes, f"allocation {nth}: {refusal}")
            return "refused"
        except OSError as error:
            check(error.errno in NO_MEMORY, f"allocation {nth}: {error}")
            return "unknown"
        return "done"

    def each(self, ask, undo, state, before, after):
        """One allocation after the other fails; how often it went how."""
        found = {"done": 0, "refused": 0, "unknown": 0}
        for nth in range(1, MOST):
            how = self.attempt(nth, ask)
            now = state()
            if not self.sock.hit:
                break
            found[how] += 1
            check(now in {"done": [after], "refused": [before],
                          "unknown": [before, after]}[how],
                  f"allocation {nth} failed, {how}: now {now}, before {before}")
            if now != before:
                undo()
            same(state(), before, f"undone after allocation {nth}")
        check(not self.sock.hit, f"{MOST} allocations, and no end")
        same(how, "done", "without a fault")
        undo()
        return found

    def sweep(self, ask, undo=None, state=None, refuses=True):
        """All allocations of a request in turn. `state` is what it may change."""
        state = state or (lambda: everything(self.nl))
        undo = undo or (lambda: None)
        before = state()
        ask()
        after = state()
        undo()
        same(state(), before, "undone without a fault")
        for slabs in (True, False):
            inject(slabs)
            found = self.each(ask, undo, state, before, after)
            print(f"# {'objects' if slabs else 'pages'}: {found}", flush=True)
            if slabs:
                check(found["done"] + found["refused"], "no allocation was met")
            if slabs and refuses:
                check(found["refused"], "no allocation is needed: is that so?")
            elif not refuses:
                same(found["refused"], 0, "refusals of what always works")


def ident(direction, spi, protocol=50, dst=None):
    return {"sa": {"direction": direction, "protocol": protocol, "spi": spi,
                   "dst": dst or (contract.OURS if direction == IN else contract.PEERS)}}


def asks(nl, command, values):
    return lambda: nl.request(command, values)


def operations(nl):
    """Name, request, what undoes it."""
    def sa_del(direction, *spis, **more):
        return lambda: [nl.request("sa-del", ident(direction, s, **more)) for s in spis]

    def add(values):
        return asks(nl, "sa-add", {"sa": values})

    def switch(values):
        return asks(nl, "policy-switch", {"policy": {"id": 1}, "sa": values})

    bundle = [inbound(0x5001, ("ah-sha256", (b"", bytes(32))), bundle=3),
              inbound(0x5002, bundle=3)]
    out = [outbound(0x5003, ("ah-sha256", (b"", bytes(32))), bundle=3),
           outbound(0x5004, bundle=3)]
    six = moatnl.sa(IN, 0x5005, *UDP6, *contract.GCM, encap_sport=4500, encap_dport=4500)
    one = {"policy": {"id": 9}}
    nine = protect(9, "10.8.0.0/24", "10.9.0.0/24")
    elsewhere = {**nine, "remote": "192.0.2.77"}
    ports = protect(9, "10.8.0.0/24", "10.9.0.0/24")
    ports["selector"] = contract.selector(protocol=6, remote_port_min=80, remote_port_max=90)
    fresh = lambda: nl.request("policy-del", one)   # noqa: E731
    yield ("spi-alloc", asks(nl, "spi-alloc", {
        "sa": {"protocol": 50, "dst": contract.OURS}, "spi-min": RESERVED,
        "spi-max": RESERVED}), sa_del(IN, RESERVED))
    yield "sa-add, AEAD", add(inbound(0x5000, policy=1, owner=bytes(200))), sa_del(IN, 0x5000)
    yield "sa-add, two", add([inbound(0x5000, CBC, replay=4096, esn=True),
                              inbound(0x5006, CBC)]), sa_del(IN, 0x5000, 0x5006)
    yield "sa-add, AH", add(inbound(0x5000, ("ah-sha256", (b"", bytes(32))))), sa_del(
        IN, 0x5000, protocol=AH)
    yield "sa-add, AH over ESP", add(bundle), sa_del(IN, 0x5002)
    yield "sa-add, in UDP over IPv6", add(six), sa_del(IN, 0x5005, dst=UDP6[1])
    yield "policy-add", asks(nl, "policy-add", {"policy": nine}), fresh
    yield "policy-add, other endpoint", asks(nl, "policy-add", {"policy": elsewhere}), fresh
    yield "policy-add, ports", asks(nl, "policy-add", {"policy": ports}), fresh
    yield "policy-add, bypass", asks(nl, "policy-add", {"policy": moatnl.policy(
        9, "10.8.0.0/16", "10.9.0.0/16", action=moatnl.BYPASS)}), fresh
    # no leaf of the classifier is there yet; the endpoint is, by then
    yield "policy-add, IPv6", asks(nl, "policy-add", {"policy": {
        **protect(9, "fd00:8::/64", "fd00:9::/64"), "remote": "192.0.2.78"}}), fresh

    def back():
        nl.request("policy-switch", {"policy": {"id": 1}, "sa": outbound(0x1001)})

    # What policy 1 has now goes first: a switch back is one more SA of the same number.
    def first():
        nl.request("sa-del", ident(OUT, 0x1001))

    first()
    yield "policy-switch", switch(outbound(0x5007)), sa_del(OUT, 0x5007)
    yield "policy-switch, AH over ESP", switch(out), sa_del(OUT, 0x5004)
    back()
    yield "policy-set", asks(nl, "policy-set", {
        "policy": {"id": 2, "action": moatnl.PROTECT, "local": contract.OURS,
                   "remote": "192.0.2.78"}}), lambda: [
        nl.request("policy-del", {"policy": {"id": 2}}),
        nl.request("policy-add", {"policy": moatnl.policy(
            2, "10.5.0.0/24", "10.6.0.0/24", action=moatnl.BYPASS)})]
    owned = {"sa": {**ident(IN, 0x1000)["sa"], "owner": bytes(200)}}
    yield "sa-set", asks(nl, "sa-set", owned), asks(nl, "sa-set", ident(IN, 0x1000))
    yield "sa-get", asks(nl, "sa-get", ident(IN, 0x1000)), None
    yield "sa-get, dump", lambda: nl.request("sa-get", flags=moatnl.NLM_F_DUMP), None
    yield "policy-get", asks(nl, "policy-get", {"policy": {"id": 1}}), None
    yield "policy-get, dump", lambda: nl.request("policy-get", flags=moatnl.NLM_F_DUMP), None
    yield "flow-get", asks(nl, "flow-get", {
        "flow": {"src": "10.1.0.1", "dst": "10.2.0.1", "protocol": 17}}), None
    yield "stats-get", asks(nl, "stats-get", {}), None


def moves(nl):
    """sa-move gives a peer behind NAT another place; its policy follows."""
    udp = outbound(0x5008, encap_sport=4500, encap_dport=4500)
    nl.request("policy-add", {"policy": protect(9, "10.8.0.0/24", "10.9.0.0/24")})
    nl.request("policy-switch", {"policy": {"id": 9}, "sa": udp})

    def move(addr, port):
        return asks(nl, "sa-move", {**ident(OUT, 0x5008), "addr": addr, "port": port})

    return move("192.0.2.99", 4501), move(contract.PEERS, 4500)


def splits(nl):
    """The ninth policy of a leaf makes it a fork; without memory the leaf grows."""
    def add(number):
        nl.request("policy-add", {"policy": protect(number, f"fd00:8:{number}::/64",
                                                    "fd00:9::/64")})

    def eight():
        for number in range(20, 28):
            add(number)

    def eight_again():
        for number in range(20, 29):
            nl.request("policy-del", {"policy": {"id": number}})
        eight()

    eight()
    return lambda: add(28), eight_again


def deletions(nl):
    """Name, request, what undoes it: what goes must go also without memory."""
    def again():
        nl.request("policy-add", {"policy": protect(1)})
        nl.request("sa-add", {"sa": inbound(0x1000, policy=1)})
        nl.request("policy-switch", {"policy": {"id": 1}, "sa": outbound(0x1001)})

    def all_again():
        nl.flush()
        contract.prepare(nl)

    nl.flush()
    contract.prepare(nl)
    yield "sa-del", asks(nl, "sa-del", ident(IN, 0x1000)), asks(
        nl, "sa-add", {"sa": inbound(0x1000, policy=1)})
    yield "policy-del", asks(nl, "policy-del", {"policy": {"id": 1}}), lambda: [
        nl.request("sa-del", ident(IN, 0x1000)), again()]
    yield "sa-flush", asks(nl, "sa-flush", {}), all_again
    yield "policy-flush", asks(nl, "policy-flush", {}), all_again


class Rtnl:
    """Enough of rtnetlink for a device; answers as moatnl's, so faults fit."""

    def __init__(self):
        self.nl = moatnl.Netlink()
        self.nl.sock.close()
        self.nl.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.nl.sock.bind((0, 0))
        self.nl.sock.setsockopt(moatnl.SOL_NETLINK, moatnl.NETLINK_CAP_ACK, 1)

    def ask(self, kind, name, flags=0, more=b""):
        """A request about a link by its name."""
        sock = self.nl.sock
        self.nl.sequence += 1
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attr(3, name.encode() + b"\0") + more
        sock.send(struct.pack("=IHHII", len(body) + 16, kind, 5 | flags,
                              self.nl.sequence, 0) + body)
        while True:
            message = sock.recv(1 << 16)
            _, found, _, sequence, _ = struct.unpack_from("=IHHII", message)
            if sequence == self.nl.sequence and found == moatnl.NLMSG_ERROR:
                moatnl.Netlink.error(message, moatnl.NLM_F_CAPPED)
                return


def devices(results, faults):
    """A device is made or it is not; it always goes.

    Of a name that could not be allocated device_add() makes EINVAL.
    """
    rtnl = Rtnl()
    hurt = Faults(rtnl.nl, (*NO_MEMORY, errno.EINVAL))
    kind = attr(18 | moatnl.NLA_F_NESTED, attr(1, b"moat\0"))
    names = lambda: sorted(n for _, n in socket.if_nameindex())     # noqa: E731
    new = lambda: rtnl.ask(RTM_NEWLINK, "moat0", 0x600, kind)       # noqa: E731
    gone = lambda: rtnl.ask(RTM_DELLINK, "moat0")                   # noqa: E731
    results.run("RTM_NEWLINK", hurt.sweep, new, gone, names)
    new()
    bound = {"policy": protect(9, "10.8.0.0/24", "10.9.0.0/24", device="moat0")}
    results.run("policy-add, of a device", faults.sweep, asks(faults.nl, "policy-add", bound),
                asks(faults.nl, "policy-del", {"policy": {"id": 9}}))
    results.run("RTM_DELLINK", hurt.sweep, gone, new, names, False)
    gone()
    rtnl.nl.close()


def failing_sends(after):
    """Datagrams for what policy 1 protects, an allocation of each fails, the next one
    at the next; after() comes behind each. How many were hit, and none left in clear."""
    sender = Faulty(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    device = netns.Link("faults", "d0")
    hits = 0
    with contextlib.closing(sender), contextlib.closing(device):
        sender.bind(("192.0.2.1", 0))
        sender.connect(("10.2.0.2", 9))
        for nth in range(1, MOST):
            sender.nth, sender.hit = nth, False
            with contextlib.suppress(OSError):
                sender.send(b"secret")
            if not sender.hit:
                break
            hits += 1
            after()
        same(device.frames(0.5, lambda f: b"secret" in f, outgoing=True), [],
             "packets in clear")
    return hits


def held(faults):
    """A packet that needs an SA is held, or dropped and counted; never in clear."""
    nl = faults.nl
    nl.flush()
    nl.request("policy-add", {"policy": protect(1, "192.0.2.1/32", "10.2.0.0/24")})

    def forget():
        nl.request("policy-set", {"policy": {"id": 1, "acquire-off": True}})
        nl.request("policy-set", {"policy": {"id": 1}})

    hits = failing_sends(forget)
    check(hits > 2, f"{hits} allocations")


def sealed(faults):
    """A packet with an SA is sealed, or dropped and counted as out_nomem."""
    nl = faults.nl
    nl.request("policy-switch", {"policy": {"id": 1}, "sa": outbound(0x5009)})
    before = nl.stats()
    failing_sends(lambda: None)
    check(nl.stats()["out_nomem"] > before["out_nomem"], "no out_nomem was counted")
    same(nl.sa_of(0x5009)["drop"]["out_nomem"], nl.stats()["out_nomem"] - before["out_nomem"],
         "out_nomem of the SA")


def objects():
    """Moat's objects in use, by slab cache, without those that wait to be used again."""
    for shrink in pathlib.Path("/sys/kernel/slab").glob("moat_*/shrink"):
        shrink.write_text("1")
    rows = [line.split() for line in pathlib.Path("/proc/slabinfo").read_text().splitlines()]
    found = {r[0]: int(r[1]) for r in rows if r[0].startswith("moat_")}
    check(len(found) > 1, f"caches of Moat's: {found}; boot with slab_nomerge")
    return found


def main():
    results = Results()
    netns.ip("netns add faults")
    with netns.inside("faults"):
        netns.ip("link set lo up")
        nl = contract.begin()
        netns.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev d0",
                 "route add default via 192.0.2.2")
        faults = Faults(nl)
        for name, ask, undo in operations(nl):
            results.run(name, faults.sweep, ask, undo)
        there, back = moves(nl)
        results.run("sa-move", faults.sweep, there, back)
        ninth, eight = splits(nl)
        results.run("policy-add, a leaf splits", faults.sweep, ninth, eight)
        for name, ask, undo in deletions(nl):
            results.run(name, faults.sweep, ask, undo)
        devices(results, faults)
        inject(True)
        results.run("a packet is held", held, faults)
        results.run("a packet is sealed", sealed, faults)
        nl.flush()
        results.run("no object stays", wait_for, "the end of all objects",
                    lambda: not any(objects().values()))
        contract.end(results, nl)


main()
