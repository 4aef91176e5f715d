#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP, AH, and AH over ESP, tunnel and transport mode: UDP and TCP against XFRM at gw-b."""
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import chains
import gateways
import netns
from ktap import Results, same, wait_for

TUNNELS = [(4, 4), (6, 4), (4, 6), (6, 6)]
SIZES = [0, 1, 64, 1300]
# around the path MTU, and what has to be fragmented; of tunnels mtu_test knows
LARGE = [*range(1370, 1400, 5), 1432, 1472, 3000, 8000]


def xfrm_packets(ns, spi):
    for block in netns.run("ip", "-n", ns, "-s", "xfrm", "state").split("\nsrc "):
        if f"spi {spi:#010x}" in block:
            return int(block.split("lifetime current:")[1].split()[1].split("(")[0])
    raise AssertionError(f"no XFRM state {spi:#x}")


def counts(nl, chain):
    """Packets of each layer, outbound and inbound: of Moat, and of XFRM."""
    spis = [spi for _, *both in chain.layers for spi in reversed(both)]
    return ([nl.sa_of(spi)["packets"] for spi in spis], [xfrm_packets("gw-b", s) for s in spis])


def exchange(nl, chain, ends):
    sizes = SIZES + (LARGE if chain.mode == "transport" else [])
    gateways.udp_exchange(chain.inner, sizes=sizes, ends=ends)
    data = os.urandom(100000)
    gateways.tcp(chain.inner, data, ends=ends)
    gateways.tcp(chain.inner, data, back=True, port=5002, ends=ends)

    def agreed():
        ours, theirs = counts(nl, chain)
        return ours == theirs and min(ours) > len(SIZES)
    wait_for(f"equal counters on both sides, not {counts(nl, chain)}", agreed, 5)
    for sa in nl.sas():
        drops = sa.get("drop", {})
        drops.pop("out_mtu", None)      # how TCP learns the path MTU
        same(drops, {}, f"drops of {sa['spi']:#x}")


def meets_xfrm(nl, chain):
    """Datagrams of many sizes and TCP, both ways."""
    ends = gateways.GATEWAYS if chain.mode == "transport" else gateways.HOSTS
    try:
        chain.install(nl)
        chain.xfrm("gw-b")
        exchange(nl, chain, ends)
    except OSError as error:
        drops = {hex(sa["spi"]): sa.get("drop") for sa in nl.sas()}
        raise AssertionError(f"{error}; drops {drops}") from error
    finally:
        nl.flush()
        gateways.xfrm_flush("gw-b")


def key_file(folder, name, keys):
    path = pathlib.Path(folder) / name
    path.write_text(b"".join(keys).hex())
    path.chmod(0o600)
    return f"@{path}"


def by_command(nl):
    """A bundle by `moat sa add ... over esp`, with XFRM."""
    chain = chains.Chain("ah+esp", "transport", 4, 4)
    (_, *esp), (_, *ah) = chain.layers
    moat = ["ip", "netns", "exec", "gw-a", netns.shell("moat_build").strip() + "/moat"]
    ours, peers = gateways.OURS[4], gateways.PEERS[4]
    try:
        chain.xfrm("gw-b")
        netns.run(*moat, *f"policy add id 7 local {ours}/32 remote {peers}/32 action protect "
                  f"endpoints {ours} {peers} mode transport".split())
        with tempfile.TemporaryDirectory() as folder:
            for i, (direction, src, dst) in enumerate((("in", peers, ours),
                                                       ("out", ours, peers))):
                outer = key_file(folder, "ah", chain.keys[1][i])
                inner = key_file(folder, "esp", chain.keys[0][i])
                netns.run(*moat, *f"sa add {direction} ah spi {ah[i]:#x} src {src} dst {dst} "
                          f"alg sha256 key {outer} policy 7 mode transport hard-packets 1000 "
                          f"over esp spi {esp[i]:#x} alg aes128gcm16 key {inner}".split())
        gateways.udp_exchange(4, 3, ends=gateways.GATEWAYS)
        same({(sa["packets"], sa["bundle"]) for sa in nl.sas()}, {(3, esp[0]), (3, esp[1])},
             "packets and bundles of all SAs")
        netns.run(*moat, *f"sa del in ah spi {ah[0]:#x} dst {ours}".split())
        same(len(nl.sas()), 2, "SAs once half a bundle was deleted")
    finally:
        nl.flush()
        gateways.xfrm_flush("gw-b")


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    nl = gateways.connect("gw-a")
    for kind in ("esp", "ah", "ah+esp"):
        for mode, families in (("transport", [(4, 4), (6, 6)]), ("tunnel", TUNNELS)):
            if (kind, mode) == ("esp", "tunnel"):
                continue                # manual_test
            for inner, outer in families:
                if (kind, mode) == ("ah+esp", "tunnel") and inner != outer:
                    continue            # XFRM takes none; packet/chain_test has them
                results.run(f"{kind}, {mode}, {inner} in {outer}", meets_xfrm, nl,
                            chains.Chain(kind, mode, inner, outer))
    results.run("ah+esp by command", by_command, nl)
    nl.close()
    results.run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
