#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# moatd on both sides of a NAT that masquerades, and that changes its mapping.
# gw-c has two networks, so one pair of SAs hears nothing when the other does.
#
#   host-a --- gw-a 203.0.113.1 ===== 203.0.113.2 nat ----- 192.168.9.2 gw-c
#
# usage: natt_test.sh

. "$(dirname "$0")/lib.sh"

build=$(moat_build) || exit 1
dir=$(mktemp -d)
psk=$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n')
WAIT_SECONDS=60

topology()
{
	topo_site_to_site && topo_cleanup nat gw-c && topo_namespace nat gw-c &&
		topo_wire gw-a wan-n 203.0.113.1/24 nat wan 203.0.113.2/24 &&
		topo_wire nat lan 192.168.9.1/24 gw-c wan-c 192.168.9.2/24 &&
		ip -n gw-a route add 10.3.0.0/16 via 203.0.113.2 &&
		ip -n gw-c address add 10.3.0.1/24 dev lo &&
		ip -n gw-c address add 10.3.1.1/24 dev lo &&
		ip -n gw-c route add default via 192.168.9.1
}

# mapping PORT: what was mapped before is forgotten with the address.
mapping()
{
	in_ns nat nft -f - <<-END || return 1
	table ip nat
	delete table ip nat
	table ip nat {
	  chain out {
	    type nat hook postrouting priority srcnat;
	    oifname "wan" udp sport 500 masquerade
	    oifname "wan" udp sport 4500 masquerade to :$1
	  }
	}
	END
	ip -n nat address flush dev wan && ip -n nat address add 203.0.113.2/24 dev wan
}

gateway() # GATEWAY LOCAL REMOTE LOCAL-NETS REMOTE-NETS IDENTITY
{
	mkdir -p "$dir/$1"
	cat >"$dir/$1/moat.conf" <<-END
	tunnels = { road = {
	  local = "$2"
	  remote = "$3"
	  local-net = [ $4 ]
	  remote-net = [ $5 ]
	  $6 = "c.example.org"
	} }
	END
	moatd_secret "$1" any "$psk" && moatd_start "$1"
}

# encaps_are GATEWAY PORT: all it sends goes to this port of the peer. An inbound
# SA shows where it heard the peer last, which may be long ago.
encaps_are()
{
	moat_at "$1" status --json | /usr/bin/python3 -c '
import json, sys
s = json.load(sys.stdin)
found = [sa["encap"] for p in s["tunnels"][0]["pairs"] for sa in p["sas"]
	if sa["direction"] == "out"]
right = {"local_port": 4500, "remote_port": int(sys.argv[1])}
sys.exit(0 if found == [right] * 2 else repr(found))' "$2"
}

pings() # NAMESPACE ADDRESS [SOURCE]
{
	in_ns "$1" ping -n -q -c 2 -i 0.2 -W 20 ${3:+-I "$3"} "$2"
}

up()
{
	moat_at gw-c up road --wait && encaps_are gw-a 4600 && encaps_are gw-c 4500
}

both_ways()
{
	local net
	for net in 0 1; do
		pings gw-c 10.1.0.2 10.3.$net.1 && pings host-a 10.3.$net.1 || return 1
	done
}

# One packet of one pair is enough for both, and for IKE.
rebound()
{
	mapping 4601 && wait_for "the first pair" pings gw-c 10.1.0.2 10.3.0.1 &&
		WAIT_SECONDS=10 wait_for "the other pair's new port" encaps_are gw-a 4601 &&
		pings host-a 10.3.1.1 && grep -q nat-moved "$dir/gw-a.log"
}

down_of() # GATEWAY: it has no SA any more
{
	moat_at "$1" status --json | grep -q '"sas": *\[\]\|"sas":\[\]' &&
		! moat_at "$1" status --json | grep -q '"spi"'
}

ends_there_too()
{
	moat_at gw-a down road --wait && wait_for "the delete behind the NAT" down_of gw-c &&
		moat_at gw-a up road >/dev/null
	wait_for "the way back" moat_at gw-c up road --wait
}

# The gateway's daemon is gone, its tunnel is not; another one takes over.
killed()
{
	moatd_stop gw-a -KILL && both_ways || return 1
	moatd_start gw-a && wait_for "both directions" both_ways &&
		wait_for "phase 1 of the new daemon" phase1_of gw-a
}

phase1_of()
{
	moat_at "$1" status --json | grep -q QM_IDLE
}

unload()
{
	moatd_stop gw-a
	moatd_stop gw-c
	in_ns gw-c "$build/moat" policy flush && in_ns gw-c "$build/moat" sa flush &&
		unload_moat && topo_cleanup && topo_cleanup nat gw-c
}

load_moat && topology && mapping 4600 &&
	gateway gw-a 203.0.113.1 203.0.113.2 '"10.1.0.0/24"' '"10.3.0.0/24", "10.3.1.0/24"' remote-id &&
	gateway gw-c 192.168.9.2 203.0.113.1 '"10.3.0.0/24", "10.3.1.0/24"' '"10.1.0.0/24"' local-id ||
	exit 1
ktap "up from behind the NAT" moatd_logs up
ktap "both networks, both ways" moatd_logs both_ways
ktap "another port: both pairs follow" moatd_logs rebound
ktap "a delete reaches the new port" moatd_logs ends_there_too
ktap "the daemon is killed, and comes back" moatd_logs killed
ktap "unload" unload
rm -rf "$dir"
ktap_finish
