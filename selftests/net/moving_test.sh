#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Gateways that move: a peer by its DNS name, whose answer changes; our own
# address, which changes; SAs that one side has lost. gw-a asks a name server of
# its own; gw-b has both addresses of gw-a in a list.
#
#   host-a --- gw-a ========= gw-b --- host-b
#
# usage: moving_test.sh

. "$(dirname "$0")/lib.sh"

build=$(moat_build) || exit 1
dir=$(mktemp -d)
psk=$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n')
moatd=${MOATD-san/moatd}
WAIT_SECONDS=90

# A name server that answers with what a file says, and with nothing else.
name_server()
{
	cat >"$dir/dns.py" <<-'END'
	import pathlib, socket, sys

	answers = pathlib.Path(sys.argv[1])
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("127.0.0.1", 53))
	pathlib.Path(sys.argv[2]).touch()
	while True:
	    query, client = s.recvfrom(512)
	    end = query.index(b"\0", 12)
	    question, name, at = query[12:end + 5], [], 12
	    while at < end:
	        name.append(query[at + 1:at + 1 + query[at]].decode())
	        at += 1 + query[at]
	    lines = [line.split() for line in answers.read_text().splitlines()]
	    known = [line[1] for line in lines if line[0] == ".".join(name).lower()]
	    records = known if query[end + 1:end + 3] == b"\0\1" else []
	    reply = query[:2] + (b"\x85\x80" if known else b"\x85\x83") + b"\0\1"
	    reply += len(records).to_bytes(2, "big") + b"\0\0\0\0" + question
	    for address in records:
	        reply += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address)
	    s.sendto(reply, client)
	END
	mkdir -p /etc/netns/gw-a
	echo "nameserver 127.0.0.1" >/etc/netns/gw-a/resolv.conf
	echo "options timeout:1 attempts:1" >>/etc/netns/gw-a/resolv.conf
	ip netns exec gw-a /usr/bin/python3 "$dir/dns.py" "$dir/answers" "$dir/dns.up" \
		>"$dir/dns.log" 2>&1 &
	dns=$!
	wait_for "the name server" test -e "$dir/dns.up"
}

# answers ADDRESS...: of gw-b.example from now on
answers()
{
	printf 'gw-b.example %s\n' "$@" >"$dir/answers.new"
	mv "$dir/answers.new" "$dir/answers"
}

configure()
{
	mkdir -p "$dir/gw-a" "$dir/gw-b"
	cat >"$dir/gw-a/moat.conf" <<-END
	tunnels = {
	  branch = {
	    local = "any"
	    remote = "gw-b.example"
	    local-net = "10.1.0.0/24"
	    remote-net = "10.2.0.0/24"
	  }
	  nowhere = {
	    local = "any"
	    remote = "nowhere.example"
	    local-net = "10.1.0.0/24"
	    remote-net = "10.9.0.0/24"
	  }
	}
	END
	cat >"$dir/gw-b/moat.conf" <<-END
	tunnels = { branch = {
	  local = "any"
	  remote = [ "192.0.2.1", "192.0.2.51" ]
	  local-net = "10.2.0.0/24"
	  remote-net = "10.1.0.0/24"
	} }
	END
	moatd_secret gw-a gw-b.example "$psk" nowhere.example "$psk"
	moatd_secret gw-b any "$psk"
}

# What leaves in clear, into a site or for one. (A port that is closed for a moment,
# at an address that is new, is nothing to look for: the peer asks again.)
canary()
{
	local ns
	for ns in a b; do
		in_ns gw-$ns nft -f - <<-END || return 1
		table netdev canary {
		  chain out {
		    type filter hook egress device wan-$ns priority 0;
		    ip daddr { 10.1.0.0/16, 10.2.0.0/16, 10.9.0.0/16 } counter name clear
		  }
		  counter clear { }
		}
		END
	done
}

canary_silent()
{
	local ns
	for ns in a b; do
		in_ns gw-$ns nft list counter netdev canary clear | grep -q 'packets 0 bytes 0' && continue
		in_ns gw-$ns nft list counters
		return 1
	done
}

pings()
{
	in_ns host-a ping -n -q -c 2 -i 0.2 -W 20 10.2.0.2
}

# whole SECONDS: a packet comes through again; how long that took is shown.
whole()
{
	local from=$SECONDS
	wait_for "a packet through the tunnel" in_ns host-a ping -n -q -c 1 -W 1 10.2.0.2 &&
		pings || return 1
	echo "# whole again after $((SECONDS - from)) s" >&3
}

# ends GATEWAY LOCAL REMOTE: of its policy
ends()
{
	moat_at "$1" policy list | grep "endpoints $2 $3" && return
	moat_at "$1" policy list
	return 1
}

