#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test peer meets strongSwan and libreswan, which proves its codec, keys,
main and aggressive mode, quick mode, DPD and deletion by other people's code;
and then it meets moatd, with the methods that only the two of them speak.

To be run as root in the guest: scripts/vm -- selftests/peer/others_test.py [WORD]...
With words, only the rows whose name holds all of them (`make check` says "moat");
without, all with moatd, and of those with strongSwan and libreswan each method
and exchange in one role with the one, in the other role with the other.
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
METHODS = {"strongswan": ("psk", "rsa-sig"), "libreswan": ("psk", "rsa-sig"),
           "moat": ("psk", "rsa-sig", "rsa-enc", "rsa-enc-revised")}
ROWS = [Row(other, method, exchange, initiator, next(ESP))
        for other, methods in METHODS.items()
        for method in methods
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
                              serial=serial, names=[f"{name}.example"],
                              addresses=[network.WAN[name]] if name != "ca" else [])
            for serial, (name, key) in enumerate(self.keys.items(), 1)}
        self.path = pathlib.Path(work) / "pki"
        self.path.mkdir()
        for name, key in self.keys.items():
            (self.path / f"{name}.pem").write_bytes(
                pki.certificate_pem(self.certificates[name]))
            (self.path / f"{name}.key").write_bytes(pki.private_pem(key))

    def identity(self, row, name):
        """(ID body, text for strongSwan, text for libreswan) of a gateway."""
        if row.method == "rsa-sig" and row.other != "moat":
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
        children { net1 {
            local_ts = %(local_net)s
            remote_ts = %(remote_net)s
            esp_proposals = %(esp)s } }
    }
}
secrets {
    ike { secret = %(psk)s }
}
"""

    children = 1

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
            "esp": self.algorithms(esp) + (f";modp{group}" if group else "")}
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
        peers.run("certutil", "-A", "-n", "peer-ca", "-t", "CT,,", "-i", f"{site.path}/ca.pem",
                  "-d", store)


class Moat(peers.Moat):
    """moatd, with every method."""

    CONF = """tunnels = {
  net = {
    local      = "%(local)s"
    remote     = "%(remote)s"
    local-net  = [ "%(local_net)s" ]
    remote-net = [ "%(remote_net)s" ]
    auth       = "%(method)s"
    exchange   = "%(exchange)s"
    local-id   = "%(local_id)s"
    remote-id  = "%(remote_id)s"
    ike        = [ "%(ike)s" ]
    esp        = [ "%(esp)s" ]
%(more)s  }
}
"""

    def load_row(self, row, site):
        """Files of a row, and moatd with them."""
        conf = pathlib.Path(self.dir) / "conf"
        conf.mkdir(exist_ok=True)
        conf.chmod(0o755)
        pathlib.Path(self.dir).chmod(0o755)
        self.rundir = os.path.join(self.dir, "run")
        more = {"cert": "gw-b.pem", "key": "gw-b.key",
                **({"ca": "ca.pem"} if row.method == "rsa-sig" else
                   {"remote-cert": "gw-a.pem"})}
        for file in more.values():
            (conf / file).write_bytes((site.path / file).read_bytes())
            (conf / file).chmod(0o600 if file.endswith("key") else 0o644)
        lines = [f'    {key} = "{file}"\n' for key, file in more.items()]
        if row.method == "psk":
            lines = ["    weak = true\n"] if row.exchange == "aggressive" else []
        local_id, remote_id = (site.identity(row, n)[0].removeprefix("fqdn:")
                               for n in ("gw-b", "gw-a"))
        peers.write(conf / "moat.conf", self.CONF % {
            "local": self.local, "remote": self.remote, "local_net": self.local_net,
            "remote_net": self.remote_net, "method": row.method, "exchange": row.exchange,
            "local_id": local_id, "remote_id": remote_id, "ike": IKE[row.exchange],
            "esp": row.esp, "more": "".join(lines)}, 0o644)
        peers.write(conf / "secrets.conf", "" if row.method != "psk" else
                    f'secrets = ( {{ remote = "{remote_id}", psk = "{PSK}" }} )\n')
        self._spawn(f"{peers.BUILD}/moatd", "-c", str(conf), "-r", self.rundir)
        network.until("moatd's tunnel", self._ready, peers.START)


KINDS = {"strongswan": Strongswan, "libreswan": Libreswan, "moat": Moat}


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


class Xfrm:
    """What the peer agreed on, in the kernel of its own namespace."""

    def __init__(self, result):
        ours, theirs = network.WAN["gw-a"], network.WAN["gw-b"]
        lan, far = network.LAN["gw-a"], network.LAN["gw-b"]
        for src, dst, spi, keymat in ((theirs, ours, result.spi_in, result.keymat_in),
                                      (ours, theirs, result.spi_out, result.keymat_out)):
            network.run("ip", "xfrm", "state", "add", "src", src, "dst", dst, "proto", "esp",
                        "spi", f"0x{spi.hex()}", "mode", "tunnel", "replay-window", "32",
                        *self.algorithms(result.suite, keymat), ns="gw-a")
        for direction, src, dst, a, b in (("out", lan, far, ours, theirs),
                                          ("in", far, lan, theirs, ours),
                                          ("fwd", far, lan, theirs, ours)):
            network.run("ip", "xfrm", "policy", "add", "src", src, "dst", dst, "dir",
                        direction, "tmpl", "src", a, "dst", b, "proto", "esp", "mode",
                        "tunnel", ns="gw-a")

    @staticmethod
    def algorithms(suite, keymat):
        """KEYMAT is the cipher's key, then that of integrity."""
        first, second = (f"0x{k.hex()}" for k in (keymat[:suite.enc_key],
                                                  keymat[suite.enc_key:]))
        if not suite.auth_key:
            return "aead", "rfc4106(gcm(aes))", first, "128"
        return ("enc", "cbc(aes)", first, "auth-trunc", "hmac(sha256)", second, "128")

    @staticmethod
    def flush():
        """Nothing of it stays."""
        network.run("ip", "xfrm", "state", "flush", ns="gw-a")
        network.run("ip", "xfrm", "policy", "flush", ns="gw-a")


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
            ca=self.site.certificates["ca"],
            peer_cert=self.site.certificates["gw-b"] if row.method != "rsa-sig" else None,
            send_hash_1=row.method.startswith("rsa-enc") and row.exchange == "aggressive",
            local_net=network.LAN["gw-a"],
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
            if row.other == "moat":     # it gives out no keys: traffic shows them
                Xfrm(session.ipsec[-1])
                same(network.ping("host-a", network.HOST["host-a"],
                                  network.HOST["host-b"]), 0, "pings lost")
            else:
                self.compare(end, session)
            self.liveness(end, session)
            self.deletion(end, session)
        except Exception:
            print(f"# events: {end.events if end.sessions else 'no message came'}")
            print("# " + self.daemon.said(60).replace("\n", "\n# "))
            raise
        finally:
            Xfrm.flush()
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
        """It answers R-U-THERE, if it said that it would; only moatd may not."""
        if isakmp.DPD_VENDOR not in session.phase1.vendors:
            same(self.daemon.name, "moat", "who has no dead peer detection")
            return
        end.send([session.dpd()])
        check(end.pump(lambda: any(e.get("kind") == isakmp.R_U_THERE_ACK
                                   for e in end.events), SECONDS), "no R-U-THERE-ACK")

    def deletion(self, end, session):
        """It heeds our deletion."""
        ours = {session.ipsec[-1].spi_in.hex(), session.ipsec[-1].spi_out.hex()}

        def gone():
            return not ours & (set(kernel_keys("gw-b")) if self.daemon.name != "moat" else
                               {f"{sa.spi:08x}" for sa in self.daemon.sas()})

        end.send(session.delete())
        end.sent = []
        check(end.pump(gone, 10), "the other side still has the SAs")


def name(row):
    """A row for a reader."""
    first, second = (("peer", row.other) if row.initiator == "peer" else
                     (row.other, "peer"))
    return f"{first} to {second} {row.method} {row.exchange} {row.esp}"


def usual(row):
    """Whether a row runs without being asked for."""
    if row.other == "moat":
        return True
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
