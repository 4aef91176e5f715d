#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The netlink contract: what is accepted, who may ask, and malformed messages."""
import ctypes
import errno
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import contract
import moatnl
import netns
from contract import (OURS, PEERS, inbound, outbound, prepare, protect, refused, selector,
                      snapshot)
from ktap import Results, check, same, wait_for
from moatnl import IN, OUT, PROTECT, Refused, attr, attributes, sa

SEED = int(os.environ.get("MOAT_SEED", "1"))


# --- what is accepted --------------------------------------------------------

def dump_shows(nl):
    """A dump says what was asked for, but no key; one SA as well as all."""
    owner = os.urandom(256)
    keys = (os.urandom(16), os.urandom(64))
    asked = sa(IN, 0x6000, "2001:db8::2", "2001:db8::1", "aes128-sha256", keys, auth=5,
               icv_len=32, owner=owner, soft_bytes=1 << 40, hard_bytes=1 << 41,
               soft_seconds=100, hard_seconds=200, soft_packets=5, hard_packets=6,
               replay=4096, esn=True, selector=moatnl.selector("fd00:1::/64", "fd00:2::/64"))
    nl.request("sa-add", {"sa": asked})
    name = {"direction": IN, "protocol": 50, "spi": 0x6000, "dst": "2001:db8::1"}
    try:
        found = nl.request("sa-get", {"sa": name})[0]["sa"][0]
        for key in ("direction", "protocol", "spi", "mode", "enc", "auth", "icv-len",
                    "replay", "esn", "owner", "soft-bytes", "hard-bytes", "soft-seconds",
                    "hard-seconds", "soft-packets", "hard-packets"):
            same(found.get(key), asked[key], key)
        same((found["src"], found["dst"]),
             (moatnl.address("2001:db8::2"), moatnl.address("2001:db8::1")), "addresses")
        same((found["state"], found["seq"], found["packets"], found["key-bits"]),
             (moatnl.VALID, 0, 0, 128), "state")
        check(abs(found["created"] - time.time()) < 60, f"created {found['created']}")
        check("cbc" in found["driver"], f"driver {found['driver']}")
        raw = b"".join(nl.raw(nl.family, moatnl.COMMAND["sa-get"], b"", moatnl.NLM_F_DUMP))
        raw += b"".join(nl.raw(nl.family, moatnl.COMMAND["sa-get"],
                               attributes("main", {"sa": name})))
        check(owner in raw, "the dump lacks the owner")
        for key in keys:
            for i in range(len(key) - 7):
                check(key[i:i + 8] not in raw, "a part of a key is in the dump")
    finally:
        nl.request("sa-del", {"sa": name})


def another_owner(nl):
    """sa-set changes the owner and nothing else, of whom flow-get tells as well."""
    before, name = snapshot(nl), {"direction": OUT, "protocol": 50, "spi": 0x1001, "dst": PEERS}
    packet = {"src": "10.1.0.2", "dst": "10.2.0.2"}
    for owner in (os.urandom(256), b"x", os.urandom(40)):
        nl.request("sa-set", {"sa": {**name, "owner": owner}})
        same(nl.sa_of(0x1001).get("owner"), owner, "owner")
        told = nl.request("flow-get", {"flow": packet})[0]["sa"][0]
        same(told.get("owner"), owner, "owner as flow-get has it")
    check(snapshot(nl) != before, "the snapshot does not see the owner")
    nl.request("sa-set", {"sa": name})
    same(snapshot(nl), before, "SAs and policies without an owner again")


def reserve(nl, **more):
    return nl.request("spi-alloc", {"sa": {"protocol": 50, "dst": OURS}, **more})[0]["sa"][0]


