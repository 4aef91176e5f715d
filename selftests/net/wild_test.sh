#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A hub, gw-a, that knows none of its peers' addresses, only who may sign their
# certificates: gw-b beside it, gw-c and gw-d behind one NAT. Each has a network of
# its own, 10.50.N.0/24. What is discarded for want of a peer holds gw-b's own address,
# too: IKE must pass.
#
#   host-a --- gw-a 192.0.2.1 ===== 192.0.2.2 gw-b
#               203.0.113.1 ===== 203.0.113.2 nat ----- 192.168.8.2 gw-c
#                                                 ----- 192.168.9.2 gw-d
#
# usage: wild_test.sh

. "$(dirname "$0")/lib.sh"

build=$(moat_build) || exit 1
certs=$build/../selftests/certs
dir=$(mktemp -d)
WAIT_SECONDS=90

topology()
{
	topo_site_to_site && topo_cleanup nat gw-c gw-d && topo_namespace nat gw-c gw-d &&
		topo_wire gw-a wan-n 203.0.113.1/24 nat wan 203.0.113.2/24 &&
		topo_wire nat lan-c 192.168.8.1/24 gw-c wan-c 192.168.8.2/24 &&
		topo_wire nat lan-d 192.168.9.1/24 gw-d wan-d 192.168.9.2/24 &&
		ip -n gw-b address add 10.50.1.1/24 dev lo &&
		ip -n gw-c address add 10.50.2.1/24 dev lo &&
		ip -n gw-d address add 10.50.3.1/24 dev lo &&
		ip -n nat route add default via 203.0.113.1 &&
		ip -n gw-c route add default via 192.168.8.1 &&
		ip -n gw-d route add default via 192.168.9.1 &&
		in_ns nat nft -f - <<-END && canary
		table ip nat {
		  chain out {
		    type nat hook postrouting priority srcnat;
		    oifname "wan" masquerade
		  }
		}
		END
}

# What leaves the hub in clear for one of the peers' networks.
canary()
{
	in_ns gw-a nft -f - <<-END
	table netdev canary {
	  chain beside {
	    type filter hook egress device wan-a priority 0;
	    ip daddr 10.50.0.0/16 counter name clear
	  }
	  chain nat {
	    type filter hook egress device wan-n priority 0;
	    ip daddr 10.50.0.0/16 counter name clear
	  }
	  counter clear { }
	}
	END
}

canary_silent()
{
	in_ns gw-a nft list counter netdev canary clear | grep 'packets 0 bytes 0'
}

# credentials GATEWAY NAME
credentials()
{
	mkdir -p "$dir/$1" && cp "$certs/$2.pem" "$dir/$1/cert.pem" &&
		cp "$certs/ca.pem" "$dir/$1/ca.pem" &&
		(umask 077 && cat "$certs/$2.key" >"$dir/$1/key.pem")
}

# What all of them have in their tunnel.
common='auth = "rsa-sig"
	  ike = [ "aes128-sha256-ecp256" ]
	  esp = [ "aes128gcm16" ]
	  cert = "cert.pem"
	  key = "key.pem"
	  ca = "ca.pem"'

hub()
{
	credentials gw-a gw-a || return 1
	cat >"$dir/gw-a/moat.conf" <<-END
	tunnels = { road = {
	  local = "192.0.2.1"
	  remote = "any"
	  local-net = "0.0.0.0/0"
	  remote-net = [ "10.50.0.0/16", "192.0.2.0/25" ]
	$common
	  local-id = "gw-a.example"
	} }
	END
	again gw-a
}

peer() # GATEWAY LOCAL NUMBER IDENTITY
{
	credentials "$1" gw-b || return 1
	cat >"$dir/$1/moat.conf" <<-END
	tunnels = { hub = {
	  local = "$2"
	  remote = "192.0.2.1"
	  local-net = "10.50.$3.0/24"
	  remote-net = "10.1.0.0/24"
	$common
	  local-id = "$4"
	  remote-id = "gw-a.example"
	  start = "up"
	  dpd = 3
	  dpd-timeout = 12
	} }
	END
	again "$1"
}

# The hub's with sanitizers; its peers need not be that slow.
again() # GATEWAY
{
	local moatd=moatd
	[ "$1" != gw-a ] || moatd=${MOATD-san/moatd}
	moatd_start "$1" $moatd
}

ping_site() # GATEWAY NUMBER
{
	in_ns "$1" ping -n -q -c 2 -i 0.2 -W 20 -I "10.50.$2.1" 10.1.0.2
}

ping_peer() # NUMBER
{
	in_ns host-a ping -n -q -c 2 -i 0.2 -W 5 "10.50.$1.1"
}

# Nobody is there: what is for them leaves neither in clear nor otherwise.
nobody()
{
	! ping_peer 1 && ! ping_peer 2 &&
		moat_at gw-a policy list | grep '10.50.0.0/16 action discard'
}

all_up()
{
	peer gw-b 192.0.2.2 1 gw-b.example && peer gw-c 192.168.8.2 2 vpn@gw-b.example &&
		peer gw-d 192.168.9.2 3 "dn:C=DE, O=Moat test, CN=gw-b" && all_there
}

