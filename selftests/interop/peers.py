# SPDX-License-Identifier: GPL-2.0-or-later
"""The IKE daemons: Moat, strongSwan and libreswan, with the same verbs.

start()       daemon runs and listens
load(row)     the connection of this row, and only it
initiate()    phase 1 and phase 2, as initiator; returns when both stand
sas()         [Sa] with the counters of now
settle()      wait for a moment at which a DELETE of the other side is understood
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

WIDE = "10.2.0.0/16"  # whose parts peers from anywhere may have
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
        there = network.other(ns)
        self.local, self.remote = network.WAN.get(ns), network.WAN.get(there)
        self.row = None
        self.local_net, self.remote_net = network.LAN.get(ns), network.LAN.get(there)
        self.local_nets, self.remote_nets = [self.local_net], [self.remote_net]
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
        self.local_nets = network.nets(row, self.ns)
        self.remote_nets = network.nets(row, network.other(self.ns))

    def secret(self, row):
        """The PSK; rows that are about it give Moat's peer another one."""
        return "another " + self.psk if row.kind == "psk" else self.psk

    @staticmethod
    def ike(row):
        """The proposal of phase 1, or what Moat has not in its own."""
        return "aes128-sha1-modp3072" if row.kind == "proposal" else row.ike

    def attempt(self):
        """Begin, whatever comes of it."""
        try:
            self.initiate(10)
        except Failed:
            pass

    def settle(self):
        """It is at all times."""

    def begins(self, row):
        """Is it the initiator of this row?"""
        return row.initiator == ("left" if self.ns == "gw-a" else "right")

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
        if row.kind == "identity":  # the other side is not called what Moat expects
            mine = self.id if self.name == "moat" else "stranger.example.org"
            return {"id": mine, "remote_id": self.remote_id}
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

    # what `ip xfrm state` must show for an algorithm; "" are its key's digits
    CIPHERS = {"aes128": (r"cbc\(aes\)", 32), "aes192": (r"cbc\(aes\)", 48),
               "aes256": (r"cbc\(aes\)", 64), "3des": (r"cbc\(des3_ede\)", 48),
               "null": (r"ecb\(cipher_null\)", 0),
               "aes128ctr": (r"rfc3686\(ctr\(aes\)\)", 40)}
    INTEGRITY = {"md5": (32, 96), "sha1": (40, 96), "sha256": (64, 128),
                 "sha384": (96, 192), "sha512": (128, 256)}
    COMBINED = re.compile(r"aes(\d+)(gcm|ccm|gmac)(\d*)$")
    NAMES = {"gcm": r"rfc4106\(gcm\(aes\)\)", "ccm": r"rfc4309\(ccm\(aes\)\)",
             "gmac": r"rfc4543\(gcm\(aes\)\)"}

    @classmethod
    def proposal(cls, row):
        """A pattern for the algorithms of the row."""
        found = cls.COMBINED.match(row.esp)
        if found:
            salt = 6 if found[2] == "ccm" else 8
            return (rf"\taead {cls.NAMES[found[2]]} 0x\w{{{int(found[1]) // 4 + salt}}}"
                    rf"\b.* {int(found[3] or 16) * 8}$")
        *cipher, integ = row.esp.split("-")
        digits, bits = cls.INTEGRITY[integ]
        text = rf"\tauth-trunc hmac\({integ}\) 0x\w{{{digits}}}\b.* {bits}$"
        if cipher:
            name, digits = cls.CIPHERS[cipher[0]]
            text += rf"\n\tenc {name}" + (rf" 0x\w{{{digits}}}\b" if digits else "")
        return text

    def sas(self):
        """Every SA of this namespace, larval ones left out."""
        row = self.row
        state = re.compile(
            r"^src (?P<src>\S+) dst (?P<dst>\S+)\n"
            rf"\tproto {row.proto} spi 0x(?P<spi>[0-9a-f]{{8}})\b.* mode {row.mode}\n"
            r".*?lifetime current:\n"
            r"\s*(?P<bytes>\d+)\(bytes\), (?P<packets>\d+)\(packets\)",
            re.M | re.S)
        proposal = re.compile(self.proposal(row), re.M)
        found = []
        for one in re.split(r"^(?=src )", run("ip", "-s", "xfrm", "state", ns=self.ns),
                            flags=re.M):
            if not re.search(r"^\t(aead|enc|auth)", one, re.M):
                continue  # a reserved SPI
            m = state.match(one)
            if not m or not proposal.search(one):
                raise Failed(f"{self.name} has an SA that is not {row.proto} "
                             f"{row.esp} in {row.mode} mode:\n{one}")
            # XFRM leaves the IP header out in transport mode; it carries no options
            header = (0 if row.mode == "tunnel" else
                      40 if row.ip == "6" else 20) * int(m["packets"])
            found.append(Sa("out" if m["src"] == self.local else "in",
                            int(m["spi"], 16), int(m["packets"]),
                            int(m["bytes"]) + header))
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
    retransmit_timeout = 1.0
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
        %(life)s
        children {
%(children)s
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

    # IKEv1 agrees on one network of each side: one child for each two
    CHILD = """            net%(number)d {
                local_ts = %(local)s
                remote_ts = %(remote)s
                mode = %(mode)s
                %(proto)s_proposals = %(alg)s
                %(life)s
            }"""

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
        short = row.kind == "rekey" and self.begins(row)
        write(os.path.join(self.dir, "swanctl.conf"), self.CONNECTION % {
            "local": self.local, "remote": self.remote, "psk": self.secret(row),
            "ike": self.ike(row), **self.names(row), "children": self._children(row),
            "life": "rekey_time = 10s\n        over_time = 60s\n        rand_time = 0s"
                    if short else "",
            "auth": "pubkey" if row.auth == "rsa" else "psk",
            "cert": "certs = gw.pem" if row.auth == "rsa" else "",
            "aggressive": "yes" if row.exchange == "aggressive" else "no"})
        self._swanctl("--load-all", "--clear", "--noprompt")

    def _children(self, row):
        self.children = 0
        text = []
        for local in self.local_nets:
            for remote in self.remote_nets:
                self.children += 1
                text.append(self.CHILD % {
                    "number": self.children, "local": local, "remote": remote,
                    "mode": row.mode, "proto": row.proto,
                    "alg": row.esp + (f"-{row.pfs}" if row.pfs else ""),
                    "life": "rekey_time = 10s\n                life_time = 60s"
                            "\n                rand_time = 0s"
                            if row.kind == "rekey" and self.begins(row) else ""})
        return "\n".join(text)

    def initiate(self, seconds=EXCHANGE):
        """Both phases."""
        for number in range(1, self.children + 1):
            self._swanctl("--initiate", "--child", f"net{number}", "--timeout",
                          str(seconds), timeout=seconds + 20)

    def settle(self):
        """A phase 1 under way has all IPsec SAs, and nothing can be said under it."""
        until("no phase 1 of strongSwan under way",
              lambda: "CONNECTING" not in self._swanctl("--list-sas"), EXCHANGE)

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
    @staticmethod
    def algorithms(text):
        """In its own names."""
        found = re.match(r"aes(\d+)gcm(\d+)$", text)
        if found:
            return f"aes_gcm_{dict(zip(('8', '12', '16'), 'abc'))[found[2]]}{found[1]}"
        return re.sub(r"\bsha(256|512)\b", r"sha2_\1", text)

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
    %(nets)s
    type=%(mode)s
    # routes stand already; the script would need what is not installed
    leftupdown=%%disabled
    right=%(remote)s
    rightid="%(remote_id)s"
    ike=%(ike)s
    phase2=%(proto)s
    phase2alg=%(esp)s
    %(life)s
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
        write(secrets, "")
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
        psk = self.secret(row)
        write(os.path.join(self.dir, "ipsec.secrets"),
              f'{self.local} {self.remote} : PSK "{psk}"\n'
              f'@{self.id} @{self.remote_id} : PSK "{psk}"\n: PSK "{psk}"\n')
        write(self.conf, self.CONF % {
            "local": self.local, "remote": self.remote,
            "nets": self._nets(row),
            "mode": row.mode, "proto": row.proto,
            "life": "salifetime=60s\n    ikelifetime=60s\n    rekeymargin=50s\n"
                    "    rekeyfuzz=0%" if row.kind == "rekey" and
                    self.begins(row) else "",
            "ike": self.ike(row), "pfs": "yes" if row.pfs else "no",
            **{key: name if name[0].isdigit() or "=" in name else "@" + name
               for key, name in self.names(row).items()},
            "authby": "rsasig" if row.auth == "rsa" else "secret",
            "cert": "leftcert=gw" if row.auth == "rsa" else "",
            "aggressive": "yes" if row.exchange == "aggressive" else "no",
            "esp": self.algorithms(row.esp) + (f";{row.pfs}" if row.pfs else "")})
        self._whack("--rereadsecrets")
        run(f"{self.bin}/addconn", "--config", self.conf, "--ctlsocket",
            self.control, "net", ns=self.ns)

    def _nets(self, row):
        if row.mode == "transport":
            return ""
        if row.nets == 1:
            return (f"leftsubnet={self.local_nets[0]}\n"
                    f"    rightsubnet={self.remote_nets[0]}")
        return (f"leftsubnets={{{' '.join(self.local_nets)}}}\n"
                f"    rightsubnets={{{' '.join(self.remote_nets)}}}")

    def initiate(self, seconds=EXCHANGE):
        """Both phases."""
        self._whack("--name", "net", "--initiate", timeout=seconds)

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
    local-net  = [ %(local_nets)s ]
    remote-net = [ %(remote_nets)s ]
    mode       = "%(mode)s"
    local-id   = "%(id)s"
    remote-id  = "%(remote_id)s"
    exchange   = "%(exchange)s"
    ike        = [ "%(ike)s" ]
    %(proto)-10s = [ "%(esp)s" ]
    weak       = %(weak)s
%(more)s%(auth)s  }
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

    def launch(self):
        """Start moatd with the configuration that load() wrote."""
        self._spawn(f"{BUILD}/moatd", "-c", os.path.join(self.dir, "conf"), "-r",
                    self.rundir)
        until("moatd's tunnels", self._ready, START)

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
        text = self.CONF
        if row.remote:
            text = re.sub(" *remote-id .*\n", "", text)
        write(os.path.join(conf, "moat.conf"), text % {
            "local": self.local, "remote": row.remote or self.remote,
            "local_nets": ", ".join(f'"{net}"' for net in self.local_nets),
            "remote_nets": ", ".join(f'"{net}"' for net in (
                [WIDE] if row.remote else self.remote_nets)),
            "ike": row.ike, "exchange": row.exchange, "proto": row.proto,
            "mode": row.mode, "more": self._more(row),
            **names, "auth": self.RSA if rsa else "",
            "weak": "true" if rows.weak(row) else "false",
            "esp": row.esp + (f"-{row.pfs}" if row.pfs else "")}, 0o644)
        if not rsa:
            write(os.path.join(conf, "secrets.conf"),
                  f'secrets = ( {{ remote = "{self.remote}", '
                  f'psk = "{self.psk}" }} )\n')
        self.launch()

    def _more(self, row):
        """What rows of a kind of their own want."""
        if row.kind == "dpd":
            return "    dpd = 2\n    dpd-timeout = 6\n"
        if row.kind == "rekey" and self.begins(row):
            return "    lifetime = 15\n    ike-lifetime = 16\n"
        if row.kind == "rekey":  # by whoever began: a stray packet is not to begin here
            return '    ike-lifetime = 1800\n    start = "none"\n'
        # Shorter than a peer's, which hears so: RESPONDER-LIFETIME of phase 1.
        return "" if self.begins(row) else "    ike-lifetime = 1800\n"

    def failures(self):
        """What an operator is told of what went wrong."""
        return self._moat("show", "failures")

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
            tunnel, *peers = json.loads(text)["tunnels"]
            if any(peer["template"] != "net" for peer in peers):
                raise ValueError("there are other tunnels")
            return [pair for one in (tunnel, *peers) for pair in one["pairs"]]
        except (ValueError, KeyError) as e:
            raise Failed(f"moat status --json is not what the contract "
                         f"says ({e!r}): {text[:500]}") from e

    def initiate(self, seconds=EXCHANGE):
        """Both phases."""
        self._moat("up", "net", "--wait", timeout=seconds)

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
