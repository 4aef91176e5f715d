#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""50 times: load, keys, traffic at 1,000 packets a second, flush, unload.

The sender never pauses, so each flush and unload meets packets on their way.
Half of the cycles send all AES through cryptd: an unload must wait for it.
"""
import os
import pathlib
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import moatnl  # noqa: E402
import netns  # noqa: E402
from ktap import SLOW, Results, check, same, wait_for  # noqa: E402

CYCLES = 50
FIRST, LAST = 10, 50
PACKETS = 100           # through the tunnel in each cycle, at least
ALGORITHM = "aes128gcm16"
GATEWAYS = {"gw-a": ("192.0.2.1", "192.0.2.2", "10.1.0.0/24", "10.2.0.0/24"),
            "gw-b": ("192.0.2.2", "192.0.2.1", "10.2.0.0/24", "10.1.0.0/24")}
SPI = {"gw-a": 0xc0ffee01, "gw-b": 0xc0ffee02}      # by the gateway that receives

# Other hooks beside ours. The kernel rewrites its code when the first hook of a
# place comes and the last one goes; where the emulator's other CPU runs that very
# place it may spin there for ever, on the instruction that was there before.
KEEP = "add table inet keep; " + "".join(
    f"add chain inet keep {hook} {{ type filter hook {hook} priority 0; }};"
    for hook in ("prerouting", "input", "forward", "postrouting"))

MODULE = f"{netns.shell('moat_build').strip()}/kmod-{os.uname().release}/moat.ko"

SENDER = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.1.0.2", 0))
begin, n = time.monotonic(), 0
while True:
    try:
        s.sendto(bytes(100), ("10.2.0.2", 9))
    except OSError:
        pass
    n += 1
    late = time.monotonic() - begin - n / 1000
    if late < 0:
        time.sleep(-late)
    elif late > 1:
        begin, n = time.monotonic(), 0
"""


def connect():
    """A netlink socket in each gateway; the family's number is new each time."""
    found = {}
    for name in GATEWAYS:
        with netns.inside(name):
            found[name] = moatnl.Netlink()
    return found


def configure(netlink, keys):
    """Inbound SAs of both first, so that nothing is lost between."""
    for name, (ours, peers, local, remote) in GATEWAYS.items():
        netlink[name].request("policy-add", {"policy": moatnl.policy(
            7, local, remote, ours, peers)})
        netlink[name].request("sa-add", {"sa": moatnl.sa(
            moatnl.IN, SPI[name], peers, ours, ALGORITHM, keys[name], policy=7,
            replay=1024)})
    for name, (ours, peers, _, _) in GATEWAYS.items():
        other = "gw-b" if name == "gw-a" else "gw-a"
        netlink[name].request("policy-switch", {"policy": {"id": 7}, "sa": moatnl.sa(
            moatnl.OUT, SPI[other], ours, peers, ALGORITHM, keys[other])})


def cycle(number):
    """One of the 50."""
    netns.run("insmod", MODULE, f"async_crypto={number % 2}")
    check("moat" in pathlib.Path("/proc/slabinfo").read_text(), "the kernel merges slab "
          "caches, so nothing can be said about Moat's: boot it with slab_nomerge")
    netlink = connect()
    keys = {name: moatnl.ALGORITHMS[ALGORITHM].keys() for name in GATEWAYS}
    configure(netlink, keys)
    wait_for(f"{PACKETS} packets through the tunnel",
             lambda: netlink["gw-b"].sa_of(SPI["gw-b"])["packets"] >= PACKETS)
    drops = netlink["gw-b"].sa_of(SPI["gw-b"]).get("drop", {})
    for one in netlink.values():
        one.flush()
        one.close()
    netns.run("rmmod", "moat")
    same(drops, {}, "drops of the inbound SA")


def slabs():
    """Slab caches: name to bytes in use, after all CPUs gave back what they keep."""
    for shrink in pathlib.Path("/sys/kernel/slab").glob("*/shrink"):
        shrink.write_text("1")
    lines = pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]
    return {f[0]: int(f[1]) * int(f[3]) for f in map(str.split, lines)}


def settle():
    """What stays in use: the least of some looks.

    Whatever runs takes objects for a moment, and a CPU that takes one counts as
    using the whole slab.
    """
    looks = []
    for _ in range(8 * SLOW):
        time.sleep(0.3)     # RCU and work queues free later
        looks.append(slabs())
    return {name: min(look.get(name, 0) for look in looks) for name in looks[-1]}


def cycles(seen):
    """All of them; what is in use after the first and the last to compare."""
    for number in range(1, CYCLES + 1):
        cycle(number)
        if number in (FIRST, LAST):
            seen[number] = settle()


def gone(seen):
    """Moat's own caches went with it."""
    for number, caches in seen.items():
        check(caches, f"no caches after cycle {number}")
        same([name for name in caches if "moat" in name], [], "caches of Moat")


def flat(seen):
    """Memory in use is the same after cycle 50 as after cycle 10."""
    first, last = (sum(seen[number].values()) for number in (FIRST, LAST))
    grown = sorted(((seen[LAST][n] - seen[FIRST].get(n, 0), n) for n in seen[LAST]),
                   reverse=True)[:8]
    print(f"# {first} bytes after cycle {FIRST}, {last} after cycle {LAST}, most: {grown}")
    check(abs(last - first) <= first / 100, f"off by {last - first} bytes")


def main():
    """The topology once, then the cycles."""
    results, seen = Results(), {}
    netns.shell("topo_site_to_site && load_moat && rmmod moat")    # with what it needs
    netns.run("ip", "netns", "exec", "gw-a", "nft", KEEP)
    with netns.inside("host-b"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("10.2.0.2", 9))
        with subprocess.Popen(["ip", "netns", "exec", "host-a", sys.executable, "-c",
                               SENDER]) as sender:
            results.run(f"{CYCLES} cycles under traffic", cycles, seen)
            sender.terminate()
    results.run("Moat's slab caches are gone", gone, seen)
    results.run("slab memory is within 1 %", flat, seen)
    netns.shell("topo_cleanup")
    results.finish()


main()