def spi_alloc(nl):
    """SPIs are unique, in their range, and become SAs."""
    before = len(nl.sas())
    spis = {reserve(nl)["spi"] for _ in range(50)}
    same(len(spis), 50, "different SPIs")
    check(min(spis) >= 0x1000, "an SPI below the default range")
    same({reserve(nl, **{"spi-min": 0x9000, "spi-max": 0x9003})["spi"] for _ in range(4)},
         {0x9000, 0x9001, 0x9002, 0x9003}, "a range to its last")
    refused(nl, "spi-alloc", {"sa": {"protocol": 50, "dst": OURS}, "spi-min": 0x9000,
                              "spi-max": 0x9003}, errno.ENOSPC,
            "no free SPI found between 0x9000 and 0x9003")
    same(nl.sa_of(0x9001)["state"], moatnl.RESERVED, "state")
    nl.request("sa-add", {"sa": inbound(0x9001)})
    same(nl.sa_of(0x9001)["state"], moatnl.VALID, "state once it has keys")
    same(len(nl.sas()), before + 54, "SAs and reserved SPIs")
    for one in nl.sas():
        if one["spi"] in spis | {0x9000, 0x9001, 0x9002, 0x9003}:
            nl.request("sa-del", {"sa": {k: one[k] for k in
                                         ("direction", "protocol", "spi", "dst")}})
    same(len(nl.sas()), before, "SAs afterwards")


def many(nl):
    """A dump of more objects than one message holds, each once."""
    for i in range(0, 400, 8):
        nl.request("sa-add", {"sa": [inbound(0x10000 + i + j, owner=os.urandom(200))
                                     for j in range(8)]})
    for i in range(300):
        nl.request("policy-add", {"policy": protect(1000 + i, f"10.{i % 250}.0.0/16",
                                                    f"172.16.{i // 250}.0/24")})
    spis = [s["spi"] for s in nl.sas() if s["spi"] >= 0x10000]
    same(sorted(spis), list(range(0x10000, 0x10000 + 400)), "SPIs of the dump")
    ids = [p["id"] for p in nl.policies() if p["id"] >= 1000]
    same(sorted(ids), list(range(1000, 1300)), "ids of the dump")
    nl.flush()
    same((len(nl.sas()), len(nl.policies())), (0, 0), "after the flush")
    prepare(nl)


def set_and_delete(nl):
    """policy-set changes in one step and drops the outbound SA where it must."""
    nl.request("policy-add", {"policy": protect(20, "10.20.0.0/24")})

    def switch(spi):
        nl.request("policy-switch", {"policy": {"id": 20}, "sa": outbound(spi)})
        same(nl.policy_of(20).get("spi"), spi, "current SA")

    switch(0x4000)
    switch(0x4001)
    same({s["spi"] for s in nl.sas()} >= {0x4000, 0x4001}, True, "both SAs stand")
    nl.request("policy-set", {"policy": {"id": 20, "acquire-off": True}})
    same(nl.policy_of(20).get("spi"), 0x4001, "SA after acquire-off")
    nl.request("policy-set", {"policy": {"id": 20, "action": moatnl.DISCARD}})
    found = nl.policy_of(20)
    same((found["action"], found.get("spi")), (moatnl.DISCARD, None), "after discard")
    check(not {s["spi"] for s in nl.sas()} & {0x4000, 0x4001}, "an outbound SA is left")
    nl.request("policy-set", {"policy": {"id": 20, "action": PROTECT}})
    switch(0x4002)
    nl.request("sa-del", {"sa": {"direction": OUT, "protocol": 50, "spi": 0x4002,
                                 "dst": PEERS}})
    same(nl.policy_of(20).get("spi"), None, "current SA after it was deleted")
    switch(0x4003)
    nl.request("policy-set", {"policy": {"id": 20, "local": OURS, "remote": "192.0.2.3"}})
    found = nl.policy_of(20)
    same((found["remote"], found.get("spi")), (moatnl.address("192.0.2.3"), None),
         "after another endpoint")
    nl.request("policy-del", {"policy": {"id": 20}})


def transport_mode(nl):
    """An SA of transport mode is between its own two ends, by default or as asked."""
    nl.request("sa-add", {"sa": inbound(0x6100, mode=moatnl.TRANSPORT)})
    hosts = moatnl.selector(f"{OURS}/32", f"{PEERS}/32")
    found = nl.sa_of(0x6100)
    same((found["mode"], {k: found["selector"][k] for k in hosts}),
         (moatnl.TRANSPORT, hosts), "mode and selector")
    nl.request("sa-del", {"sa": {"direction": IN, "protocol": 50, "spi": 0x6100, "dst": OURS}})
    nl.request("policy-add", {"policy": protect(21, f"{OURS}/32", f"{PEERS}/32", mode=2)})
    refused(nl, "policy-set", {"policy": {"id": 21, "local": OURS, "remote": "192.0.2.3"}},
            errno.EINVAL, "policy 21 of transport mode: selector and endpoints differ")
    nl.request("policy-switch", {"policy": {"id": 21}, "sa": outbound(0x4100, mode=2)})
    same(nl.policy_of(21).get("spi"), 0x4100, "current SA")
    nl.request("policy-del", {"policy": {"id": 21}})


