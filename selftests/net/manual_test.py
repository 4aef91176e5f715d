#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual keying by the command, and TCP and UDP against XFRM at gw-b."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateways
import moatnl
import netns
from ktap import Failed, Results, check, same, wait_for
from moatnl import IN

FAMILIES = [(4, 4), (6, 4), (4, 6), (6, 6)]
MOAT = pathlib.Path(netns.shell("moat_build").strip()) / "moat"


def totals(nl, keys):
    """(packets, bytes) out and in of a gateway, and its drops."""
    out, into = nl.sa_of(keys.spi_out), nl.sa_of(keys.spi_in)
    drops = {**out.get("drop", {}), **into.get("drop", {})}
    drops.pop("out_mtu", None)          # how TCP learns the path MTU
    return (out["packets"], out["bytes"]), (into["packets"], into["bytes"]), drops


def xfrm_totals(ns, spi):
    """(packets, bytes) of one XFRM state."""
    for block in netns.run("ip", "-n", ns, "-s", "xfrm", "state").split("\nsrc "):
        if f"spi {spi:#010x}" in block:
            words = block.split("lifetime current:")[1].split()
            return int(words[1].split("(")[0]), int(words[0].split("(")[0])
    raise AssertionError(f"no XFRM state {spi:#x}")


def meets_xfrm(nl, algorithm, inner, outer):
    """UDP and TCP both ways, and equal packet counters on both sides."""
    keys = gateways.Keys(algorithm)
    gateways.moat_pair(nl, keys, inner, outer)
    gateways.xfrm_pair("gw-b", keys, inner, outer)
    try:
        gateways.udp_exchange(inner)
        data = os.urandom(1 << 19)
        gateways.tcp(inner, data)
        gateways.tcp(inner, data, back=True, port=5002)

        def counted():
            return totals(nl, keys)[:2], (xfrm_totals("gw-b", keys.spi_out),
                                          xfrm_totals("gw-b", keys.spi_in))

        def agreed():
            here, there = counted()
            return here == there
        try:
            wait_for("equal packet and byte counters on both sides", agreed, 5)
        except Failed:
            same(*counted(), "packets and bytes out and in, beside what XFRM counted")
        same(totals(nl, keys)[2], {}, "drops")
    finally:
        nl.flush()
        gateways.xfrm_flush("gw-b")


def moat(*words, stdin=None, ns="gw-a", expected=0):
    """The command in a gateway; its output and what it complained about."""
    done = subprocess.run(["ip", "netns", "exec", ns, str(MOAT), *words], input=stdin,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    same(done.returncode, expected, f"exit status of moat {' '.join(words)} ({done.stdout})")
    return done.stdout


def by_command(nl):
    """The lines of the manual, with the command alone, against XFRM."""
    keys = gateways.Keys("aes128gcm16", (0xc0ffee01, 0xc0ffee02))
    gateways.xfrm_pair("gw-b", keys, 4, 4)
    try:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"0x{keys.key_in[0].hex()}\n")
            file.flush()
            moat(*"policy add id 7 local 10.1.0.0/24 remote 10.2.0.0/24 action protect "
                 "endpoints 192.0.2.1 192.0.2.2 mode tunnel".split())
            moat(*"sa add in esp spi 0xc0ffee01 src 192.0.2.2 dst 192.0.2.1 alg "
                 f"aes128gcm16 key @{file.name} replay 1024".split())
        why = moat("why", "10.1.0.2", "10.2.0.2", "udp", "53")
        check(why.startswith("hold:"), f"why says {why}")
        moat(*"sa add out esp spi 0xc0ffee02 src 192.0.2.1 dst 192.0.2.2 alg aes128gcm16 "
             "key - policy 7".split(), stdin=keys.key_out[0].hex(" "))
        gateways.udp_exchange(4)
        views_after(keys)
        moat(*"policy set id 7 action discard".split())
        same(len(nl.sas()), 1, "SAs after the policy became a discard")
        moat(*"policy del id 7".split())
        moat(*"policy del id 7".split(), expected=1)
        moat(*"sa del in esp spi 0xc0ffee01 dst 192.0.2.1".split())
        same((len(nl.sas()), len(nl.policies())), (0, 0), "what is left")
    finally:
        nl.flush()
        gateways.xfrm_flush("gw-b")


def views_after(keys):
    """What list, why and show counters print, as text and JSON."""
    listed = json.loads(moat("sa", "list", "--json"))
    same(listed["schema_version"], 1, "schema")
    sas = {sa["spi"]: sa for sa in listed["sas"]}
    same(sorted(sas), ["c0ffee01", "c0ffee02"], "SPIs")
    same([(s["direction"], s["proposal"], s["packets"]) for s in
          (sas["c0ffee01"], sas["c0ffee02"])],
         [("in", "aes128gcm16", 20), ("out", "aes128gcm16", 20)], "SAs")
    text = moat("sa", "list") + moat("--json", "sa", "list")
    for key in (keys.key_in[0], keys.key_out[0]):
        check(key.hex()[:16] not in text, "a key is shown")
    policies = json.loads(moat("policy", "list", "--json"))["policies"]
    mine = next(p for p in policies if p.get("id") == 7)
    same((mine["local_net"], mine["remote_net"], mine["action"], mine["spi"],
          mine["packets"]), ("10.1.0.0/24", "10.2.0.0/24", "protect", "c0ffee02", 20),
         "policy")
    check(any("implicit" in p for p in policies), "no implicit bypass is shown")
    verdict = json.loads(moat("why", "10.1.0.2", "10.2.0.2", "--json"))
    same((verdict["verdict"], verdict["policy"]["id"], verdict["sas"][0]["spi"]),
         ("protect", 7, "c0ffee02"), "why")
    check(1300 < verdict["sas"][0]["mtu"] < 1470, f"MTU {verdict['sas'][0]['mtu']}")
    counters = json.loads(moat("show", "counters", "--json"))["counters"]
    same((counters["out_packets"] >= 20, counters["in_packets"] >= 20), (True, True),
         f"counters {counters}")


