# SPDX-License-Identifier: GPL-2.0-or-later
"""The IKE daemons: Moat, strongSwan and libreswan, with the same verbs.

start()       daemon runs and listens
load(row)     the connection of this row, and only it
initiate()    phase 1 and phase 2, as initiator; returns when both stand
sas()         [Sa] with the counters of now
terminate()   delete both phases, and tell the other side
unload()      forget the connection
stop()        end the daemon
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections import namedtuple

import rows
import network
from network import Failed, run, until

# direction "in" or "out"; bytes count whole inner IP packets
Sa = namedtuple("Sa", "direction spi packets bytes")

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("MOAT_BUILD", os.path.realpath(
    os.path.join(HERE, os.pardir, os.pardir, "build")))
CERTS = os.path.join(HERE, os.pardir, "certs")  # gw-a's comes with a chain
UNPACKED = os.path.join(BUILD, "peers")

START = 90  # seconds for a daemon's first start after boot, under emulation
EXCHANGE = 40  # seconds for both phases


def write(path, text, mode=0o600):
    """Make a file that only its owner may read, unless told otherwise."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode),
              "w") as f:
        f.write(text)


def _bind(source, target):
    """The unpacked peers look for their parts at compiled-in places."""
    if not os.path.isdir(source):
        raise Failed(f"{source} is missing: run scripts/setup (or "
                     "scripts/peers), which unpacks the peers")
    if os.path.ismount(target):
        return
    os.makedirs(target, exist_ok=True)
    run("mount", "--bind", source, target)


class Daemon:
    """What the three have in common: a process, a log, a directory."""

    def __init__(self, ns, work, psk):
        self.ns = ns
        self.local, self.remote = network.WAN[ns], network.WAN[network.other(ns)]
        self.row = None
        self.local_net, self.remote_net = network.LAN[ns], network.LAN[network.other(ns)]
        self.psk = psk
        self.id = f"{ns}.example.org"
        self.remote_id = f"{network.other(ns)}.example.org"
        self.dir = os.path.join(work, f"{self.name}-{ns}")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)

    def place(self, row):
        """Where this row has both ends."""
        self.row = row
        self.local = network.local(row, self.ns)
        self.remote = network.remote(row, self.ns)

    DN = "C=DE, O=Moat test, CN=%s"

    def credentials(self, cert, key, ca):
        """Put our certificate, its key and the CA's certificate there."""
        for source, target, mode in ((f"{self.ns}.pem", cert, 0o644),
                                     (f"{self.ns}.key", key, 0o600),
                                     ("ca.pem", ca, 0o644)):
            target = os.path.join(self.dir, target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(os.path.join(CERTS, source)) as f:
                write(target, f.read(), mode)

    def names(self, row):
        """The identities of phase 1: addresses, by name where those are
        not encrypted, or not what the other side sees."""
        if row.auth == "rsa":
            return {"id": self.DN % self.ns,
                    "remote_id": self.DN % network.other(self.ns)}
        if row.exchange == "main" and not row.nat:
            return {"id": self.local, "remote_id": self.remote}
        return {"id": self.id, "remote_id": self.remote_id}

    def _spawn(self, *command, env=None):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                ("ip", "netns", "exec", self.ns) + command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(env or {})})

    def _alive(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with status "
                         f"{self.process.returncode}: {self.said()}")

    def _listening(self, path):
        self._alive()
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
            except OSError:
                return False
        return True

    def said(self, lines=25):
        """The end of its log."""
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:]).strip()

    def stop(self):
        """End the daemon."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class XfrmDaemon(Daemon):
    """A daemon whose data plane is the kernel's XFRM."""

    def stop(self):
        """End the daemon, and what it may have left in the kernel."""
        Daemon.stop(self)
        run("ip", "xfrm", "state", "flush", ns=self.ns)
        run("ip", "xfrm", "policy", "flush", ns=self.ns)

    PROPOSAL = {  # what `ip xfrm state` must show for a proposal
        rows.GCM: re.compile(r"\taead rfc4106\(gcm\(aes\)\) 0x\w{40}\b.* 128$",
                             re.M),
        rows.CBC: re.compile(r"\tauth-trunc hmac\(sha256\) 0x\w{64}\b.* 128$\n"
                             r"\tenc cbc\(aes\) 0x\w{32}\b", re.M),
        rows.DES: re.compile(r"\tauth-trunc hmac\(sha1\) 0x\w{40}\b.* 96$\n"
                             r"\tenc cbc\(des3_ede\) 0x\w{48}\b", re.M),
        rows.NULL: re.compile(r"\tauth-trunc hmac\(sha256\) 0x\w{64}\b.* 128$"
                              r"\n\tenc ecb\(cipher_null\)", re.M),
    }
    STATE = re.compile(
        r"^src (?P<src>\S+) dst (?P<dst>\S+)\n"
        r"\tproto esp spi 0x(?P<spi>[0-9a-f]{8})\b.* mode tunnel\n"
        r".*?lifetime current:\n"
        r"\s*(?P<bytes>\d+)\(bytes\), (?P<packets>\d+)\(packets\)",
        re.M | re.S)

    def sas(self):
        """Every SA of this namespace, larval ones left out."""
        text = run("ip", "-s", "xfrm", "state", ns=self.ns)
        found = []
        for one in re.split(r"^(?=src )", text, flags=re.M):
            m = self.STATE.match(one)
            if not m or "lastused" in one and " add -" in one:
                continue
            if not self.PROPOSAL[self.row.esp].search(one):
                if re.search(r"^\t(aead|enc|auth)", one, re.M):
                    raise Failed(f"{self.name} has an SA that is not "
                                 f"{self.row.esp}:\n{one}")
                continue  # a reserved SPI
            found.append(Sa("out" if m["src"] == self.local else "in",
                            int(m["spi"], 16), int(m["packets"]),
                            int(m["bytes"])))
        return found


