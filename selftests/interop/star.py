# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub and its spokes: moatd at the hub has a tunnel to a daemon of any kind at
each spoke, and a numbered flow goes through each tunnel, both ways.

    host-hub 10.100.0.2 - hub 192.0.N.1 ===== 192.0.N.2 SPOKE - 10.N.0.2 host-SPOKE

A spoke may stand behind a NAT, which has 192.0.N.2 then:

    hub 192.0.N.1 ===== 192.0.N.2 nat-SPOKE - 172.16.N.2 SPOKE - 10.N.0.2 host-SPOKE
"""

import contextlib
import json
import os
import re
import secrets
import subprocess

import network
import peers
from network import Failed, run, until

PORT = 9000
LONG = 100      # seconds in which a quick mode of strongSwan has six tries
FLOW = os.path.join(peers.BUILD, "tests/interop/flow")

SITE = """. "$1" && topo_cleanup hub host-hub && topo_namespace hub host-hub &&
topo_wire host-hub eth0 10.100.0.2/24 hub lan 10.100.0.1/24 &&
ip -n host-hub route add default via 10.100.0.1 &&
sysctl -qw net.core.netdev_max_backlog=100000"""
SPOKE = """. "$1"; name=$2 n=$3
topo_cleanup $name host-$name && topo_namespace $name host-$name &&
topo_wire $name lan 10.$n.0.1/24 host-$name eth0 10.$n.0.2/24 &&
ip -n host-$name route add default via 10.$n.0.1 &&
if [ "$4" ]; then
    topo_cleanup nat-$name && topo_namespace nat-$name &&
    topo_wire hub wan$n 192.0.$n.1/24 nat-$name out 192.0.$n.2/24 &&
    topo_wire nat-$name in 172.16.$n.1/24 $name wan 172.16.$n.2/24 &&
    ip -n $name route add default via 172.16.$n.1
else
    topo_wire hub wan$n 192.0.$n.1/24 $name wan 192.0.$n.2/24 &&
    ip -n $name route add default via 192.0.$n.1
fi &&
ip -n hub route add 10.$n.0.0/24 via 192.0.$n.2 &&
for ns in hub host-hub $name host-$name ${4:+nat-$name}; do
    ip netns exec $ns sh -c "$5"