def names_of_algorithms(nl):
    """What `sa add` is told, the list shows again: each cipher, each integrity."""
    names = ("aes128gcm8 aes192gcm12 aes256gcm16 aes128ccm8 aes192ccm12 aes256ccm16 aes128gmac "
             "aes256gmac chacha20poly1305 aes128-md5 aes192-sha1 aes256-sha256 null-sha256 "
             "null-sha256_96 aes256ctr-sha384 aes128ctr-sha512 3des-aesxcbc "
             "aes192ctr-aescmac").split()
    for number, name in enumerate(names):
        keys = b"".join(moatnl.ALGORITHMS[name].keys())
        moat(*f"sa add in esp spi {0x2000 + number} src 192.0.2.2 dst 192.0.2.1 alg {name} "
             "key - seq 7".split(), stdin=keys.hex())
    sas = {s["spi"]: s for s in json.loads(moat("sa", "list", "--json"))["sas"]}
    same([(sas[f"{0x2000 + n:08x}"]["proposal"], sas[f"{0x2000 + n:08x}"]["seq"])
          for n in range(len(names))], [(name, 7) for name in names], "proposals and numbers")
    nl.flush()


def late_packets(nl):
    """The histogram of late packets, as text and JSON."""
    keys = moatnl.ALGORITHMS["null-sha256"].keys()
    nl.request("sa-add", {"sa": moatnl.sa(IN, 0x2000, "192.0.2.2", "192.0.2.1", "null-sha256",
                                          keys)})
    codec = espcodec.Codec("null-sha256", keys)
    with netns.inside("gw-b"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
    with sock:
        for seq in (1000, 995, 995, 1000, 900):
            sock.sendto(codec.seal(0x2000, seq, b"", 59), ("192.0.2.1", 0))
        wait_for("five drops", lambda: sum(nl.sa_of(0x2000)["drop"].values()) == 5)
    sa = json.loads(moat("sa", "list", "--json"))["sas"][0]
    same([tuple(row.values()) for row in sa["late"]],
         [(0, 0, 0, 1), (4, 1, 0, 1), (64, 0, 1, 0)], "from, accepted, refused, duplicate")
    text = moat("sa", "list")
    check("late by 4-7: accepted 1 refused 0 duplicate 1" in text, f"the list says {text}")
    nl.flush()


def command_refuses(nl):
    """Mistakes of the command line: exit status, and a sentence with the place."""
    for expected, words, stdin, sentence in (
            (2, "sa add in esp spi 255", None, "spi 255: expected 0x100"),
            (2, "sa add in esp spi 0x1000 src 192.0.2.2 dst 192.0.2.1 alg aes128gcm16 "
                "key 00112233", None, "process list"),
            (2, "sa add out esp spi 0x1000 src 192.0.2.1 dst 192.0.2.2 alg aes128gcm16 "
                "key -", "", "policy is missing"),
            (1, "sa add in esp spi 0x1000 src 192.0.2.2 dst 192.0.2.1 alg aes256-sha256 "
                "key -", "0011", "2 bytes; aes256-sha256 wants 64 (32 for the cipher"),
            (1, "sa add in esp spi 0x1000 src 192.0.2.2 dst 192.0.2.1 alg aes128gcm16 "
                "key -", "xyz", "expected hexadecimal"),
            (1, "sa add in esp spi 0x1000 src 192.0.2.2 dst 192.0.2.1 alg aes128gcm16 "
                "key @/etc/passwd", None, "others can read it"),
            (2, "sa add in esp spi 0x1000 src 192.0.2.2 dst 192.0.2.1 alg rot13 key -", "",
             "rot13"),
            (2, "policy add id 7 local 10.1.0.1/24", None, "bits behind the prefix"),
            (2, "policy add id 7 local 10.1.0.0/24 remote fd00::/64 action discard", None,
             "both be IPv4 or both IPv6"),
            (2, "s list", None, "moat s: is that "),
            (2, "frobnicate", None, "no command frobnicate")):
        said = moat(*words.split(), stdin=stdin, expected=expected)
        check(sentence in said, f"moat {words} said {said!r}, expected {sentence!r}")
    for words in ([""], ["show", ""]):
        said = moat(*words, expected=2)
        check("the command is an empty word" in said, f"moat {words} said {said!r}")
    same((len(nl.sas()), len(nl.policies())), (0, 0), "what is left")


def version(_nl):
    """The module that is loaded says which one it is, and it is of this tree."""
    with open("/sys/module/moat/version", encoding="ascii") as file:
        module = file.read().strip()
    text = moat("version").split("\n")
    same(text[:2], [f"moat {module}", f"module {module}"], "moat version")
    said = json.loads(moat("version", "--json"))
    same((said["version"], said["module"]), (module, module), "moat version --json")


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    nl = gateways.connect("gw-a")
    rows = [("aes128gcm16", *f) for f in FAMILIES]
    rows += [(name, 4, 4) for name in gateways.XFRM if name != "aes128gcm16"]
    for algorithm, inner, outer in rows:
        results.run(f"{algorithm}, {inner} in {outer}, with XFRM", meets_xfrm, nl, algorithm,
                    inner, outer)
    results.run("by command", by_command, nl)
    results.run("names of algorithms", names_of_algorithms, nl)
    results.run("late packets are shown", late_packets, nl)
    results.run("mistakes of the command line", command_refuses, nl)
    results.run("versions of command and module", version, nl)
    nl.close()
    results.run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