all_there()
{
	wait_for "gw-b" ping_site gw-b 1 && wait_for "gw-c" ping_site gw-c 2 &&
		wait_for "gw-d" ping_site gw-d 3 && ping_peer 1 && ping_peer 2 && ping_peer 3
}

# The template, and a tunnel for each peer: name, identity, networks, two SAs; those
# of the two behind the NAT have its address and ports of their own.
shown()
{
	moat_at gw-a show ipsec && moat_at gw-a status --json | /usr/bin/python3 -c '
import json, sys
tunnels = {t["name"]: t for t in json.load(sys.stdin)["tunnels"]}
road = tunnels.pop("road")
assert road["remote"] == "any" and road["configured"] and road["state"] == "up", road
who = {"gw-b.example": "1", "vpn@gw-b.example": "2"}
ports = set()
for name, tunnel in tunnels.items():
    assert name.startswith("road:") and tunnel["template"] == "road", tunnel
    assert not tunnel["configured"] and tunnel["state"] == "up", tunnel
    net = who.get(tunnel["remote_id"])
    if tunnel["remote_id"].startswith("dn:"):
        assert "CN=gw-b" in tunnel["remote_id"], tunnel
        net = "3"
    (pair,) = tunnel["pairs"]
    assert pair["remote_net"] == "10.50.%s.0/24" % net, tunnel
    assert len(pair["sas"]) == 2, pair
    assert tunnel["counters"]["packets_in_total"] > 0, tunnel
    if tunnel["remote"] == "203.0.113.2":
        ports.add(pair["sas"][0]["encap"]["remote_port"])
assert len(tunnels) == 3 and len(ports) == 2, (tunnels, ports)' &&
		moat_at gw-a metrics | grep 'tunnel="road"' | grep -c moat_tunnel_up | grep -x 0
}

name_of() # NUMBER: what the hub calls its tunnel
{
	moat_at gw-a status --json | /usr/bin/python3 -c '
import json, sys
for t in json.load(sys.stdin)["tunnels"]:
    if t.get("template") and t["pairs"][0]["remote_net"] == "10.50.%s.0/24" % sys.argv[1]:
        print(t["name"])' "$1"
}

gone() # NUMBER
{
	! moat_at gw-a policy list | grep "10.50.$1.0/24"
}

# One goes at the word of the operator, and its peer comes back.
one_down()
{
	moat_at gw-a down "$(name_of 2)" --wait && gone 2 && ping_site gw-d 3 &&
		wait_for "gw-c again" ping_site gw-c 2
}

all_down()
{
	moat_at gw-a down road --wait && gone 1 && gone 2 && gone 3 && ! ping_peer 1 &&
		moat_at gw-a status | grep '^road: down' && moat_at gw-a up road && all_there
}

# From another address, with all that it has.
moved()
{
	moatd_stop gw-b -KILL
	ip -n gw-b address del 192.0.2.2/24 dev wan-b &&
		ip -n gw-b address add 192.0.2.77/24 dev wan-b &&
		ip -n gw-b route replace default via 192.0.2.1 &&
		in_ns gw-b "$build/moat" policy flush && in_ns gw-b "$build/moat" sa flush &&
		peer gw-b 192.0.2.77 1 gw-b.example &&
		wait_for "gw-b from elsewhere" ping_site gw-b 1 &&
		grep wild-moved "$dir/gw-a.log" &&
		moat_at gw-a policy list | grep 'endpoints 192.0.2.1 192.0.2.77' &&
		! moat_at gw-a policy list | grep 'endpoints 192.0.2.1 192.0.2.2 '
}

reloaded()
{
	moat_at gw-a reload && ping_peer 1 && ping_peer 2 && ping_peer 3
}

# The next one learns from the kernel what stands, and from the core who wants it.
kernel_process_killed()
{
	kill -KILL "$(pgrep -P "$(cat "$dir/gw-a.pid")" -f '^moatd: kernel ')" &&
		wait_for "the next one" moat_at gw-a reload && reloaded
}

# What peers have does not outlive the hub's daemon: the next one begins with the
# discarding policy alone, and the peers come back.
restarted()
{
	moatd_stop gw-a -KILL && again gw-a && all_there
}

unload()
{
	local ns
	for ns in gw-a gw-b gw-c gw-d; do
		moatd_stop $ns
	done
	! grep -h 'Sanitizer\|runtime error' "$dir/gw-a.log" || return 1
	unload_moat && topo_cleanup && topo_cleanup nat gw-c gw-d
}

logs() # ... of a failed case
{
	moatd_logs "$@" && return 0
	moat_at gw-a policy list
	return 1
}

load_moat && topology && hub || exit 1
ktap "nobody is there: discarded" logs nobody
ktap "three peers of unknown address, two behind one NAT" logs all_up
ktap "each has a tunnel of its own" logs shown
ktap "a reload leaves them alone" logs reloaded
ktap "so does the end of the kernel process" logs kernel_process_killed
ktap "the operator takes one down" logs one_down
ktap "the operator takes all down, and lets them in again" logs all_down
ktap "a peer comes back from another address" logs moved
ktap "the hub's daemon is killed, and comes back" logs restarted
ktap "nothing left in clear" canary_silent
ktap "unload" unload
rm -rf "$dir"
ktap_finish