def flows(nl):
    """What would happen to a packet."""
    def verdict(src, dst, **more):
        return moatnl.VERDICT[nl.request("flow-get", {"flow": {
            "src": src, "dst": dst, **more}})[0]["verdict"]]

    same(verdict("10.1.0.2", "10.2.0.2"), "protect", "policy with an SA")
    same(verdict("10.9.0.2", "10.2.0.2"), "clear", "no policy")
    same(verdict("10.5.0.2", "10.6.0.2"), "bypass", "bypass policy")
    same(verdict(OURS, PEERS, protocol=17, sport=500, dport=500), "bypass", "implicit")
    nl.request("policy-add", {"policy": protect(30, "10.30.0.0/24")})
    same(verdict("10.30.0.2", "10.2.0.2"), "hold", "no SA")
    nl.request("policy-set", {"policy": {"id": 30, "acquire-off": True}})
    same(verdict("10.30.0.2", "10.2.0.2"), "discard", "no SA, and none may be asked for")
    nl.request("policy-set", {"policy": {"id": 30, "action": moatnl.DISCARD}})
    same(verdict("10.30.0.2", "10.2.0.2"), "discard", "discard")
    nl.request("policy-del", {"policy": {"id": 30}})


def removal(nl):
    """rmmod answers "in use" while there are policies."""
    done = subprocess.run(["rmmod", "moat"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode and "in use" in done.stdout, f"rmmod: {done}")
    same(len(nl.policies()), 2, "policies")


# --- who may ask -------------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def as_child(prepare_child, attempt):
    """What `attempt` returns in a forked child, after `prepare_child`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            prepare_child()
            text = attempt()
        except Exception as error:      # anything is a result
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


def try_all(nl, events=True):
    """Which commands, and events if wanted, are not refused with EPERM; "" is none."""
    open_doors = []
    for command in [c for c in moatnl.COMMANDS if not c.endswith("-ntf")]:
        for flags in (0, moatnl.NLM_F_DUMP):
            if flags and command not in ("sa-get", "policy-get"):
                continue
            try:
                nl.request(command, {}, flags)
                open_doors.append(command)
            except Refused as refusal:
                if refusal.code != errno.EPERM:
                    open_doors.append(f"{command}: {refusal}")
    if not events:
        return " ".join(open_doors)
    try:
        _, groups = nl.resolve("moat")
        nl.sock.setsockopt(moatnl.SOL_NETLINK, moatnl.NETLINK_ADD_MEMBERSHIP,
                           groups["events"])
        open_doors.append("events")
    except PermissionError:
        pass
    return " ".join(open_doors)


def leave_namespaces():
    if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def other_user_namespace(nl):
    """Root of another user namespace (unshare -Urn) may do nothing.

    Events of its own network namespace it may hear: they never leave theirs.
    """
    before = snapshot(nl)
    same(as_child(leave_namespaces, lambda: try_all(moatnl.Netlink(), False)), "",
         "open doors")
    same(snapshot(nl), before, "SAs and policies")


def other_user(nl):
    """Nobody may do nothing, not even with root's socket."""
    before = snapshot(nl)
    same(as_child(lambda: os.setuid(65534), lambda: try_all(moatnl.Netlink())), "",
         "open doors")
    mine = moatnl.Netlink()
    same(as_child(lambda: os.setuid(65534), lambda: try_all(mine)), "", "open doors")
    mine.close()
    same(snapshot(nl), before, "SAs and policies")


# --- generated messages ------------------------------------------------------

def random_attributes(rng, depth=0):
    out = b""
    for _ in range(rng.randrange(6)):
        number = rng.choice([rng.randrange(0, 48), rng.randrange(0, 1 << 16)])
        if depth < 3 and rng.random() < 0.4:
            payload = random_attributes(rng, depth + 1)
            number |= moatnl.NLA_F_NESTED
        else:
            payload = rng.randbytes(rng.choice([0, 1, 2, 4, 8, 16, rng.randrange(300)]))
        one = attr(number & 0xffff, payload)
        if rng.random() < 0.1:          # a length that lies
            one = struct.pack("=H", rng.randrange(1 << 16)) + one[2:]
        out += one
    return out


def mutated(rng, good):
    """A good message with a few bytes changed, cut out or repeated."""
    data = bytearray(good)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data))
        kind = rng.randrange(3)
        if kind == 0:
            data[at] = rng.choice([0, 1, 255, rng.randrange(256)])
        elif kind == 1 and len(data) > 8:
            del data[at:at + rng.randrange(1, 9)]
        else:
            data[at:at] = data[at:at + rng.randrange(1, 9)]
    return bytes(data)


