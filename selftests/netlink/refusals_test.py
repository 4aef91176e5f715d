#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The netlink contract: each refusal, in which words, and that nothing changes."""
import errno
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import contract
import moatnl
import netns
from contract import (CBC, EEXIST, EINVAL, ENOENT, ERANGE, GCM, KEY16, KEY20, KEY32, OURS,
                      PEERS, inbound, outbound, protect, refused, selector)
from ktap import Results, check, same
from moatnl import IN, OUT, Refused, attr, attributes

UNKNOWN = attr(60, b"\0\0\0\0")


def raw_sa(values, tail):
    """A request of one SA with raw attributes behind the good ones."""
    return attr(1 | moatnl.NLA_F_NESTED, attributes("sa", values) + tail)


def raw_policy(values, tail):
    return attr(2 | moatnl.NLA_F_NESTED, attributes("policy", values) + tail)


def sa_refusals():
    """(name, request of sa-add, error, sentence)"""
    def one(name, code, sentence, algorithm=GCM, **more):
        return name, {"sa": inbound(algorithm=algorithm, **more)}, code, sentence

    missing = "attribute {} is missing".format
    yield "nothing at all", {}, EINVAL, missing("sa")
    for name in ("spi", "dst", "src", "enc", "replay"):
        yield one(f"no {name}", EINVAL, missing(f"sa.{name}"), **{name: None})
    for spi in (0, 1, 255):
        yield one(f"SPI {spi}", EINVAL,
                  f"SPI {spi:#x}: 0x0 to 0xff are reserved (RFC 4303 2.1)", spi=spi)
    yield one("direction 0", EINVAL, "sa.direction is 0, not one of 1 to 2", direction=0)
    yield one("direction 3", EINVAL, "sa.direction is 3, not one of 1 to 2", direction=3)
    yield one("direction out", EINVAL,
              "sa-add takes inbound SAs; policy-switch takes outbound ones", direction=OUT)
    yield one("GRE", errno.EPROTONOSUPPORT, "sa.protocol 47 is neither ESP (50) nor AH (51)",
              protocol=47)
    yield one("transport mode of other ends", EINVAL,
              "transport mode: SPI 0x00002000 has other ends than its selector", mode=2,
              selector=selector())
    yield from chain_refusals(one)
    yield one("mode 3", EINVAL, "sa.mode is 3, not one of 1 to 2", mode=3)
    yield one("short source", EINVAL, "sa.src has 3 bytes; an address has 4 or 16",
              src=b"abc")
    yield one("empty destination", EINVAL, "sa.dst has 0 bytes; an address has 4 or 16",
              dst=b"")
    for name, end, value in (("unspecified", "dst", "0.0.0.0"), ("unspecified", "src", "::"),
                             ("multicast", "dst", "224.0.0.5"),
                             ("multicast", "dst", "ff02::5"),
                             ("broadcast", "dst", "255.255.255.255")):
        yield one(f"{name} {end} {value}", EINVAL,
                  f"sa.{end} is unspecified, multicast or broadcast: no host has it",
                  **{end: value})
    yield one("mixed families", EINVAL, "sa.src and sa.dst are of different families",
              src="2001:db8::2")
    for length in (0, 15, 16, 19, 21, 32, 37):
        yield one(f"aes-gcm key of {length}", EINVAL,
                  f"aes-gcm wants a key of 20, 28 or 36 bytes with its salt, not {length}",
                  enc_key=bytes(length))
    yield one("no key", EINVAL,
              "aes-gcm wants a key of 20, 28 or 36 bytes with its salt, not 0", enc_key=None)
    yield one("aes-gcm and auth", EINVAL,
              "aes-gcm has its own integrity: auth must be none, not 3", auth=3)
    yield one("aes-gcm and auth key", EINVAL,
              "aes-gcm has one key, but an auth-key of 20 bytes is given", auth_key=KEY20)
    yield one("aes-gcm ICV of 4", EINVAL, "aes-gcm has an ICV of 16, 12 or 8 bytes, not 4",
              icv_len=4)
    yield one("aes-cbc key of 20", EINVAL,
              "aes-cbc wants a key of 16, 24 or 32 bytes, not 20", CBC, enc_key=KEY20)
    yield one("no integrity", EINVAL,
              "aes-cbc needs an auth: ESP without integrity is refused", CBC, auth=0,
              auth_key=None)
    yield one("NULL without integrity", EINVAL,
              "null needs an auth: ESP without integrity is refused",
              ("null-sha1", (b"", KEY20)), auth=0, auth_key=None)
    yield one("NULL with a key", EINVAL,
              "null takes no key, but one of 16 bytes is given",
              ("null-sha1", (b"", KEY20)), enc_key=KEY16)
    for name, lengths in (("aes-ctr", "20, 28 or 36"), ("aes-gcm", "20, 28 or 36"),
                          ("aes-ccm", "19, 27 or 35"), ("aes-gmac", "20, 28 or 36"),
                          ("chacha20-poly1305", "36"), ("3des-cbc", "24")):
        salt = "" if name == "3des-cbc" else " with its salt"
        combined = moatnl.ENC[name] >= moatnl.ENC["aes-gcm"]
        yield one(f"{name} key of 21", EINVAL,
                  f"{name} wants a key of {lengths} bytes{salt}, not 21",
                  GCM if combined else CBC, enc=moatnl.ENC[name], enc_key=bytes(21))
    for name, icvs in (("aes-ccm", "16, 12 or 8"), ("aes-gmac", "16"),
                       ("chacha20-poly1305", "16")):
        length = {"aes-ccm": 19, "aes-gmac": 20}.get(name, 36)
        yield one(f"{name} ICV of 10", EINVAL, f"{name} has an ICV of {icvs} bytes, not 10",
                  GCM, enc=moatnl.ENC[name], enc_key=bytes(length), icv_len=10)
    for auth, name, length in ((1, "hmac-md5", 16), (2, "hmac-sha1", 20), (4, "hmac-sha384", 48),
                               (5, "hmac-sha512", 64), (6, "aes-xcbc", 16), (7, "aes-cmac", 16)):
        yield one(f"{name} ICV of 10", EINVAL, f"{name} has an ICV of "
                  f"{ {48: 24, 64: 32}.get(length, 12) } bytes, not 10", CBC, auth=auth,
                  auth_key=bytes(length), icv_len=10)
    yield one("3des-cbc with two equal keys", EINVAL,
              "the crypto API calls this 3des-cbc key wrong or weak (error -22)",
              CBC, enc=moatnl.ENC["3des-cbc"], enc_key=bytes(range(8)) * 2 + bytes(8))
    for auth, name, length in ((1, "hmac-md5", 16), (2, "hmac-sha1", 20),
                               (3, "hmac-sha256", 32), (4, "hmac-sha384", 48),
                               (5, "hmac-sha512", 64), (6, "aes-xcbc", 16),
                               (7, "aes-cmac", 16)):
        yield one(f"{name} key one short", EINVAL,
                  f"{name} wants a key of {length} bytes, not {length - 1}", CBC, auth=auth,
                  auth_key=bytes(length - 1), icv_len=None)
    yield one("hmac-sha256 ICV of 20", EINVAL,
              "hmac-sha256 has an ICV of 16 or 12 bytes, not 20", CBC, icv_len=20)
    yield one("enc 0", EINVAL, "enc 0 is no cipher of ESP", enc=0)
    yield one("enc 999", EINVAL, "enc 999 is no cipher of ESP", enc=999)
    yield one("auth 999", EINVAL, "auth 999 is no integrity algorithm of ESP", CBC, auth=999)
    yield one("auth of AH", EINVAL, "auth 8 is no integrity algorithm of ESP", CBC, auth=8)
    yield one("window of 65537", EINVAL, "replay window of 65537 packets is above 65536",
              replay=65537)
    yield one("last number of 32 bits", EINVAL, "sa.seq of 4294967295 leaves none of 32 bits",
              seq=0xffffffff)
    yield one("last number of 64 bits", EINVAL,
              "sa.seq of 18446744073709551615 leaves none of 64 bits", seq=(1 << 64) - 1,
              esn=True)
    yield one("policy that is none", ENOENT, "policy 4711 does not exist", policy=4711)
    yield one("one UDP port", EINVAL,
              "UDP encapsulation needs both its ports, and none is 0", encap_sport=4500)
    yield one("UDP port 0", EINVAL, "UDP encapsulation needs both its ports, and none is 0",
              encap_sport=4500, encap_dport=0)
    for unit in ("seconds", "bytes", "packets"):
        yield one(f"limit of 0 {unit}", EINVAL,
                  f"a limit of 0 {unit}: leave it out for none", **{f"hard_{unit}": 0})
        yield one(f"soft above hard, {unit}", EINVAL,
                  f"soft limit of 9 {unit} is above the hard one of 8",
                  **{f"soft_{unit}": 9, f"hard_{unit}": 8})
    yield from selector_refusals(one)
    yield one("selector beyond the policy's", EINVAL,
              "selector of SPI 0x00002000 is not inside that of policy 1", policy=1,
              selector=moatnl.selector("10.1.0.0/16", "10.2.0.0/24"))
    yield from shape_refusals(one)