class Strongswan(XfrmDaemon):
    """strongSwan: charon-systemd without systemd, and swanctl."""

    name = "strongswan"
    # explicit: the stock list includes kernel-libipsec, which would move
    # ESP to user space
    CONF = """
charon-systemd {
    load = random nonce openssl kdf pem pkcs1 pkcs8 x509 pubkey constraints kernel-netlink socket-default vici
    # kernel routes stand already; nothing else may depend on ours
    install_routes = no
    # on two CPUs XFRM sends out of order by more than the default of 32
    replay_window = 1024
    # of a packet of IKE; longer messages go in fragments
    fragment_size = 1024
    i_dont_care_about_security_and_use_aggressive_mode_psk = yes
    syslog {
        daemon {
            default = -1
        }
    }
    filelog {
        f {
            path = %(dir)s/log
            append = yes
            flush_line = yes
            default = 1
            ike = 2
        }
    }
    plugins {
        vici {
            socket = unix://%(dir)s/vici
        }
    }
}
swanctl {
    load = random openssl pem pkcs1 pkcs8 x509
}
"""
    CONNECTION = """
connections {
    net {
        version = 1
        local_addrs = %(local)s
        remote_addrs = %(remote)s
        proposals = %(ike)s
        aggressive = %(aggressive)s
        fragmentation = yes
        local {
            auth = %(auth)s
            %(cert)s
            id = "%(id)s"
        }
        remote {
            auth = %(auth)s
            id = "%(remote_id)s"
        }
        children {
            net {
                local_ts = %(local_net)s
                remote_ts = %(remote_net)s
                esp_proposals = %(esp)s
            }
        }
    }
}
secrets {
    ike {
        id-1 = "%(id)s"
        id-2 = "%(remote_id)s"
        secret = %(psk)s
    }
}
"""

    def start(self):
        """Run charon-systemd; wait for its control socket."""
        root = os.path.join(UNPACKED, "strongswan")
        _bind(os.path.join(root, "usr/lib/ipsec"), "/usr/lib/ipsec")
        self.bin = os.path.join(root, "usr/sbin")
        conf = os.path.join(self.dir, "strongswan.conf")
        write(conf, self.CONF % {"dir": self.dir})
        self.env = {"STRONGSWAN_CONF": conf, "SWANCTL_DIR": self.dir,
                    "LD_LIBRARY_PATH": "/usr/lib/ipsec"}
        self.credentials("x509/gw.pem", "private/gw.key", "x509ca/ca.pem")
        self._spawn(os.path.join(self.bin, "charon-systemd"), env=self.env)
        until("charon's control socket",
              lambda: self._listening(self.dir + "/vici"), START)

    def _swanctl(self, *args, **kwargs):
        env = [f"{k}={v}" for k, v in self.env.items()]
        return run("env", *env, os.path.join(self.bin, "swanctl"), *args,
                   "--uri", f"unix://{self.dir}/vici", ns=self.ns, **kwargs)

    def load(self, row):
        """Load connection and secret."""
        self.place(row)
        write(os.path.join(self.dir, "swanctl.conf"), self.CONNECTION % {
            "local": self.local, "remote": self.remote, "psk": self.psk,
            "local_net": self.local_net, "remote_net": self.remote_net,
            "ike": row.ike, **self.names(row),
            "auth": "pubkey" if row.auth == "rsa" else "psk",
            "cert": "certs = gw.pem" if row.auth == "rsa" else "",
            "aggressive": "yes" if row.exchange == "aggressive" else "no",
            "esp": row.esp + (f"-{row.pfs}" if row.pfs else "")})
        self._swanctl("--load-all", "--clear", "--noprompt")

    def initiate(self):
        """Both phases."""
        self._swanctl("--initiate", "--child", "net", "--timeout",
                      str(EXCHANGE), timeout=EXCHANGE + 20)

    def terminate(self):
        """Delete both phases, said to the other side."""
        self._swanctl("--terminate", "--ike", "net", "--timeout", "20")

    def unload(self):
        """Forget the connection."""
        write(os.path.join(self.dir, "swanctl.conf"), "")
        self._swanctl("--load-all", "--clear", "--noprompt")