def generated(nl):
    """Random and mutated messages: no crash, and a refusal changes nothing."""
    rng = random.Random(SEED)
    goods = {"sa-add": attributes("main", {"sa": inbound(policy=1)}),
             "policy-add": attributes("main", {"policy": protect()}),
             "policy-switch": attributes("main", {"policy": {"id": 1}, "sa": outbound()}),
             "policy-set": attributes("main", {"policy": {"id": 1, "action": 3}}),
             "policy-del": attributes("main", {"policy": {"id": 1}}),
             "sa-set": attributes("main", {"sa": {"direction": IN, "protocol": 50,
                                                  "spi": 0x1000, "dst": OURS,
                                                  "owner": bytes(40)}}),
             "spi-alloc": attributes("main", {"sa": {"protocol": 50, "dst": OURS},
                                              "spi-min": 0x1000}),
             "flow-get": attributes("main", {"flow": {"src": OURS, "dst": PEERS}})}
    before, counts = snapshot(nl), {"refused": 0, "accepted": 0}
    for i in range(4000):
        if rng.random() < 0.3:
            number = rng.choice([n for n in range(1, 22) if n not in (5, 11)])
            payload = random_attributes(rng)
        else:
            command = rng.choice(list(goods))
            number, payload = moatnl.COMMAND[command], mutated(rng, goods[command])
        try:
            nl.raw(nl.family, number, payload)
            counts["accepted"] += 1
            nl.flush()
            prepare(nl)
        except Refused:
            counts["refused"] += 1
        if i % 50 == 0:
            same(snapshot(nl), before, f"SAs, SPIs and policies after message {i}")
    same(snapshot(nl), before, "SAs, SPIs and policies in the end")
    check(counts["refused"] > 1000, f"{counts}: the messages are too tame")
    check(counts["accepted"] > 10, f"{counts}: the messages are too wild")


def truncated_messages(nl):
    """Each length of a good message, with an honest netlink header."""
    good = attributes("main", {"sa": inbound(selector=selector())})
    before = snapshot(nl)
    for length in range(len(good)):
        try:
            nl.raw(nl.family, moatnl.COMMAND["sa-add"], good[:length])
            check(False, f"{length} of {len(good)} bytes were accepted")
        except Refused:
            pass
    same(snapshot(nl), before, "SAs, SPIs and policies")


def expiry(nl, spi, since):
    """A reserved SPI lives for 60 s, and not much longer."""
    left = since + 55 - time.monotonic()
    if left > 0:
        time.sleep(left)
        check(any(s["spi"] == spi for s in nl.sas()), "it is gone before its time")
    wait_for("the end of the reservation",
             lambda: not any(s["spi"] == spi for s in nl.sas()), 15)
    took = time.monotonic() - since
    check(took >= 59, f"it ended after {took:.1f} s")


def main():
    results = Results()
    nl = contract.begin()
    with netns.inside_new("spare"):
        spare = moatnl.Netlink()
    reserved, since = reserve(spare)["spi"], time.monotonic()
    for name, case in (("rmmod while in use", removal), ("dump, without keys", dump_shows),
                       ("sa-set", another_owner),
                       ("spi-alloc", spi_alloc), ("policy-set and current SAs", set_and_delete),
                       ("transport mode", transport_mode), ("flow-get", flows), ("dumps of hundreds", many),
                       ("root of another user namespace", other_user_namespace),
                       ("nobody", other_user), ("truncated messages", truncated_messages),
                       ("generated messages", generated)):
        results.run(name, case, nl)
    results.run("expiry of a reserved SPI", expiry, spare, reserved, since)
    spare.close()
    netns.ip("netns del spare")
    contract.end(results, nl)


main()
