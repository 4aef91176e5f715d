# SPDX-License-Identifier: GPL-2.0-or-later
"""The two sites: host-a - gw-a - gw-b - host-b, one namespace each.

Rows with a NAT go another way between the gateways, which is there besides:

    gw-a 172.16.1.1 - nat-a 198.51.100.1 - 198.51.100.2 nat-b - 172.16.2.1 gw-b

Also what happens in them: commands, pings, files by TCP, captures.
"""

import contextlib
import ctypes
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

WAN = {"gw-a": "192.0.2.1", "gw-b": "192.0.2.2"}
WAN6 = {"gw-a": "2001:db8::1", "gw-b": "2001:db8::2"}
# on the way with NATs; what is not behind one is reached by its own address
PRIVATE = {"gw-a": "172.16.1.1", "gw-b": "172.16.2.1"}
PUBLIC = {"gw-a": "198.51.100.1", "gw-b": "198.51.100.2"}
LAN = {"gw-a": "10.1.0.0/24", "gw-b": "10.2.0.0/24"}
HOST = {"host-a": "10.1.0.2", "host-b": "10.2.0.2"}
# by version of IP; the second of each is there for rows with several
NETS = {"4": {"gw-a": ("10.1.0.0/24", "10.11.0.0/24"),
              "gw-b": ("10.2.0.0/24", "10.12.0.0/24")},
        "6": {"gw-a": ("fd00:1::/64", "fd00:11::/64"),
              "gw-b": ("fd00:2::/64", "fd00:12::/64")}}
HOST_PART = {"4": (".0/24", ".2"), "6": ("::/64", "::2")}
# who sends through the tunnel: hosts, or the gateways themselves
HOSTS = {"gw-a": "host-a", "gw-b": "host-b"}
LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   os.pardir, "net", "lib.sh")

PORT = 7000
DEADLINE = 120  # seconds, for one transfer, under software emulation

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def other(gateway):
    """The other gateway."""
    return "gw-b" if gateway == "gw-a" else "gw-a"


def natted(row, gateway):
    """Is this gateway behind a NAT?"""
    return row.nat in ("both", "left" if gateway == "gw-a" else "right")


def local(row, gateway):
    """The gateway's own address."""
    if row.ip == "6":
        return WAN6[gateway]
    return PRIVATE[gateway] if row.nat else WAN[gateway]


def remote(row, gateway):
    """The other gateway's address, as this one sees it."""
    there = other(gateway)
    return PUBLIC[there] if natted(row, there) else local(row, there)


def nets(row, gateway):
    """The networks behind a gateway; in transport mode it stands for itself."""
    if row.mode == "transport":
        return [local(row, gateway) + ("/128" if row.ip == "6" else "/32")]
    return NETS[row.ip][gateway][:row.nets]


def ends(row):
    """[(namespace, its addresses)] of sender and receiver."""
    found = []
    for gateway in ("gw-a", "gw-b"):
        net, host = HOST_PART[row.ip]
        if row.mode == "transport":
            found.append((gateway, [local(row, gateway)]))
        else:
            found.append((HOSTS[gateway], [n.replace(net, host)
                                           for n in nets(row, gateway)]))
    return found if row.initiator == "left" else found[::-1]


def packed(address):
    """An address as octets."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)


class Failed(Exception):
    """A step that could not be done, in words."""


def run(*command, ns=None, timeout=60, check=True):
    """Run a command, in a namespace if one is named; return its output."""
    if ns:
        command = ("ip", "netns", "exec", ns) + command
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, timeout=timeout,
                              stderr=subprocess.STDOUT, errors="replace")
    except subprocess.TimeoutExpired as e:
        raise Failed(f"`{' '.join(command)}` was not done in "
                     f"{timeout} s: {(e.stdout or b'')[-500:]!r}") from e
    if check and done.returncode:
        raise Failed(f"`{' '.join(command)}` failed with status "
                     f"{done.returncode}: {done.stdout[-2000:].strip()}")
    return done.stdout


def until(what, condition, seconds):
    """Poll until condition() is true; its value, or Failed(what)."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.1)


@contextlib.contextmanager
def inside(ns):
    """This thread in another network namespace, for opening sockets."""
    with open("/proc/thread-self/ns/net") as home, \
            open(f"/run/netns/{ns}") as away:
        _setns(away)
        try:
            yield
        finally:
            _setns(home)