class Libreswan(XfrmDaemon):
    """libreswan: pluto, addconn and whack, without the ipsec script."""

    name = "libreswan"
    ESP = {rows.GCM: "aes_gcm128", rows.CBC: "aes128-sha2_256",
           rows.DES: "3des-sha1", rows.NULL: "null-sha2_256"}
    CONF = """
config setup
    protostack=xfrm
    ikev1-policy=accept

conn net
    ikev2=no
    authby=%(authby)s
    %(cert)s
    aggressive=%(aggressive)s
    fragmentation=yes
    left=%(local)s
    leftid="%(id)s"
    leftsubnet=%(local_net)s
    # routes stand already; the script would need what is not installed
    leftupdown=%%disabled
    right=%(remote)s
    rightid="%(remote_id)s"
    rightsubnet=%(remote_net)s
    ike=%(ike)s
    esp=%(esp)s
    pfs=%(pfs)s
    # on two CPUs XFRM sends out of order by more than the default of 32
    replay-window=1024
    auto=ignore
"""

    def start(self):
        """Make the key store, run pluto; wait for its control socket."""
        root = os.path.join(UNPACKED, "libreswan")
        _bind(os.path.join(root, "usr/libexec/ipsec"), "/usr/libexec/ipsec")
        self.bin = "/usr/libexec/ipsec"
        self.conf = os.path.join(self.dir, "ipsec.conf")
        write(self.conf, "config setup\n    protostack=xfrm\n"
                          "    ikev1-policy=accept\n")
        secrets = os.path.join(self.dir, "ipsec.secrets")
        write(secrets, f'{self.local} {self.remote} : PSK "{self.psk}"\n'
              f'@{self.id} @{self.remote_id} : PSK "{self.psk}"\n'
              f': PSK "{self.psk}"\n')
        run("certutil", "-N", "-d", f"sql:{self.dir}", "--empty-password")
        self._import()
        self._spawn(f"{self.bin}/pluto", "--nofork", "--stderrlog",
                    "--config", self.conf, "--secretsfile", secrets,
                    "--nssdir", self.dir, "--rundir", self.dir,
                    "--ipsecdir", self.dir)
        self.control = os.path.join(self.dir, "pluto.ctl")
        until("pluto's control socket",
              lambda: self._listening(self.control), START)
        self._whack("--listen")

    def _import(self):
        """Certificates and key go into the store, as PKCS #12."""
        self.credentials("gw.pem", "gw.key", "ca.pem")
        store = f"sql:{self.dir}"
        run("openssl", "pkcs12", "-export", "-name", "gw", "-passout", "pass:x",
            "-in", f"{self.dir}/gw.pem", "-inkey", f"{self.dir}/gw.key",
            "-out", f"{self.dir}/gw.p12")
        run("certutil", "-A", "-d", store, "-n", "ca", "-t", "CT,C,C", "-a",
            "-i", f"{self.dir}/ca.pem")
        run("pk12util", "-d", store, "-W", "x", "-i", f"{self.dir}/gw.p12")

    def _whack(self, *args, **kwargs):
        return run(f"{self.bin}/whack", "--rundir", self.dir, *args,
                   ns=self.ns, **kwargs)

    def load(self, row):
        """Load the connection."""
        self.place(row)
        write(self.conf, self.CONF % {
            "local": self.local, "remote": self.remote,
            "local_net": self.local_net, "remote_net": self.remote_net,
            "ike": row.ike, "pfs": "yes" if row.pfs else "no",
            **{key: name if name[0].isdigit() or "=" in name else "@" + name
               for key, name in self.names(row).items()},
            "authby": "rsasig" if row.auth == "rsa" else "secret",
            "cert": "leftcert=gw" if row.auth == "rsa" else "",
            "aggressive": "yes" if row.exchange == "aggressive" else "no",
            "esp": self.ESP[row.esp] + (f";{row.pfs}" if row.pfs else "")})
        run(f"{self.bin}/addconn", "--config", self.conf, "--ctlsocket",
            self.control, "net", ns=self.ns)

    def initiate(self):
        """Both phases."""
        self._whack("--name", "net", "--initiate", timeout=EXCHANGE)

    def terminate(self):
        """Delete both phases, said to the other side."""
        self._whack("--name", "net", "--terminate")

    def unload(self):
        """Forget the connection."""
        self._whack("--name", "net", "--delete")


