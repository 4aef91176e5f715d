# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP, AH, and AH over ESP, in tunnel and transport mode: Moat's half and XFRM's."""
import moatnl
import netns
from gateways import LOCAL, OURS, PEERS, REMOTE, xfrm_algorithm

MODES = {"tunnel": moatnl.TUNNEL, "transport": moatnl.TRANSPORT}
XFRM_AH = {"ah-sha1": ("hmac(sha1)", 96), "ah-sha256": ("hmac(sha256)", 128),
           "ah-sha384": ("hmac(sha384)", 192), "ah-sha512": ("hmac(sha512)", 256)}
NUMBER = 7                              # of the policy


class Chain:
    """Layers from the inside out, as pairs (algorithm, SPI); keys of both directions.

    `side_b` is the same seen from gw-b.
    """

    def __init__(self, kind, mode, inner, outer, esp="aes128gcm16", ah="ah-sha256", esn=False):
        self.mode, self.inner, self.outer, self.esn = mode, inner, outer, esn
        names = {"esp": [esp], "ah": [ah], "ah+esp": [esp, ah]}[kind]
        self.layers = [(name, 0xa0000001 + i, 0xb0000001 + i) for i, name in enumerate(names)]
        self.keys = [(moatnl.ALGORITHMS[n].keys(), moatnl.ALGORITHMS[n].keys()) for n in names]
        self.nets = (LOCAL[inner], REMOTE[inner])
        if mode == "transport":
            self.nets = (f"{OURS[outer]}/{32 if outer == 4 else 128}",
                         f"{PEERS[outer]}/{32 if outer == 4 else 128}")

    def sas(self, direction, **more):
        """Attributes of all SAs of one direction of gw-a, AH first."""
        ours, peers = OURS[self.outer], PEERS[self.outer]
        ends = (peers, ours) if direction == moatnl.IN else (ours, peers)
        which = 0 if direction == moatnl.IN else 1
        out = []
        for (name, *spis), keys in zip(self.layers, self.keys):
            out.insert(0, moatnl.sa(
                direction, spis[which], *ends, name, keys[which], policy=NUMBER,
                mode=MODES[self.mode], bundle=5 if len(self.layers) > 1 else None,
                esn=self.esn or None, **more))
        return out

    def policy(self, **more):
        return {**moatnl.policy(NUMBER, *self.nets, OURS[self.outer], PEERS[self.outer],
                                mode=MODES[self.mode]), **more}

    def install(self, nl, protocol=None):
        """Policy and SAs at gw-a, in Moat."""
        policy = self.policy()
        if protocol is not None:
            policy["selector"]["protocol"] = protocol
        nl.request("policy-add", {"policy": policy})
        nl.request("sa-add", {"sa": self.sas(moatnl.IN)})
        nl.request("policy-switch", {"policy": {"id": NUMBER}, "sa": self.sas(moatnl.OUT)})

    def xfrm(self, ns, protocol=None):
        """The peer's half at gw-b, in XFRM."""
        ours, peers = OURS[self.outer], PEERS[self.outer]
        lines, templates = [], {"in": "", "out": ""}
        for (name, spi_in, spi_out), (key_in, key_out) in zip(self.layers, self.keys):
            # around ESP, AH sees the outer header that is there already
            mode = "transport" if templates["in"] else self.mode
            for where, ends, spi, key in (("out", f"src {peers} dst {ours}", spi_in, key_in),
                                          ("in", f"src {ours} dst {peers}", spi_out, key_out)):
                protocol_name, algorithm = xfrm_layer(name, key)
                templates[where] += f" tmpl {ends} proto {protocol_name} mode {mode}"
                lines.append(
                    f"xfrm state add {ends} proto {protocol_name} spi {spi:#x} mode {mode} "
                    f"{flags(mode, self.outer, self.esn)} replay-window 1024 {algorithm}")
        upper = f"proto {protocol}" if protocol is not None else ""
        local, remote = self.nets
        lines += [f"xfrm policy add src {remote} dst {local} {upper} dir out{templates['out']}",
                  *(f"xfrm policy add src {local} dst {remote} {upper} dir {d}{templates['in']}"
                    for d in ("in", "fwd"))]
        netns.ip(*lines, ns=ns)


def flags(mode, outer, esn):
    """What XFRM has to be told: AH of multiples of 4 over IPv4; any inner family."""
    words = [word for word, wanted in (("align4", outer == 4), ("af-unspec", mode == "tunnel"),
                                       ("esn", esn)) if wanted]
    return "flag " + " ".join(words) if words else ""


def xfrm_layer(name, key):
    """Protocol and algorithm in XFRM's words."""
    if name not in XFRM_AH:
        return "esp", xfrm_algorithm(name, key)
    hmac, bits = XFRM_AH[name]
    return "ah", f"auth-trunc {hmac} 0x{key[1].hex()} {bits}"