def _setns(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def build():
    """Make the namespaces and cables.

    The gateways' default routes point at each other: without SAs, and with a
    data plane that lets it, clear text would arrive. The captures tell.
    """
    run("bash", "-c", '. "$1" && topo_site_to_site', "bash", LIB)
    run("bash", "-c", ROUTERS, "bash", LIB)
    run("modprobe", "-a", *MODULES, check=False)


# what the peers would load in the middle of an exchange, or too late for the
# fast drivers to be chosen
MODULES = ("aesni_intel", "sha256_ssse3", "esp4", "esp6", "ah4", "ah6", "xfrm_user",
           "authenc", "seqiv", "echainiv", "nf_conntrack_netlink", "sch_netem")

ROUTERS = """. "$1" && topo_cleanup nat-a nat-b && topo_namespace nat-a nat-b &&
topo_wire gw-a nat-a0 172.16.1.1/24 nat-a in 172.16.1.254/24 &&
topo_wire gw-b nat-b0 172.16.2.1/24 nat-b in 172.16.2.254/24 &&
topo_wire nat-a out 198.51.100.1/24 nat-b out 198.51.100.2/24 &&
topo_route nat-a "172.16.2.0/24 via 198.51.100.2" &&
topo_route nat-b "172.16.1.0/24 via 198.51.100.1" &&
topo_route gw-a "198.51.100.0/24 via 172.16.1.254" "172.16.2.0/24 via 172.16.1.254" &&
topo_route gw-b "198.51.100.0/24 via 172.16.2.254" "172.16.1.0/24 via 172.16.2.254" &&
for end in a:1 b:2; do
    site=${end%:*} number=1${end#*:}
    for at in "host-$site eth0 2" "gw-$site lan-$site 1"; do
        set -- $at
        topo_up $1 $2 10.$number.0.$3/24 fd00:$number::$3/64 || exit
    done
done"""

# The initiator gets whatever port is free, the responder is reached by two.
MASQUERADE = """
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname "out" meta l4proto udp masquerade to :20000-29999
    }
}
"""
FORWARD = """
table ip nat {
    chain in {
        type nat hook prerouting priority dstnat;
        iifname "out" udp dport { 500, 4500 } dnat to %s
    }
    chain out {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade
    }
}
"""


_rules = {}     # of each namespace, as they are now


def set_rules(ns, table, rules):
    """A table of nftables, or none; the program starts only if it differs."""
    if _rules.get((ns, table), "") == rules:
        return
    subprocess.run(("ip", "netns", "exec", ns, "nft", "-f", "-"), text=True, check=True,
                   input=f"table ip {table}\ndelete table ip {table}\n{rules}")
    _rules[ns, table] = rules


def set_nats(row):
    """What stands before each gateway in this row; no flow is remembered."""
    for gateway, side in (("gw-a", "left"), ("gw-b", "right")):
        ns = gateway.replace("gw", "nat")
        rules = ""
        if natted(row, gateway):
            rules = (MASQUERADE if row.initiator == side
                     else FORWARD % PRIVATE[gateway])
        set_rules(ns, "nat", rules)
        with inside(ns), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                                       12) as ctnetlink:
            # IPCTNL_MSG_CT_DELETE of nothing in particular: all of them
            ctnetlink.send(struct.pack("=IHHIIBBH", 20, 0x102, 5, 1, 0, 0, 0, 0))
            code = struct.unpack_from("=i", ctnetlink.recv(4096), 16)[0]
        if code:
            raise Failed(f"conntrack of {ns} was not flushed: {os.strerror(-code)}")


# Before conntrack puts fragments together.
NARROW = """
table ip path {
    chain in {
        type filter hook prerouting priority -450;
        ip frag-off & 0x1fff != 0 counter drop
        udp dport { 500, 4500 } ip length > 1280 counter drop
    }
}
"""


def set_path(row):
    """What gets through between the gateways in this row."""
    for ns in WAN:
        set_rules(ns, "path", NARROW if row.path == "narrow" else "")


