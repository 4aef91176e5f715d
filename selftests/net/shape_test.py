#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What moat.conf asks of packets beyond their protection, seen on the packets."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import netns
from ktap import Results, check, same, wait_for

BUILD = pathlib.Path(netns.shell("moat_build").strip())
ENDS = {"gw-a": ("192.0.2.1", "192.0.2.2"), "gw-b": ("192.0.2.2", "192.0.2.1")}
NETS = {"gw-a": ("10.1.0.0/24", "10.2.0.0/24"), "gw-b": ("10.2.0.0/24", "10.1.0.0/24")}
OWN = {"gw-a": ("10.8.1.0/24", "10.8.2.0/24"), "gw-b": ("10.8.2.0/24", "10.8.1.0/24")}
SHAPE = 'df = "clear"; dscp = 46; mss = 1000; tfc = 600; secpath = true'
TUNNEL = """{name} = {{
  local = "{ends[0]}"; remote = "{ends[1]}"
  local-net = "{nets[0]}"; remote-net = "{nets[1]}"
  {more}
}}
"""
SECPATH = """table inet seen {
  chain forward { type filter hook forward priority 0; meta ipsec exists counter name seen; }
  counter seen { }
}
"""


class Gateway:
    """moatd in a namespace, and the command."""

    def __init__(self, ns, folder):
        self.ns, self.dir, self.daemon = ns, pathlib.Path(folder) / ns, None
        self.dir.mkdir()
        secret = subprocess.run([BUILD / "moat", "genpsk"], text=True, check=True,
                                stdout=subprocess.PIPE).stdout
        self.write("secrets.conf", secret)

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o600)

    def configure(self, shape, more=""):
        tunnel = TUNNEL.format(name="shaped", ends=ENDS[self.ns], nets=NETS[self.ns], more=shape)
        self.write("moat.conf", f"tunnels = {{ {tunnel} {more} }}\n")

    def moat(self, *words):
        return netns.run("ip", "netns", "exec", self.ns, str(BUILD / "moat"), "-r",
                         str(self.dir / "run"), *words)

    def tries(self, *words):
        """The same where it may fail: what came of it."""
        return subprocess.run(["ip", "netns", "exec", self.ns, BUILD / "moat", "-r",
                               self.dir / "run", *words], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def start(self):
        with netns.inside(self.ns), open(self.dir / "log", "a", encoding="utf-8") as log:
            self.daemon = subprocess.Popen([BUILD / "moatd", "-c", self.dir, "-r",
                                            self.dir / "run"], stderr=log)
        wait_for(f"moatd in {self.ns}", self.answers, 60)

    def answers(self):
        try:
            return self.moat("status")
        except RuntimeError:
            return None

    def stop(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
        self.daemon = None

    def tunnel(self, name):
        tunnels = json.loads(self.moat("status", "--json"))["tunnels"]
        return next(t for t in tunnels if t["name"] == name)

    def spis(self):
        return {sa["spi"] for pair in self.tunnel("shaped")["pairs"] for sa in pair["sas"]}

    def policy(self, remote):
        """The one that stands for this remote net."""
        policies = [p for p in json.loads(self.moat("policy", "list", "--json"))["policies"]
                    if p.get("remote_net") == remote]
        same(len(policies), 1, f"policies to {remote} in {self.ns}")
        return policies[0]

    def log(self):
        return (self.dir / "log").read_text()


def ping(ns, target, *more):
    return netns.run("ip", "netns", "exec", ns, "ping", "-n", "-c", "1", "-W", "20",
                     *more, target)


def sealed(wire, *ping_words, back=False):
    """The outer headers of an echo, or of its answer: (DSCP, DF, length)."""
    wire.drain()
    ping("host-a", "10.2.0.2", *ping_words)
    frames = wire.frames(0.1, lambda f: f[12:14] == b"\x08\x00" and f[23] == 50, outgoing=back)
    check(frames, "no ESP")
    return {(f[15] >> 2, f[20] >> 6 & 1, int.from_bytes(f[16:18])) for f in frames}


def mss_of(frame):
    """The MSS that a SYN announces, or None."""
    at = 14 + (frame[14] & 15) * 4
    if frame[12:14] != b"\x08\x00" or frame[23] != 6 or not frame[at + 13] & 2:
        return None
    return int.from_bytes(re.search(rb"\x02\x04(..)", frame[at + 20:], re.S)[1])


# --- cases -------------------------------------------------------------------

def guessed(good, bad):
    """moatd and moat check tell of it, but not the secret; there is none of genpsk's."""
    told = bad.moat("check", "-c", str(bad.dir))
    for text in (told, bad.log()):
        check("the secret for \"192.0.2.77\" can be guessed" in text, text)
        check("hunter2" not in text, "the secret itself was told")
    check("warning" not in good.moat("check", "-c", str(good.dir)) + good.log(), good.log())


def outer_headers(wire):
    """DSCP, DF and length are as asked for, whatever is inside; what comes back is not."""
    words = ("-M", "do", "-Q", "0x20")
    same({o[:2] for o in sealed(wire, *words, "-s", "20")}, {(46, 0)}, "DSCP and DF")
    same({o[:2] for o in sealed(wire, *words, back=True)}, {(8, 0)}, "of what comes back")
    lengths = [min(sealed(wire, "-s", str(size)))[2] for size in (20, 500)]
    check(lengths[0] == lengths[1] > 600, f"lengths with tfc: {lengths}")


def announced(gateway, expected, configured):
    """TCP's SYN arrives with the MSS of the configuration, and the SYN+ACK as well."""
    with netns.inside("host-b"):
        server = socket.create_server(("10.2.0.2", 5998))
    there, here = netns.Link("host-b", "eth0"), netns.Link("host-a", "eth0")
    with server, netns.inside("host-a"), socket.socket() as client:
        client.settimeout(20)
        client.connect(("10.2.0.2", 5998))
    seen = [mss_of(link.frames(5, mss_of, 1)[0]) for link in (there, here)]
    there.close()
    here.close()
    same(seen, [expected] * 2, "MSS of SYN and SYN+ACK")
    same(gateway.policy("10.2.0.0/24")["mss"], configured, "MSS of the policy")


def secpaths():
    """Packets that nft saw come out of an SA."""
    rules = json.loads(netns.run("ip", "netns", "exec", "gw-a", "nft", "-j", "list", "counter",
                                 "inet", "seen", "seen"))
    return next(r["counter"]["packets"] for r in rules["nftables"] if "counter" in r)


def secpath_seen(_):
    """nft sees which packets came out of an SA: of an echo the answer."""
    netns.run("ip", "netns", "exec", "gw-a", "nft", "-f", "-", input=SECPATH)
    ping("host-a", "10.2.0.2")
    same(secpaths(), 1, "packets with a secpath")


def changed(gateway, wire):
    """A reload with another value: other SAs, other packets. Without one: the same SAs."""
    before = gateway.spis()
    gateway.moat("reload")
    same(gateway.spis(), before, "SPIs after a reload without a change")
    gateway.configure('df = "set"; dscp = 10; mtu = 1300; mss = "auto"', TUNNEL.format(
        name="down", ends=ENDS["gw-a"], nets=("10.1.0.0/24", "10.77.0.0/24"),
        more='start = "none"'))
    gateway.moat("reload")
    gateway.moat("up", "shaped", "--wait")
    check(not gateway.spis() & before, "the same SAs")
    same({o[:2] for o in sealed(wire)}, {(10, 1)}, "DSCP and DF")
    same(secpaths(), 1, "packets with a secpath")
    same(gateway.tunnel("shaped")["pairs"][0]["mtu"], 1300, "mtu in the status")
    done = subprocess.run(["ip", "netns", "exec", "host-a", "ping", "-c", "1", "-W", "5", "-M",
                           "do", "-s", "1273", "10.2.0.2"], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(done.returncode and "mtu = 1300" in done.stdout, done.stdout)
    ping("host-a", "10.2.0.2", "-M", "do", "-s", "1272")
    announced(gateway, 1260, "auto")


def metrics(gateway):
    """The samples by family, read as strictly as Prometheus' text format is written."""
    families, kinds, kind = {}, {}, None
    for line in gateway.moat("metrics").splitlines():
        if line.startswith("# "):
            word, name, rest = line[2:].split(" ", 2)
            if word == "TYPE":
                kind, kinds[name], families[name] = name, rest, {}
            check(word in ("HELP", "TYPE") and (word == "HELP" or rest in ("gauge", "counter")),
                  line)
            continue
        found = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="[^"]*",?)+\})? (\d+)', line)
        check(found and found[1] == kind, f"no sample of {kind}: {line}")
        labels = tuple(re.findall(r'([a-z]+)="([^"]*)"', found[2] or ""))
        check(labels not in families[kind], f"twice: {line}")
        families[kind][labels] = int(found[3])
    for name, kind in kinds.items():
        same(name.endswith("_total"), kind == "counter", f"{name} of type {kind}")
    return families


def measured(gateway):
    """Tunnels that are up and down are there; totals go on when SAs are replaced."""
    us = (("tunnel", "shaped"), ("peer", "192.0.2.2"))
    down = (("tunnel", "down"), ("peer", "192.0.2.2"))
    reason = us + (("reason", "out_mtu"),)
    before = metrics(gateway)
    same((before["moat_up"], before["moat_kernel_up"]), ({(): 1}, {(): 1}), "up")
    same(before["moat_tunnel_configured"], {us: 1, down: 1}, "configured")
    same(before["moat_tunnel_up"], {us: 1, down: 0}, "up")
    same(before["moat_tunnel_mtu_bytes"], {us: 1300}, "mtu")
    same(before["moat_tunnel_drops_total"], {reason: 1}, "drops")
    same(before["moat_kernel_total"][(("counter", "out_mtu"),)], 1, "drops of the namespace")
    gateway.moat("clear", "shaped")
    ping("host-a", "10.2.0.2")
    after = metrics(gateway)
    for name in (n for n in before if n.endswith("_total")):
        for labels, value in before[name].items():
            check(after[name].get(labels, -1) >= value, f"{name} {labels} went back from {value}")
    out = us + (("direction", "out"),)
    same(after["moat_tunnel_packets_total"][out], before["moat_tunnel_packets_total"][out] + 1,
         "packets out")
    same(after["moat_tunnel_drops_total"], {reason: 1}, "drops")
    gateway.stop()
    done = subprocess.run([BUILD / "moat", "-r", gateway.dir / "run", "metrics"], text=True,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 3 and "\nmoat_up 0\n" in done.stdout, done)


def add_devices(gateway, shape):
    """moat0 for what is routed there, moat1 for networks of its own."""
    every = TUNNEL.format(name="every", ends=ENDS[gateway.ns], nets=("0.0.0.0/0",) * 2,
                          more='device = "moat0"')
    own = TUNNEL.format(name="own", ends=ENDS[gateway.ns], nets=OWN[gateway.ns],
                        more='device = "moat1"')
    netns.ip(f"addr add {OWN[gateway.ns][0].replace('0/24', '1/24')} dev lo", ns=gateway.ns)
    gateway.configure(shape, every + own)


def restarted(gateway, other, wire):
    """What was changed while no daemon ran counts for the next one; nothing is left behind."""
    add_devices(gateway, "dscp = 20")
    gateway.start()
    add_devices(other, "")
    other.moat("reload")
    ping("host-a", "10.2.0.2")
    same({o[0] for o in sealed(wire)}, {20}, "DSCP")
    same(gateway.policy("10.2.0.0/24")["dscp"], 20, "dscp of the policy")


def devices(gateways):
    """Devices were made; networks are routed there, but everything (moat0) is not."""
    for g in gateways:
        same(g.tunnel("own")["device"], "moat1", "device in the status")
        check("device-made" in g.log(), "nothing in the log")
    routes = netns.run("ip", "-n", "gw-a", "route", "show", "table", "500")
    check("10.8.2.0/24 dev moat1 proto 77 src 10.8.1.1" in routes and "moat0" not in routes,
          f"routes: {routes}")
    netns.ip("addr add 10.9.0.1/30 dev moat0", ns="gw-a")
    netns.ip("addr add 10.9.0.2/30 dev moat0", ns="gw-b")
    for target, net, device in (("10.8.2.1", "10.8.2.0/24", "moat1"),
                                ("10.9.0.2", "0.0.0.0/0", "moat0")):
        ping("gw-a", target)
        policy = gateways[0].policy(net)
        same((policy["device"], policy["packets"]), (device, 1), "device, and its packets")


def device_gone(gateway):
    """A deleted device comes back with the next daemon; the other one's policy stays."""
    kept = gateway.policy("0.0.0.0/0")["id"]
    netns.ip("link del moat1", ns="gw-a")
    gateway.stop()
    gateway.start()
    same(gateway.policy("10.8.2.0/24")["device"], "moat1", "device of the policy")
    same(gateway.policy("0.0.0.0/0")["id"], kept, "id of a policy that did not change")

    # What comes under SAs from before is for the device that is gone, until they are replaced.
    def answered():
        try:
            ping("gw-a", "10.8.2.1")
            return True
        except RuntimeError:
            return False
    wait_for("an answer through the new device", answered, 60)


def other_device(gateway):
    """A device of another kind: no trap, so the tunnel is down and reload fails, until mended."""
    def own(device):
        gateway.configure("", TUNNEL.format(name="own", ends=ENDS["gw-a"], nets=OWN["gw-a"],
                                            more=f'device = "{device}"'))
    own("wan-a")
    for _ in range(2):
        done = gateway.tries("reload")
        check(done.returncode == 1 and "tunnel own" in done.stderr and
              "device wan-a is not of type moat" in done.stderr, done)
    same([gateway.tunnel(n)["state"] for n in ("own", "shaped")], ["down", "waiting"], "states")
    refused = [f for f in json.loads(gateway.moat("show", "failures", "--json"))["failures"]
               if f["event"] == "policy-refused"]
    same([f["tunnel"] for f in refused], ["own"], "failures")
    gateway.policy("10.2.0.0/24")
    own("moat1")
    gateway.moat("reload")
    same(gateway.tunnel("own")["state"], "waiting", "state when mended")
    gateway.policy("10.8.2.0/24")


def flushed(gateway, wire):
    """Policies deleted under the daemon: status restores them, as does reload, with SAs."""
    for words in (("status",), ("reload",)):
        gateway.moat("up", "shaped", "--wait")
        gateway.moat("policy", "flush")
        gateway.moat(*words)
        gateway.policy("10.2.0.0/24")
        check(sealed(wire), "no ESP")
        gateway.moat("up", "shaped", "--wait")
        same(gateway.tunnel("shaped")["state"], "up", f"state after {words[0]}")
    check("policy-restored shaped" in gateway.log(), gateway.log())


def not_ours(gateway):
    """A local address that this machine does not have is named, with its tunnel."""
    text = "local address 203.0.113.7 is on no interface of this machine"
    gateway.configure("", TUNNEL.format(name="away", ends=("203.0.113.7", "192.0.2.2"),
                                        nets=("10.1.0.0/24", "10.66.0.0/24"), more=""))
    gateway.moat("reload")
    done = gateway.tries("up", "away", "--wait")
    check(done.returncode == 1 and text in done.stderr, done)
    check(f"send-failed away: the {text}" in gateway.log(), gateway.log())
    check(text in gateway.moat("show", "failures"), "nothing in the failures")


def main():
    results = Results()
    netns.shell("load_moat && topo_site_to_site")
    with tempfile.TemporaryDirectory() as folder:
        gateways = [Gateway(ns, folder) for ns in ENDS]
        a, b = gateways
        b.write("secrets.conf", (a.dir / "secrets.conf").read_text().replace(
            " )\n", ', { remote = "192.0.2.77", psk = "hunter2" } )\n'))
        a.configure(SHAPE)
        b.configure("")
        wire = netns.Link("gw-b", "wan-b")
        for g in gateways:
            g.start()
        results.run("a secret that can be guessed", guessed, a, b)
        results.run("a packet brings it up", ping, "host-a", "10.2.0.2")
        results.run("outer headers and length", outer_headers, wire)
        results.run("MSS", announced, a, 1000, 1000)
        results.run("secpath", secpath_seen, a)
        results.run("changed by a reload", changed, a, wire)
        results.run("metrics", measured, a)
        results.run("changed while no daemon runs", restarted, a, b, wire)
        results.run("devices", devices, gateways)
        results.run("a deleted device", device_gone, a)
        results.run("a device of another kind", other_device, a)
        results.run("policies flushed under the daemon", flushed, a, wire)
        results.run("a local address of nobody", not_ours, a)
        for g in gateways:
            g.stop()
        if results.failed:
            print("".join(f"# {line}\n" for g in gateways for line in g.log().splitlines()[-40:]))
        wire.close()
    results.run("unload", netns.shell, "unload_moat && topo_cleanup")
    results.finish()


main()