def chain_refusals(one):
    """AH, and bundles of AH over ESP."""
    ah = ("ah-sha256", (b"", KEY32))
    yield one("AH that encrypts", EINVAL, "AH encrypts nothing: enc must be none, not 5", ah,
              enc=5)
    yield one("AH with a cipher's key", EINVAL,
              "AH takes no enc-key, but one of 16 bytes is given", ah, enc_key=KEY16)
    yield one("AH without auth", EINVAL, "auth 0 is no integrity algorithm of AH", ah, auth=0)
    yield one("auth 999 of AH", EINVAL, "auth 999 is no integrity algorithm of AH", ah, auth=999)
    yield one("AH key one short", EINVAL, "hmac-sha256 wants a key of 32 bytes, not 31", ah,
              auth_key=KEY32[1:])
    for length in (0, 16, 19, 21, 37):
        yield one(f"AH with aes-gmac, key of {length}", EINVAL,
                  f"aes-gmac wants a key of 20, 28 or 36 bytes with its salt, not {length}",
                  ("ah-aes128gmac", (b"", bytes(20))), auth_key=bytes(length))
    yield one("AH with aes-gmac, ICV of 12", EINVAL, "aes-gmac has an ICV of 16 bytes, not 12",
              ("ah-aes128gmac", (b"", bytes(20))), icv_len=12)
    yield one("AH ICV of 20", EINVAL, "hmac-sha256 has an ICV of 16 or 12 bytes, not 20", ah,
              icv_len=20)
    yield one("AH in UDP", EINVAL, "UDP encapsulation is for ESP alone, not AH", ah,
              encap_sport=4500, encap_dport=4500)
    lonely = "bundle 5 wants one AH and one ESP in one request"
    yield one("bundle of one ESP", EINVAL, lonely, bundle=5)
    yield one("bundle of one AH", EINVAL, lonely, ah, bundle=5)

    def two(name, sentence, first=None, second=None):
        return f"bundle, {name}", {"sa": [
            inbound(0x2000, ah, **{"bundle": 5, **(first or {})}),
            inbound(0x2001, **{"bundle": 5, **(second or {})})]}, EINVAL, sentence

    yield two("of two ESP", lonely, {"protocol": 50, "enc": 1, "auth": 3})
    yield two("of other numbers", lonely.replace("5", "6"), {"bundle": 6})
    ends = "SAs of bundle 5 differ in ends, mode or policy"
    yield two("other destination", ends, {"dst": "192.0.2.9"})
    yield two("other source", ends, {"src": "192.0.2.9"})
    yield two("other mode", ends, {"mode": 2})
    yield two("other policy", ends, {"policy": 1})
    differ = "SAs of bundle 5 differ in selector or limits"
    yield two("other limits", differ, {"hard_packets": 7}, {"hard_packets": 8})
    yield two("other selector", differ, {"selector": selector()}, {"selector": selector(
        remote_addr="10.3.0.0")})
    yield two("in UDP", "UDP encapsulation is for ESP alone, not AH", None,
              {"encap_sport": 4500, "encap_dport": 4500})