class Moat(Daemon):
    """Moat: moatd and moat; its data plane is moat.ko."""

    name = "moat"
    CONF = """tunnels = {
  net = {
    local      = "%(local)s"
    remote     = "%(remote)s"
    local-net  = [ "%(local_net)s" ]
    remote-net = [ "%(remote_net)s" ]
    local-id   = "%(id)s"
    remote-id  = "%(remote_id)s"
    exchange   = "%(exchange)s"
    ike        = [ "%(ike)s" ]
    %(proto)-10s = [ "%(esp)s" ]
    weak       = %(weak)s
%(auth)s  }
}
"""

    RSA = """    auth       = "rsa-sig"
    cert       = "gw.pem"
    key        = "gw.key"
    ca         = "ca.pem"
"""

    def start(self):
        """Load the module; moatd itself starts with the row's file."""
        self.insert()

    @staticmethod
    def insert():
        """Load the module if it is not."""
        if not os.path.isdir("/sys/module/moat"):
            module = f"{BUILD}/kmod-{os.uname().release}/moat.ko"
            run("modprobe", "-a", *Moat._softdeps(module), check=False)
            run("insmod", module)

    @staticmethod
    def _softdeps(module):
        """What modprobe would have loaded before an installed moat.ko."""
        depends = run("modinfo", "-F", "depends", module).strip()
        soft = run("modinfo", "-F", "softdep", module)
        return ([m for m in depends.split(",") if m] +
                re.sub(r"\b(pre|post):", " ", soft).split())

    def load(self, row):
        """Write the configuration and start moatd with it."""
        self.place(row)
        conf = os.path.join(self.dir, "conf")
        self.rundir = os.path.join(self.dir, "run")
        os.makedirs(conf, exist_ok=True)
        os.chmod(self.dir, 0o755)
        rsa = row.auth == "rsa"
        names = self.names(row)
        if rsa:
            self.credentials("conf/gw.pem", "conf/gw.key", "conf/ca.pem")
            names = {key: "dn:" + dn for key, dn in names.items()}
        write(os.path.join(conf, "moat.conf"), self.CONF % {
            "local": self.local, "remote": self.remote,
            "local_net": self.local_net, "remote_net": self.remote_net,
            "ike": row.ike, "exchange": row.exchange, "proto": row.proto,
            **names, "auth": self.RSA if rsa else "",
            "weak": "true" if (row.exchange == "aggressive" and not rsa or
                               "3des" in row.ike + row.esp) else "false",
            "esp": row.esp + (f"-{row.pfs}" if row.pfs else "")}, 0o644)
        if not rsa:
            write(os.path.join(conf, "secrets.conf"),
                  f'secrets = ( {{ remote = "{self.remote}", '
                  f'psk = "{self.psk}" }} )\n')
        self._spawn(f"{BUILD}/moatd", "-c", conf, "-r", self.rundir)
        until("moatd's tunnel", self._ready, START)

    def _ready(self):
        self._alive()
        text = self._moat("status", "--json", check=False)
        return '"tunnels"' in text and self._pairs(text)

    def _moat(self, *args, **kwargs):
        return run(f"{BUILD}/moat", "-r", self.rundir, *args, ns=self.ns,
                   **kwargs)

    def _pairs(self, text=None):
        text = text or self._moat("status", "--json")
        try:
            status = json.loads(text)
            (tunnel,) = status["tunnels"]
            return tunnel["pairs"]
        except (ValueError, KeyError) as e:
            raise Failed(f"moat status --json is not what the contract "
                         f"says ({e!r}): {text[:500]}") from e

    def initiate(self):
        """Both phases."""
        self._moat("up", "net", "--wait", timeout=EXCHANGE)

    def sas(self):
        """Every SA of the tunnel."""
        return [Sa(sa["direction"], int(sa["spi"], 16), sa["packets"],
                   sa["bytes"])
                for pair in self._pairs() for sa in pair["sas"]]

    def terminate(self):
        """Delete both phases, said to the other side."""
        self._moat("down", "net", "--wait")

    def stop(self):
        """End moatd, and what it has left in the kernel."""
        Daemon.stop(self)
        for what in ("policy", "sa"):
            run(f"{BUILD}/moat", what, "flush", ns=self.ns)

    def unload(self):
        """End moatd: the next row starts it with another file."""
        Daemon.stop(self)


KINDS = {kind.name: kind for kind in (Moat, Strongswan, Libreswan)}
