# SPDX-License-Identifier: GPL-2.0-or-later
"""Both data planes with manual keys and no IKE: moat.ko and XFRM.

The same verbs as in peers.py, of which load() installs. A failure of a row
with IKE that stands here as well is one of the packets, not of the keying.
"""

import hashlib
import json
import os

import network
import rows
from network import run
from peers import BUILD, Daemon, Moat, Sa, XfrmDaemon, write

# by the gateway that sends
SPI = {"gw-a": 0xc0ffee02, "gw-b": 0xc0ffee01}
# octets of cipher key with salt, of integrity key
KEYS = {rows.GCM: (20, 0), rows.CBC: (16, 32)}


class _Manual(Daemon):
    """No daemon; keys that both ends can compute."""

    def start(self):
        """Nothing runs."""

    def said(self, lines=25):
        """There is no log."""
        return ""

    def keymat(self, sender, row):
        """Hex of cipher key and of integrity key of the sender's SA."""
        enc, auth = KEYS[row.esp]
        text = hashlib.sha512(f"{self.psk} {sender}".encode()).hexdigest()
        return text[:2 * enc], text[2 * enc:2 * (enc + auth)]

    def initiate(self):
        """load() did."""

    def terminate(self):
        """unload() does."""

    def directions(self):
        """(direction, sender, source, destination) of both SAs."""
        return (("in", network.other(self.ns), self.remote, self.local),
                ("out", self.ns, self.local, self.remote))


class ManualXfrm(_Manual, XfrmDaemon):
    """The kernel's XFRM with `ip xfrm`."""

    name = "xfrm"

    def load(self, row):
        """SAs and policies."""
        self.row = row
        for _, sender, src, dst in self.directions():
            enc, auth = self.keymat(sender, row)
            alg = (("aead", "rfc4106(gcm(aes))", f"0x{enc}", "128")
                   if row.esp == rows.GCM else
                   ("enc", "cbc(aes)", f"0x{enc}",
                    "auth-trunc", "hmac(sha256)", f"0x{auth}", "128"))
            run("ip", "xfrm", "state", "add", "src", src, "dst", dst,
                "proto", "esp", "spi", f"{SPI[sender]:#x}", "mode", "tunnel",
                "reqid", "1", "replay-window", "1024", *alg, ns=self.ns)
        for way, here, there, src, dst in (
                ("out", self.local_net, self.remote_net,
                 self.local, self.remote),
                ("in", self.remote_net, self.local_net,
                 self.remote, self.local),
                ("fwd", self.remote_net, self.local_net,
                 self.remote, self.local)):
            run("ip", "xfrm", "policy", "add", "dir", way, "src", here,
                "dst", there, "tmpl", "src", src, "dst", dst, "proto", "esp",
                "reqid", "1", "mode", "tunnel", ns=self.ns)

    def unload(self):
        """All of it away."""
        self.stop()


class ManualMoat(_Manual):
    """moat.ko with `moat sa` and `moat policy`."""

    name = "moat-manual"

    def start(self):
        """Load the module."""
        Moat.insert()

    def _moat(self, *args):
        return run(f"{BUILD}/moat", *args, ns=self.ns)

    def load(self, row):
        """SAs and policy."""
        self._moat("policy", "add", "id", "7", "local", self.local_net,
                   "remote", self.remote_net, "action", "protect",
                   "endpoints", self.local, self.remote, "mode", "tunnel")
        for direction, sender, src, dst in self.directions():
            key = os.path.join(self.dir, f"{direction}.key")
            write(key, "".join(self.keymat(sender, row)) + "\n")
            self._moat("sa", "add", direction, "esp", "spi",
                       f"{SPI[sender]:#x}", "src", src, "dst", dst,
                       "alg", row.esp, "key", f"@{key}", "policy", "7")

    def sas(self):
        """Every SA of this namespace."""
        listed = json.loads(self._moat("sa", "list", "--json"))["sas"]
        return [Sa(sa["direction"], int(sa["spi"], 16), sa["packets"],
                   sa["bytes"]) for sa in listed]

    def said(self, lines=25):
        """What the module counted."""
        return self._moat("sa", "list") + self._moat("show", "counters")

    def unload(self):
        """All of it away."""
        self._moat("sa", "flush")
        self._moat("policy", "flush")

    def stop(self):
        """The same."""
        self.unload()


KINDS = {kind.name: kind for kind in (ManualXfrm, ManualMoat)}