def selector_refusals(one):
    """Selectors, as an attribute of SAs and of policies."""
    bad = "selector.{}-addr has {}".format
    for side in ("local", "remote"):
        yield one(f"no {side} address", EINVAL,
                  f"attribute selector.{side}-addr is missing",
                  selector=selector(**{f"{side}_addr": None}))
        yield one(f"{side} address of 5 bytes", EINVAL,
                  bad(side, "5 bytes; an address has 4 or 16"),
                  selector=selector(**{f"{side}_addr": b"abcde"}))
        yield one(f"{side} prefix 33", EINVAL,
                  bad(side, "a prefix of 33 bits; its family has 32"),
                  selector=selector(**{f"{side}_prefix": 33}))
        yield one(f"{side} host bits", EINVAL, bad(side, "bits set behind its prefix of 8"),
                  selector=selector(**{f"{side}_prefix": 8}))
        yield one(f"{side} ports backwards", EINVAL, f"{side} ports 9-8 run backwards",
                  selector=selector(protocol=17, **{f"{side}_port_min": 9,
                                                    f"{side}_port_max": 8}))
    yield one("families of a selector", EINVAL,
              "selector mixes an IPv4 with an IPv6 network",
              selector=moatnl.selector("10.1.0.0/24", "fd00::/64"))
    yield one("ports of GRE", EINVAL, "ports are given, but protocol 47 has none",
              selector=selector(protocol=47, local_port_min=1, local_port_max=1))
    yield one("remote ports of ICMP", EINVAL,
              "a type has no remote ports; local is type * 256 + code",
              selector=selector(protocol=1, remote_port_min=8, remote_port_max=8))