@contextlib.contextmanager
def far():
    """The gateways are far from each other for a while."""
    for ns in WAN:
        run("tc", "qdisc", "add", "dev", ns.replace("gw", "wan"), "root", "netem", "delay",
            "150ms", ns=ns)
    try:
        yield
    finally:
        for ns in WAN:
            run("tc", "qdisc", "del", "dev", ns.replace("gw", "wan"), "root", ns=ns)


def ping(ns, source, target, count=3, interval=0.2, pattern="00", wait=20):
    """Ping; the number of packets without an answer."""
    text = run("ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-W",
               str(wait), "-p", pattern, "-I", source, target, ns=ns,
               check=False, timeout=60 + count * interval * 4)
    seen = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    if not seen:
        raise Failed(f"ping said nothing of packets: {text.strip()}")
    return int(seen[1]) - int(seen[2])


@contextlib.contextmanager
def cut(ns, device):
    """Nothing passes this device of a namespace."""
    rules = "".join(f"chain {hook} {{ type filter hook {hook} priority raw; "
                    f'{name} "{device}" drop; }}; '
                    for hook, name in (("prerouting", "iifname"),
                                       ("postrouting", "oifname")))
    run("nft", f"table inet cut {{ {rules}}}", ns=ns)
    try:
        yield
    finally:
        run("nft", "delete table inet cut", ns=ns)


def make_file(size, token):
    """Random bytes with the token in every 16 KiB of them."""
    data = bytearray(os.urandom(size))
    for at in range(4096, size - len(token), 16384):
        data[at:at + len(token)] = token
    return bytes(data)


def sha256(data):
    """The digest that transfer() must answer for this data."""
    return hashlib.sha256(data).hexdigest()


def transfer(source, target, address, data):
    """Send data by TCP to an address of target; return its SHA-256 there."""
    digest = hashlib.sha256()
    problems = []

    def receive(listener):
        try:
            with listener:
                conn, _ = listener.accept()
            with conn:
                conn.settimeout(DEADLINE)
                while chunk := conn.recv(1 << 18):
                    digest.update(chunk)
        except OSError as e:
            problems.append(f"receiver: {e}")

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(target):
        listener = socket.create_server((address, PORT), family=family)
    listener.settimeout(DEADLINE)
    receiver = threading.Thread(target=receive, args=(listener,))
    receiver.start()
    try:
        with inside(source):
            conn = socket.create_connection((address, PORT), DEADLINE)
        with conn:
            conn.sendall(data)
    except OSError as e:
        problems.append(f"sender: {e}")
    receiver.join()
    if problems:
        raise Failed(f"{len(data)} bytes from {source} to {target}: "
                     f"{'; '.join(problems)}")
    return digest.hexdigest()


class Tcpdump:
    """A capture on a device, to a file.

    Of one direction, "in" or "out", or "inout". What XFRM decrypts passes the
    device that the ESP came by a second time, so between the gateways only
    "out" at both ends shows what is on the wire; and in the order of sending.
    """

    def __init__(self, ns, dev, direction, path):
        self.what = f"capture on {dev} of {ns}"
        self.path = path
        self.log = open(path + ".log", "w+")
        self.process = subprocess.Popen(
            ("ip", "netns", "exec", ns, "tcpdump", "-n", "-p", "-i", dev,
             "-Q", direction, "-s", "0", "-B", "32768", "-Z", "root", "-w", path),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def started(self):
        """Wait until it sees packets."""
        until(f"{self.what}: start", lambda: "listening on" in self._said(),
              30)

    def _said(self):
        with open(self.path + ".log") as f:
            return f.read()

    # the kernel hands over what it has gathered after 1 s
    SETTLE = 1.2

    def stop(self):
        """End the capture; to be called SETTLE after the last packet."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.close()

    def complete(self):
        """Failed if the kernel lost a packet of it."""
        dropped = re.search(r"(\d+) packets? dropped", self._said())
        if not dropped or int(dropped[1]):
            raise Failed(f"{self.what} is not complete: {self._said()}")


def without_state():
    """ESP and AH packets that kernel XFRM at either gateway had no SA for, or only the
    SPI that its daemon had reserved for one (XFRM calls that a failed acquire)."""
    counts = (run("cat", "/proc/net/xfrm_stat", ns=ns).split() for ns in ("gw-a", "gw-b"))
    return sum(int(words[words.index(name) + 1]) for words in counts
               for name in ("XfrmInNoStates", "XfrmAcquireError"))
