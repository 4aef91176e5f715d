#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NFQUEUE at POST_ROUTING, before Moat's hook and behind it.

A queued packet is given back to the hook after the one that queued it. What
a policy protects must be sealed then, and never go on into plain output.
"""
import os
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import gateway  # noqa: E402
import moatnl  # noqa: E402
import netns  # noqa: E402
from gateway import Tunnel, is_esp, packet  # noqa: E402
from ktap import Results, check, same  # noqa: E402
from nfqueue import Queue  # noqa: E402

# Hooks of one priority run in the opposite order of their registration.
LAST = 2147483647


def nft(gw, rules):
    netns.run("ip", "netns", "exec", gw.name, "nft", "-f", "-", input=rules)


def rules(priority):
    """Queue what comes from the LAN."""
    return (f"table ip q {{ chain c {{ type filter hook postrouting priority {priority}\n"
            "ip saddr 10.1.0.0/24 queue num 0;\n}\n}\n")


def sealed_after(gw, queue):
    """A protected packet is queued, sealed, and opens at the peer; the next too."""
    tunnel = Tunnel(gw)
    for number in (1, 2):
        canary = os.urandom(16)
        gw.send("lan", packet(4, canary, number))
        queue.accept()
        got = gw.receive("wan", 1)
        same(len(got), 1, "packets on the wire")
        check(is_esp(got[0]) and canary not in got[0], "sent in clear")
        same(tunnel.open(got[0])[-16:], canary, "what the peer opens")
    gw.reset()


def policy_gone(gw, queue):
    """Its policy is deleted while a packet is queued: dropped, not sent in clear."""
    Tunnel(gw)
    canary = os.urandom(16)
    gw.send("lan", packet(4, canary))
    data = queue.sock.recv(1 << 17, socket.MSG_PEEK)    # it is in the queue
    check(canary in data, "what is queued")
    before = gw.count("hold_deleted")
    gw.nl.flush()
    queue.accept()
    same(gw.silence("wan", 0.5), [], "what left")
    same(gw.count("hold_deleted"), before + 1, "hold_deleted")


def main():
    results = Results()
    netns.run("modprobe", "nfnetlink_queue")
    netns.shell("load_moat")
    gw = gateway.Gateway()
    queue = Queue(gw.name)
    for name, priority in (("long before us", 150), ("just before us", LAST)):
        nft(gw, rules(priority))
        results.run(f"queue {name}", sealed_after, gw, queue)
        nft(gw, "flush ruleset")
    # behind us: registered before
    gw.nl.close()
    netns.shell("unload_moat")
    nft(gw, rules(LAST))
    netns.shell("load_moat")
    gw.nl = None
    gw.connect()
    results.run("queue behind us", sealed_after, gw, queue)
    results.run("queue behind us, and the policy goes", policy_gone, gw, queue)
    nft(gw, "flush ruleset")
    queue.close()
    gw.reset()
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


main()