def shape_refusals(one):
    """Attributes of the wrong shape, and in places where they do not belong."""
    for name, length in (("spi", 3), ("spi", 8), ("enc", 1), ("mode", 2), ("replay", 2),
                         ("hard-bytes", 4)):
        yield one(f"{name} of {length} bytes", EINVAL,
                  "invalid attribute length", **{name: bytes(length)})
    yield one("key of 129 bytes", ERANGE, "Attribute failed policy validation",
              enc_key=bytes(129))
    yield one("owner of 257 bytes", ERANGE, "Attribute failed policy validation",
              owner=bytes(257))
    yield one("flag with a value", ERANGE, "Attribute failed policy validation", esn=b"\1")
    for name, value in (("state", 1), ("late", b""), ("packets", 1), ("driver", "x"),
                        ("mtu", 1), ("key-bits", 128)):
        yield one(f"{name}, which is read only", EINVAL, "Unsupported attribute",
                  **{name: value})
    good = inbound()
    yield "unknown attribute of an SA", raw_sa(good, UNKNOWN), EINVAL, "Unknown attribute type"
    yield "SPI twice", raw_sa(good, attr(3, struct.pack("=I", 5000))), EINVAL, \
        "attribute 3 of sa is given twice"
    yield "unknown attribute", attributes("main", {"sa": good}) + UNKNOWN, EINVAL, \
        "Unknown attribute type"
    yield "attribute of another request", {"sa": good, "spi-min": 1}, EINVAL, \
        "Unsupported attribute"
    yield "SA without the nested flag", attr(1, attributes("sa", good)), EINVAL, \
        "NLA_F_NESTED is missing"
    yield "attribute longer than its nest", raw_sa(good, struct.pack("=HH", 99, 18)), EINVAL, \
        "bytes leftover after parsing attributes"