resolver_has_no_rights()
{
	local pid
	pid=$(pgrep -P "$(cat "$dir/gw-a.pid")" -f '^moatd: resolve ') &&
		[ "$(stat -c %U "/proc/$pid")" = moat-resolve ] &&
		grep -q '^CapEff:[[:space:]]*0000000000000000' "/proc/$pid/status" &&
		! pgrep -P "$(cat "$dir/gw-b.pid")" -f '^moatd: resolve '
}

up_by_name()
{
	whole && ends gw-a 192.0.2.1 192.0.2.2
}

# Until its name is known nothing leaves for it.
unresolved_discards()
{
	! in_ns host-a ping -n -q -c 2 -i 0.2 -W 1 10.9.0.2 &&
		moat_at gw-a policy list | grep -q '10.9.0.0/24 .*discard' &&
		grep -q 'name-unresolved.*nowhere.example' "$dir/gw-a.log" && return
	moat_at gw-a policy list
	return 1
}

# address GATEWAY NEW OLD PEER: with its address a gateway loses its routes.
address()
{
	local dev=wan-${1#gw-}
	ip -n "$1" address del "$3/24" dev "$dev" &&
		ip -n "$1" address add "$2/24" dev "$dev" &&
		ip -n "$1" route replace default via "$4"
}

# The peer moves, and its name with it.
answer_changes()
{
	address gw-b 192.0.2.52 192.0.2.2 192.0.2.1 &&
		ip -n gw-a route replace default via 192.0.2.52 || return 1
	answers 192.0.2.52
	whole && ends gw-a 192.0.2.1 192.0.2.52 && ends gw-b 192.0.2.52 192.0.2.1
}

local_address_changes()
{
	address gw-a 192.0.2.51 192.0.2.1 192.0.2.52 &&
		ip -n gw-b route replace default via 192.0.2.51 || return 1
	whole && ends gw-a 192.0.2.51 192.0.2.52 && ends gw-b 192.0.2.52 192.0.2.51
}

# The peer has lost its SAs behind its daemon's back, and host-b says nothing.
lost_sas()
{
	local sent
	moat_at gw-b sa flush || return 1
	ip netns exec host-a ping -n -q -i 0.2 10.2.0.2 >/dev/null 2>&1 &
	sent=$!
	wait_for "INVALID-SPI" grep -q spi-refused "$dir/gw-a.log"
	kill $sent
	wait $sent
	whole && grep -q 'spi-unknown' "$dir/gw-b.log"
}

# A crash while the name server is silent: SAs are adopted, as their peer is known.
name_server_silent()
{
	local flow status
	kill $dns && wait_gone $dns
	# Not in_ns: the signal is for ping, and a function's shell would not pass it on.
	ip netns exec host-a ping -n -q -i 0.1 10.2.0.2 >"$dir/flow" 2>&1 &
	flow=$!
	moatd_stop gw-a -KILL && sleep 1 && moatd_start gw-a "$moatd" &&
		wait_for "its SAs" sh -c "[ \$(grep -c ipsec-adopted '$dir/gw-a.log') -gt 0 ]" &&
		wait_for "the silence" sh -c "grep -q 'gw-b.example has no address' '$dir/gw-a.log'" &&
		pings
	status=$?
	kill -INT $flow
	wait $flow
	grep -q ' 0% packet loss' "$dir/flow" && return $status
	cat "$dir/flow"
	return 1
}

sanitizers_silent()
{
	! grep -E 'Sanitizer|runtime error' "$dir"/*.log
}

exec 3>&1
trap 'topo_cleanup; rm -rf "$dir" /etc/netns/gw-a' EXIT
load_moat && topo_site_to_site && configure && answers 192.0.2.2 && name_server && canary ||
	exit 1
ktap "gw-b starts" moatd_start gw-b "$moatd"
ktap "gw-a starts" moatd_start gw-a "$moatd"
ktap "the resolver runs where there is a name, and has no rights" resolver_has_no_rights
ktap "up by the peer's name" moatd_logs up_by_name
ktap "a name without an address: discarded" moatd_logs unresolved_discards
ktap "another answer: the tunnel follows" moatd_logs answer_changes
ktap "another address of our own: the tunnel follows" moatd_logs local_address_changes
ktap "the peer has lost its SAs: INVALID-SPI" moatd_logs lost_sas
ktap "a crash without a name server loses nothing" moatd_logs name_server_silent
ktap "nothing was in clear" canary_silent
ktap "gw-a stops" moatd_stop gw-a
ktap "gw-b stops" moatd_stop gw-b
ktap "the sanitizers have nothing to say" sanitizers_silent
ktap_finish