done"""
# Neighbours stay known: where thousands of packets wait for a CPU, an answer of ARP is
# too late, and what is sent meanwhile is dropped, by no counter and no fault of ours.
KNOWN = """for f in /proc/sys/net/ipv4/neigh/*/base_reachable_time_ms; do
    echo 36000000 >$f
done"""
NAT = """
table ip nat {
    chain out { type nat hook postrouting priority srcnat;
        oifname "out" meta l4proto udp masquerade to :20000-29999; }
}
"""


class Placed:
    """A daemon that stands at a spoke, and has one tunnel."""

    number = 0
    nat = False
    tunnel = "net"

    def stand(self, number, nat=False):
        """Make its network; it is spoke number so and so."""
        self.number, self.nat = number, nat
        run("bash", "-c", SPOKE, "bash", network.LIB, self.ns, str(number),
            "nat" if nat else "", KNOWN)
        if nat:
            rules(f"nat-{self.ns}", NAT)

    def place(self, row):
        """Its addresses and networks."""
        self.row = row
        self.local = f"{'172.16' if self.nat else '192.0'}.{self.number}.2"
        self.remote = f"192.0.{self.number}.1"
        self.local_nets, self.remote_nets = [f"10.{self.number}.0.0/24"], ["10.100.0.0/24"]

    def names(self, _row):
        """By address; behind a NAT by name."""
        return {"id": f"{self.ns}.example.org" if self.nat else f"192.0.{self.number}.2",
                "remote_id": f"192.0.{self.number}.1"}

    def credentials(self, *_files):
        """None."""

    def _import(self):
        """Nothing."""


class Strongswan(Placed, peers.Strongswan):
    """strongSwan at its spoke, with a trap: no SA is no way in clear. When six tries of a
    message of a new phase 1 had no answer it would end its IPsec SAs: one phase 1 in 150
    with a fifth of all messages lost."""

    CONF = peers.Strongswan.CONF.replace(
        "retransmit_timeout = 1.0",
        "retransmit_timeout = 1.0\n    retransmit_limit = 4\n    retransmit_tries = 12")
    CHILD = peers.Strongswan.CHILD.replace("mode =", "start_action = trap\n"
                                           "                mode =")

    def _newest(self, state):
        """Number of the newest SA in that state: of a name swanctl would take all."""
        numbers = re.findall(rf": #(\d+),.* {state},", self._swanctl("--list-sas"))
        return max(numbers, key=int, default="")

    def rekey(self):
        """Both phases. A new ISAKMP SA takes the IPsec SAs with it at once: those whose
        quick mode has not ended stay behind, and are never replaced. So that goes first,
        for as long as it takes: one in 20 needs more than three tries."""
        child = self._newest("INSTALLED")
        if child:
            self._swanctl("--rekey", "--child-id", child, check=False)
            with contextlib.suppress(Failed):
                until("other IPsec SAs",
                      lambda: self._newest("INSTALLED") not in ("", child), LONG)
        ike = self._newest("ESTABLISHED")
        if ike:
            self._swanctl("--rekey", "--ike-id", ike, check=False)


class Libreswan(Placed, peers.Libreswan):
    """libreswan at its spoke, with a trap, too. It cannot be asked for a rekey of phase 1
    with IKEv1 ("cannot force rekey"): that comes by itself every 15 s."""

    CONF = peers.Libreswan.CONF.replace("auto=ignore", "ikelifetime=60s\n    rekeymargin=45s"
                                        "\n    rekeyfuzz=0%%\n    auto=ignore")

    def load(self, row):
        """The connection, and its trap."""
        super().load(row)
        self._whack("--name", "net", "--route")

    def rekey(self):
        """Both phases."""
        self._whack("--name", "net", "--initiate", "--asynchronous", check=False)


class Spoke(Placed, peers.Moat):
    """Moat at its spoke."""

    def rekey(self):
        """Both phases."""
        self._moat("rekey", self.tunnel)


SPOKES = {kind.name: kind for kind in (Spoke, Strongswan, Libreswan)}


class Hub(peers.Moat):
    """Moat with a tunnel to each spoke."""

    spokes = ()

    def stand(self):
        """Make its network."""
        run("bash", "-c", SITE, "bash", network.LIB)

    def load(self, row):
        """Write the configuration and start moatd with it."""
        conf = os.path.join(self.dir, "conf")
        self.rundir = os.path.join(self.dir, "run")
        os.makedirs(conf, exist_ok=True)
        os.chmod(self.dir, 0o755)
        blocks = []
        for spoke in self.spokes:
            number = spoke.number
            text = self.CONF % {
                "local": f"192.0.{number}.1", "remote": f"192.0.{number}.2",
                "local_nets": '"10.100.0.0/24"', "remote_nets": f'"10.{number}.0.0/24"',
                "id": f"192.0.{number}.1", "remote_id": spoke.names(row)["id"],
                "mode": "tunnel", "exchange": "main", "ike": row.ike, "proto": "esp",
                "weak": "false", "esp": f"{row.esp}-{row.pfs}", "auth": "",
                "more": self._more(row)}
            blocks.append(text.split("\n", 1)[1].rsplit("}\n", 1)[0].replace(
                "  net =", f"  {spoke.ns} =", 1))
        peers.write(os.path.join(conf, "moat.conf"),
                    "tunnels = {\n" + "".join(blocks) + "}\n", 0o644)
        peers.write(os.path.join(conf, "secrets.conf"),
                    f'secrets = ( {{ remote = "any", psk = "{self.psk}" }} )\n')
        self.launch()

    def _ready(self):
        self._alive()
        return '"tunnels"' in self._moat("status", "--json", check=False)

    def status(self):
        """The whole document."""
        return json.loads(self._moat("status", "--json"))

    def rekey(self, tunnel):
        """Both phases of one."""
        self._moat("rekey", tunnel)


class Flow:
    """Both directions through one tunnel: rate packets a second, which all hold a
    token; back is how many come from the spoke, if not as many."""

    def __init__(self, spoke, rate, back=None):
        here, there = "10.100.0.2", f"10.{spoke.number}.0.2"
        self.token = secrets.token_hex(8)
        self.ways = []
        for ns, source, target, each in (
                ("host-hub", here, there, rate),
                (f"host-{spoke.ns}", there, here, rate if back is None else back)):
            self.ways.append(subprocess.Popen(
                ("ip", "netns", "exec", ns, FLOW, source, target,
                 str(PORT + spoke.number), str(each), self.token), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True))
        for way in self.ways:
            if way.stdout.readline() != "ready\n":
                raise Failed("a flow did not begin")

    def begin(self):
        """Both ends listen: now they may send."""
        for way in self.ways:
            way.stdin.write("\n")
            way.stdin.flush()

    def stop(self):
        """No more is sent."""
        for way in self.ways:
            way.terminate()

    def judge(self):
        """(complaints, packets sent)."""
        hub, spoke = (json.loads(way.communicate(timeout=300)[0]) for way in self.ways)
        wrong = [
            f"{sender['sent']} sent {way}, {sender['refused']} more refused, "
            f"{receiver['heard']} arrived, {receiver['repeated']} twice; "
            f"missing {receiver['missing']}"
            for way, sender, receiver in (("from the hub", hub, spoke),
                                          ("to the hub", spoke, hub))
            if sender["refused"] or receiver["repeated"] or
            sender["sent"] != receiver["heard"]]
        return wrong, hub["sent"] + spoke["sent"]


def keep(daemon):
    """Its log, for whoever looks for the reason."""
    if os.environ.get("MOAT_KEEP"):
        with open(f"{os.environ['MOAT_KEEP']}/{daemon.ns}.log", "w") as f:
            f.write(daemon.said(10000))


def rules(ns, text):
    """nftables of a namespace."""
    subprocess.run(("ip", "netns", "exec", ns, "nft", "-f", "-"), input=text, text=True,
                   check=True)


def counted(ns, table):
    """Packets that each rule with a counter of a table saw."""
    text = run("nft", "-j", "list", "table", *table.split(), ns=ns, timeout=300)
    return [expr["counter"]["packets"] for item in json.loads(text)["nftables"]
            for expr in item.get("rule", {}).get("expr", []) if "counter" in expr]