def test_sa_add(results, nl):
    """Every refusal of sa-add, beside a policy and an SA that must stay."""
    for name, values, code, sentence in sa_refusals():
        results.run(f"sa-add: {name}", refused, nl, "sa-add", values, code, sentence)
    results.run("sa-add: SPI in use", refused, nl, "sa-add", {"sa": inbound(0x1000)}, EEXIST,
                "SPI 0x00001000 is in use by another SA")
    results.run("sa-add: one good, one bad", refused, nl, "sa-add",
                {"sa": [inbound(0x2000), inbound(0x1000)]}, EEXIST,
                "SPI 0x00001000 is in use by another SA")
    results.run("sa-add: one SPI twice", refused, nl, "sa-add",
                {"sa": [inbound(0x2000), inbound(0x2000)]}, EINVAL,
                "SPI 0x00002000 is given twice")
    results.run("sa-add: nine at once", refused, nl, "sa-add",
                {"sa": [inbound(0x2000 + i) for i in range(9)]}, EINVAL,
                "more than 8 SAs in one request")
    results.run("sa-add: SPI in use by XFRM", spi_of_xfrm, nl)


def spi_of_xfrm(nl):
    """An SPI that XFRM has for our address is refused, and not handed out."""
    netns.ip(f"xfrm state add src {PEERS} dst {OURS} proto esp spi 0x5000 mode tunnel "
             f"aead rfc4106(gcm(aes)) 0x{KEY20.hex()} 128")
    try:
        refused(nl, "sa-add", {"sa": inbound(0x5000)}, EEXIST,
                "SPI 0x00005000 is in use by XFRM")
        refused(nl, "spi-alloc", {"sa": {"protocol": 50, "dst": OURS}, "spi-min": 0x5000,
                                  "spi-max": 0x5000}, errno.ENOSPC,
                "no free SPI found between 0x5000 and 0x5000")
    finally:
        netns.ip("xfrm state flush")


def test_sa_others(results, nl):
    """sa-get, sa-del, sa-set, spi-alloc."""
    run = results.run
    name = {"direction": IN, "protocol": 50, "spi": 0x7777, "dst": OURS}
    for command in ("sa-get", "sa-del", "sa-set"):
        run(f"{command}: no such SA", refused, nl, command, {"sa": name}, ENOENT,
            "no inbound SA with SPI 0x00007777 and this destination")
        run(f"{command}: other direction", refused, nl, command,
            {"sa": {**name, "spi": 0x1000, "direction": OUT}}, ENOENT,
            "no outbound SA with SPI 0x00001000 and this destination")
        run(f"{command}: other destination", refused, nl, command,
            {"sa": {**name, "spi": 0x1000, "dst": "192.0.2.9"}}, ENOENT,
            "no inbound SA with SPI 0x00001000 and this destination")
        run(f"{command}: nothing", refused, nl, command, {}, EINVAL,
            "attribute sa is missing")
        for key in ("direction", "spi", "dst"):
            run(f"{command}: no {key}", refused, nl, command, {"sa": {**name, key: None}},
                EINVAL, f"attribute sa.{key} is missing")
        run(f"{command}: with a key", refused, nl, command,
            {"sa": {**name, "enc-key": KEY16}}, EINVAL, "Unsupported attribute")
    run("sa-set: owner too long", refused, nl, "sa-set",
        {"sa": {**name, "spi": 0x1000, "owner": bytes(257)}}, ERANGE,
        "Attribute failed policy validation")
    spi = nl.request("spi-alloc", {"sa": {"protocol": 50, "dst": OURS}})[0]["sa"][0]["spi"]
    run("sa-set: reserved", refused, nl, "sa-set", {"sa": {**name, "spi": spi}}, EINVAL,
        "a reserved SPI has no owner")
    nl.request("sa-del", {"sa": {**name, "spi": spi}})
    ask = {"protocol": 50, "dst": OURS}
    for what, values, sentence in (
            ("nothing", {}, "attribute sa is missing"),
            ("no destination", {"sa": {"protocol": 50}}, "attribute sa.dst is missing"),
            ("reserved range", {"sa": ask, "spi-min": 255, "spi-max": 0x1000},
             "spi-min 0xff: up to 0xff is reserved"),
            ("backwards", {"sa": ask, "spi-min": 0x2000, "spi-max": 0x1000},
             "spi-min 0x2000 is above spi-max 0x1000"),
            ("outbound", {"sa": {**ask, "direction": OUT}},
             "SPIs of outbound SAs are chosen by the peer")):
        run(f"spi-alloc: {what}", refused, nl, "spi-alloc", values, EINVAL, sentence)


