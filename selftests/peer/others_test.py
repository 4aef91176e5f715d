#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test peer meets strongSwan and libreswan, which proves its codec, keys,
main and aggressive mode, quick mode, DPD and deletion by other people's code.

To be run as root in the guest: scripts/vm -- selftests/peer/others_test.py [WORD]...
With words, only the rows whose name holds all of them; without, half of the
rows: each method and exchange in one role with one daemon, in the other with
the other.
"""
import itertools
import os
import pathlib
import re
import secrets
import socket
import sys
import tempfile
import threading
from collections import namedtuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent / "interop")]
# pylint: disable=wrong-import-position
import isakmp
import network
import peers
import pki
from endpoint import Endpoint
from ktap import Results, check, same
from phase1 import Config
from transcripts import Keys

PSK = secrets.token_hex(16)
IKE = {"main": "aes256-sha256-modp2048", "aggressive": "aes128-sha1-modp2048"}
SECONDS = 40
Row = namedtuple("Row", "other method exchange initiator esp")
ESP = itertools.cycle(("aes128gcm16", "aes128-sha256-modp2048"))
ROWS = [Row(other, method, exchange, initiator, next(ESP))
        for other in ("strongswan", "libreswan")
        for method in ("psk", "rsa-sig")
        for exchange in ("main", "aggressive")
        for initiator in ("peer", "other")]


class Site:
    """Keys and certificates of both gateways, and where they stand as files."""

    def __init__(self, work):
        stored = Keys.load().private    # to make new ones takes long in the guest
        self.keys = {"ca": stored["ca"], "gw-a": stored["initiator"],
                     "gw-b": stored["responder"]}
        self.certificates = {
            name: pki.certify("Test CA" if name == "ca" else name, key, self.keys["ca"],
                              serial=serial, names=[] if name == "ca" else [name])
            for serial, (name, key) in enumerate(self.keys.items(), 1)}
        self.path = pathlib.Path(work) / "pki"
        self.path.mkdir()
        for name, key in self.keys.items():
            (self.path / f"{name}.pem").write_bytes(
                pki.certificate_pem(self.certificates[name]))
            (self.path / f"{name}.key").write_bytes(pki.private_pem(key))

    def identity(self, row, name):
        """(ID body, text for strongSwan, text for libreswan) of a gateway."""
        if row.method == "rsa-sig":
            certificate = self.certificates[name]
            return ("dn:" + certificate.subject.hex(), f"O=Moat, CN={name}",
                    f'"O=Moat, CN={name}"')
        if row.exchange == "main":
            return (network.WAN[name],) * 3
        return f"fqdn:{name}.example", f"{name}.example", f"@{name}.example"


class Strongswan(peers.Strongswan):
    """With certificates, aggressive mode, and the plugins for both."""

    CONF = peers.Strongswan.CONF.replace(
        "load = random nonce openssl kdf",
        "i_dont_care_about_security_and_use_aggressive_mode_psk = yes\n"
        "    load = random nonce pem pkcs1 pkcs8 x509 openssl pubkey kdf").replace(
            "load = random openssl", "load = random pem pkcs1 pkcs8 x509 openssl")
    CONNECTION = """
connections {
    net {
        version = 1
        aggressive = %(aggressive)s
        local_addrs = %(local)s
        remote_addrs = %(remote)s
        proposals = %(ike)s
        local { %(auth)s
            id = "%(local_id)s" }
        remote { %(remote_auth)s
            id = "%(remote_id)s" }
        children { net {
            local_ts = %(local_net)s
            remote_ts = %(remote_net)s
            esp_proposals = %(esp)s } }
    }
}
secrets {
    ike { secret = %(psk)s }
}
"""

    def load_row(self, row, site):
        """The connection of a row."""
        folder = pathlib.Path(self.dir)
        for where, name in (("x509ca", "ca.pem"), ("x509", "gw-b.pem"),
                            ("private", "gw-b.key")):
            (folder / where).mkdir(exist_ok=True)
            (folder / where / name).write_bytes((site.path / name).read_bytes())
        psk = row.method == "psk"
        peers.write(f"{self.dir}/swanctl.conf", self.CONNECTION % {
            "local": self.local, "remote": self.remote, "psk": PSK,
            "local_net": self.local_net, "remote_net": self.remote_net,
            "aggressive": "yes" if row.exchange == "aggressive" else "no",
            "auth": "auth = psk" if psk else "auth = pubkey\ncerts = gw-b.pem",
            "remote_auth": "auth = psk" if psk else "auth = pubkey\ncacerts = ca.pem",
            "local_id": site.identity(row, "gw-b")[1],
            "remote_id": site.identity(row, "gw-a")[1],
            "ike": IKE[row.exchange], "esp": row.esp})
        self._swanctl("--load-all", "--clear", "--noprompt")


class Libreswan(peers.Libreswan):
    """With certificates and aggressive mode."""

    CONF = """