def test_policies(results, nl):
    """policy-add, -set, -switch, -get, -del."""
    run = results.run

    def add(name, code, sentence, **more):
        run(f"policy-add: {name}", refused, nl, "policy-add", {"policy": protect(**more)},
            code, sentence)

    missing = "attribute {} is missing".format
    run("policy-add: nothing", refused, nl, "policy-add", {}, EINVAL, missing("policy"))
    add("id exists", EEXIST, "policy 1 exists already", id=1)
    add("id 0", EINVAL, "policy.id is 0, which stands for none", id=0)
    both = "a policy that protects needs both its endpoints"
    add("no endpoints", EINVAL, both, local=None, remote=None)
    add("one endpoint", EINVAL, missing("policy.remote"), remote=None)
    add("mixed endpoints", EINVAL,
        "policy.local and policy.remote are of different families", local="2001:db8::1")
    add("endpoints of a bypass", EINVAL, "endpoints are of policies that protect only",
        action=moatnl.BYPASS)
    add("no id", EINVAL, missing("policy.id"), id=None)
    add("no selector", EINVAL, missing("selector"), selector=None)
    add("action 4", EINVAL, "policy.action is 4, not one of 1 to 3", action=4)
    add("mode 0", EINVAL, "policy.mode is 0, not one of 1 to 2", mode=0)
    add("dscp 64", EINVAL, "policy.dscp is 64, not one of 0 to 63", dscp=64)
    add("df 3", EINVAL, "policy.df is 3, not one of 0 to 2", df=3)
    add("mtu 575", EINVAL, "policy.mtu of 575 bytes: the least is 576", mtu=575)
    add("mtu 1279 of IPv6", EINVAL, "policy.mtu of 1279 bytes: the least is 1280", mtu=1279,
        selector=moatnl.selector("fd00:1::/64", "fd00:2::/64"))
    add("mss 87", EINVAL, "policy.mss of 87 bytes: the least is 88", mss=87)
    add("tfc 0", EINVAL, "policy.tfc of 0 bytes: the least is 1", tfc=0)
    add("a mark beyond its mask", EINVAL, "no packet has mark 0x5 in the bits 0x2",
        mark=5, mark_mask=2)
    add("an empty mask", EINVAL, "no packet has mark 0x0 in the bits 0x0", mark=0, mark_mask=0)
    add("a mask without a mark", EINVAL, missing("policy.mark"), mark_mask=2)
    add("shadowed, which is read only", EINVAL, "Unsupported attribute", shadowed=1)
    add("dscp of a bypass", EINVAL,
        "dscp, df, mtu, mss, tfc, secpath: of policies that protect only",
        action=moatnl.BYPASS, dscp=1)
    add("transport mode between networks", EINVAL,
        "policy 7 of transport mode: selector and endpoints differ", mode=2)
    for name, values, code, sentence in selector_refusals(
            lambda name, code, sentence, selector: (name, protect(selector=selector), code,
                                                    sentence)):
        run(f"policy-add: {name}", refused, nl, "policy-add", {"policy": values}, code,
            sentence)
    run("policy-add: unknown attribute", refused, nl, "policy-add",
        raw_policy(protect(), UNKNOWN), EINVAL, "Unknown attribute type")
    run("policy-add: id twice", refused, nl, "policy-add",
        raw_policy(protect(), attr(1, struct.pack("=I", 9))), EINVAL,
        "attribute 1 of policy is given twice")
    for name, value in (("spi", 0x1000), ("held", 1), ("packets", 1), ("implicit", "x")):
        add(f"{name}, which is read only", EINVAL, "Unsupported attribute", **{name: value})
    for command in ("policy-get", "policy-del", "policy-set"):
        run(f"{command}: no such policy", refused, nl, command, {"policy": {"id": 4711}},
            ENOENT, "policy 4711 does not exist")
        run(f"{command}: nothing", refused, nl, command, {}, EINVAL, missing("policy"))
        run(f"{command}: no id", refused, nl, command, {"policy": {}}, EINVAL,
            missing("policy.id"))
    run("policy-set: priority", refused, nl, "policy-set",
        {"policy": {"id": 1, "priority": 5}}, EINVAL, "Unsupported attribute")
    test_switch(results, nl)


def test_switch(results, nl):
    """policy-switch, on policy 1 of the preparation."""
    def switch(name, values, code, sentence):
        results.run(f"policy-switch: {name}", refused, nl, "policy-switch", values, code,
                    sentence)

    one = {"id": 1}
    switch("no policy", {"sa": outbound()}, EINVAL, "attribute policy is missing")
    switch("no SA", {"policy": one}, EINVAL, "attribute sa is missing")
    switch("no such policy", {"policy": {"id": 4711}, "sa": outbound()}, ENOENT,
           "policy 4711 does not exist")
    switch("inbound SA", {"policy": one, "sa": inbound()}, EINVAL,
           "policy-switch takes outbound SAs; sa-add takes inbound ones")
    switch("window", {"policy": one, "sa": outbound(replay=64)}, EINVAL,
           "sa.replay is of inbound SAs only")
    switch("SPI in use", {"policy": one, "sa": outbound(0x1001)}, EEXIST,
           "SPI 0x00001001 is in use by another SA")
    switch("bad key", {"policy": one, "sa": outbound(enc_key=KEY16)}, EINVAL,
           "aes-gcm wants a key of 20, 28 or 36 bytes with its salt, not 16")
    switch("transport mode", {"policy": one, "sa": outbound(mode=2)}, EINVAL,
           "SPI 0x00003000 and policy 1 differ in their mode")
    switch("two SAs", {"policy": one, "sa": [outbound(), outbound(0x3001)]}, EINVAL,
           "policy-switch takes one SA, or one bundle")
    switch("SA of another policy", {"policy": one, "sa": outbound(policy=2)}, EINVAL,
           "SPI 0x00003000 is of policy 2, not 1")
    switch("other endpoints", {"policy": one, "sa": outbound(dst="192.0.2.9")}, EINVAL,
           "sa.src and sa.dst are not the endpoints of policy 1")
    switch("selector too wide", {"policy": one, "sa": outbound(
        selector=moatnl.selector("10.0.0.0/8", "10.2.0.0/24"))}, EINVAL,
        "selector of SPI 0x00003000 is not inside that of policy 1")
    switch("of a bypass", {"policy": {"id": 2}, "sa": outbound()}, EINVAL,
           "policy 2 does not protect: it can have no SA")


def test_flow(results, nl):
    run = results.run
    good = {"src": "10.1.0.2", "dst": "10.2.0.2"}
    run("flow-get: nothing", refused, nl, "flow-get", {}, EINVAL, "attribute flow is missing")
    for name in ("src", "dst"):
        run(f"flow-get: no {name}", refused, nl, "flow-get", {"flow": {**good, name: None}},
            EINVAL, f"attribute flow.{name} is missing")
    run("flow-get: type 256", refused, nl, "flow-get",
        {"flow": {**good, "protocol": 1, "sport": 256}}, EINVAL,
        "type 256, code 0: neither is above 255")
    run("flow-get: mixed families", refused, nl, "flow-get",
        {"flow": {**good, "dst": "fd00::1"}}, EINVAL,
        "flow.src and flow.dst are of different families")
    for command in ("sa-flush", "policy-flush", "stats-get"):
        run(f"{command}: with attributes", refused, nl, command, {"sa": inbound()}, EINVAL,
            "Unsupported attribute")
    run("command 0", lambda: unknown_command(nl, 0))
    run("command 99", lambda: unknown_command(nl, 99))


def unknown_command(nl, number):
    try:
        nl.raw(nl.family, number, b"")
    except Refused as refusal:
        same(refusal.code, errno.EOPNOTSUPP, "error")
    else:
        check(False, "accepted")


def main():
    results = Results()
    nl = contract.begin()
    test_sa_add(results, nl)
    test_sa_others(results, nl)
    test_policies(results, nl)
    test_flow(results, nl)
    contract.end(results, nl)


main()