config setup
    protostack=xfrm
    ikev1-policy=accept

conn net
    ikev2=no
    aggressive=%(aggressive)s
    authby=%(auth)s
    left=%(local)s
    leftid=%(local_id)s
    leftsubnet=%(local_net)s
    leftupdown=%%disabled
    right=%(remote)s
    rightid=%(remote_id)s
    rightsubnet=%(remote_net)s
    ike=%(ike)s
    esp=%(esp)s
    pfs=%(pfs)s
    auto=ignore
"""
    imported = False
    CERTIFICATES = "    leftcert=gw-b\n    leftsendcert=always\n    rightca=%any\n"

    def load_row(self, row, site):
        """The connection of a row."""
        self.import_keys(site)
        psk = row.method == "psk"
        esp, _, group = row.esp.partition("-modp")
        local_id, remote_id = (site.identity(row, n)[2] for n in ("gw-b", "gw-a"))
        peers.write(f"{self.dir}/ipsec.secrets", f'{local_id} {remote_id} : PSK "{PSK}"\n'
                    if psk else "")
        peers.write(self.conf, self.CONF % {
            "local": self.local, "remote": self.remote, "local_net": self.local_net,
            "remote_net": self.remote_net, "ike": IKE[row.exchange].replace("-modp", ";modp"),
            "aggressive": "yes" if row.exchange == "aggressive" else "no",
            "auth": "secret" if psk else "rsasig", "local_id": local_id,
            "remote_id": remote_id, "pfs": "yes" if group else "no",
            "esp": self.ESP[esp] + (f";modp{group}" if group else "")}
            + ("" if psk else self.CERTIFICATES))
        self._whack("--rereadsecrets")
        peers.run(f"{self.bin}/addconn", "--config", self.conf, "--ctlsocket", self.control,
                  "net", ns=self.ns)

    def import_keys(self, site):
        """Certificates and key into the store, once."""
        if self.imported:
            return
        self.imported = True
        store = f"sql:{self.dir}"
        peers.run("openssl", "pkcs12", "-export", "-inkey", f"{site.path}/gw-b.key", "-in",
                  f"{site.path}/gw-b.pem", "-name", "gw-b", "-passout", "pass:", "-out",
                  f"{site.path}/gw-b.p12")
        peers.run("pk12util", "-i", f"{site.path}/gw-b.p12", "-d", store, "-W", "")
        peers.run("certutil", "-A", "-n", "ca", "-t", "CT,,", "-i", f"{site.path}/ca.pem",
                  "-d", store)


KINDS = {"strongswan": Strongswan, "libreswan": Libreswan}


def kernel_keys(ns):
    """{SPI: keys in the order of KEYMAT} of XFRM in a namespace."""
    text = network.run("ip", "xfrm", "state", ns=ns)
    found = {}
    for one in re.split(r"^(?=src )", text, flags=re.M):
        spi = re.search(r"spi 0x([0-9a-f]{8})", one)
        keys = [re.search(rf"\t{kind}\S* \S+ 0x([0-9a-f]+)", one)
                for kind in ("aead", "enc", "auth")]
        if spi and any(keys):
            found[spi[1]] = "".join(k[1] for k in keys if k)
    return found


class Bench:
    """The network, the other daemon that runs, and our socket."""

    def __init__(self, work):
        self.work, self.site = work, Site(work)
        self.daemon = None
        network.build()
        with network.inside("gw-a"):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((network.WAN["gw-a"], 500))

    def start(self, name):
        """The daemon of this kind at gw-b, and no other."""
        if self.daemon and self.daemon.name != name:
            self.stop()
        if not self.daemon:
            self.daemon = KINDS[name]("gw-b", self.work, PSK)
            self.daemon.start()

    def stop(self):
        """End the other daemon."""
        if self.daemon:
            self.daemon.stop()
        self.daemon = None

    def config(self, row):
        """Our side of a row."""
        return Config(
            row.method, row.exchange, [IKE[row.exchange]], [row.esp],
            isakmp.identity(self.site.identity(row, "gw-a")[0]),
            isakmp.identity(self.site.identity(row, "gw-b")[0]), psk=PSK.encode(),
            keys=[(self.site.keys["gw-a"], self.site.certificates["gw-a"])],
            ca=self.site.certificates["ca"], local_net=network.LAN["gw-a"],
            remote_net=network.LAN["gw-b"])

    def run(self, row):
        """Both phases, keys compared with the kernel's, DPD, deletion."""
        self.start(row.other)
        self.daemon.load_row(row, self.site)
        end = Endpoint(self.sock, self.config(row), (network.WAN["gw-b"], 500))
        try:
            self.establish(end, row)
            # libreswan may try to revive an earlier row in a session of its own
            session = next(s for s in end.sessions.values() if s.ipsec)
            self.compare(end, session)
            self.liveness(end, session)
            self.deletion(end, session)
        except Exception:
            print(f"# events: {end.events if end.sessions else 'no message came'}")
            print("# " + self.daemon.said(60).replace("\n", "\n# "))
            raise
        finally:
            network.run("ip", "xfrm", "state", "flush", ns="gw-b")
            self.daemon.unload()
            end.drain()

    def establish(self, end, row):
        """Phase 1 and a quick mode, from the side that the row says."""
        def happened(kind):
            return lambda: any(e["event"] == kind for e in end.events)

        if row.initiator == "peer":
            session = end.initiate()
            check(end.pump(happened("phase1"), SECONDS), "phase 1 did not end")
            end.send([session.quick()])
            check(end.pump(happened("phase2"), SECONDS), "quick mode did not end")
            return
        problems = []
        command = threading.Thread(target=self.initiate, args=(problems,))
        command.start()
        check(end.pump(happened("phase2"), SECONDS), "the other side did not come so far")
        end.pump(lambda: not command.is_alive(), SECONDS)
        command.join()
        same(problems, [], "the other side's command")

    def initiate(self, problems):
        """Let the other daemon initiate."""
        try:
            self.daemon.initiate()
        except network.Failed as e:
            problems.append(str(e))

    def compare(self, end, session):
        """The kernel at the other side has the keys we computed."""
        ours = session.ipsec[-1]
        wanted = {ours.spi_in.hex(): ours.keymat_in.hex(),
                  ours.spi_out.hex(): ours.keymat_out.hex()}
        end.pump(lambda: wanted.items() <= kernel_keys("gw-b").items(), 10)
        same({spi: key for spi, key in kernel_keys("gw-b").items() if spi in wanted}, wanted,
             "keys of the kernel")

    def liveness(self, end, session):
        """It answers R-U-THERE."""
        end.send([session.dpd()])
        check(end.pump(lambda: any(e.get("kind") == isakmp.R_U_THERE_ACK
                                   for e in end.events), SECONDS), "no R-U-THERE-ACK")

    def deletion(self, end, session):
        """It heeds our deletion."""
        ours = session.ipsec[-1]
        end.send(session.delete())
        end.sent = []
        end.pump(lambda: not {ours.spi_in.hex(), ours.spi_out.hex()} & set(
            kernel_keys("gw-b")), 10)
        check(not {ours.spi_in.hex(), ours.spi_out.hex()} & set(kernel_keys("gw-b")),
              "the other side still has the SAs")


def name(row):
    """A row for a reader."""
    first, second = (("peer", row.other) if row.initiator == "peer" else
                     (row.other, "peer"))
    return f"{first} to {second} {row.method} {row.exchange} {row.esp}"


def usual(row):
    """Whether a row runs without being asked for."""
    turned = (row.method == "psk") == (row.exchange == "main")
    return (row.initiator == "peer") == (turned == (row.other == "strongswan"))


def main(words):
    """The rows that hold all words."""
    if os.environ.get("MOAT_VM") != "1":
        sys.exit("this changes networks: run it in the guest (scripts/vm --help)")
    results = Results()
    with tempfile.TemporaryDirectory(prefix="peer.") as work:
        os.chmod(work, 0o755)
        bench = Bench(work)
        try:
            for row in ROWS:
                if all(word in name(row) for word in words) and (words or usual(row)):
                    results.run(name(row), bench.run, row)
        finally:
            bench.stop()
    results.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
