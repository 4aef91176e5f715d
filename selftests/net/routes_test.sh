#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The gateway's own packets: the route to a remote net gives them a source that a
# policy covers, whatever its local nets are, and whichever go at a reload. (That
# routes come back: daemon_test.sh.)
#
# usage: routes_test.sh

. "$(dirname "$0")/lib.sh"

build=$(moat_build) || exit 1
dir=$(mktemp -d)
psk=$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n')
moatd=${MOATD-san/moatd}
WAIT_SECONDS=90

# tunnel NAME LOCAL REMOTE LOCAL-NETS REMOTE-NETS
tunnel()
{
	printf '%s = { local = "%s"; remote = "%s"\nlocal-net = [ %s ]\nremote-net = [ %s ] }\n' "$@"
}

# sites LOCAL-NETS REMOTE-NET [MORE [FIRST]]: what both gateways have from now on; MORE
# and, before all else, FIRST are gw-a's
sites()
{
	echo "tunnels = { ${4-} $(tunnel b 192.0.2.1 192.0.2.2 "$1" "$2") ${3-} }" \
		>"$dir/gw-a/moat.conf"
	echo "tunnels = { $(tunnel b 192.0.2.2 192.0.2.1 "$2" "$1") }" >"$dir/gw-b/moat.conf"
}

reload()
{
	sites "$@" && moat_at gw-a reload && moat_at gw-b reload
}

# What leaves in clear for the other site, or asks for it where it is not.
canary()
{
	in_ns gw-a nft -f - <<-END
	table netdev canary {
	  chain out {
	    type filter hook egress device wan-a priority 0;
	    ip daddr 10.2.0.0/16 counter name clear
	    ip6 daddr fd00:2::/64 counter name clear
	    arp daddr ip 192.0.2.3 counter name clear
	  }
	  counter clear { }
	}
	END
}

# protected ADDRESS ROUTE: the gateway's own packets arrive, and not in clear; the
# route, but for what the kernel adds, is this one at once.
protected()
{
	local route
	route=$(ip -n gw-a route get "$1" | head -n 1)
	case $route in
	"$1 $2 "*) ;;
	*) echo "the route is: $route"; return 1 ;;
	esac
	in_ns gw-a ping -n -q -c 2 -i 0.2 -W 30 "$1" || return 1
	in_ns gw-a nft list counter netdev canary clear | grep -q 'packets 0 bytes 0' && return
	in_ns gw-a nft list counters
	return 1
}

first_of_two()
{
	reload '"10.1.0.0/24", "10.7.0.0/24"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.1.0.1"
}

second_of_two()
{
	reload '"10.7.0.0/24", "10.1.0.0/24"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.1.0.1"
}

another_net()
{
	reload '"10.5.0.0/24"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.5.0.1"
}

# The newest of two tunnels counts, and when it goes the other one.
one_of_two_tunnels()
{
	reload '"10.1.0.0/24"' '"10.2.0.0/24"' \
		"$(tunnel c 192.0.2.1 192.0.2.3 '"10.5.0.0/24"' '"10.2.0.0/24"')" &&
		ip -n gw-a route get 10.2.0.1 | grep 'via 192.0.2.3 .* src 10.5.0.1' &&
		reload '"10.1.0.0/24"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.1.0.1"
}

# What is for TCP alone covers no ping.
one_for_tcp_alone()
{
	reload '"10.5.0.0/24"' '"10.2.0.0/24"' "" \
		"t = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"; protocol = \"tcp\"
		local-net = \"10.1.0.0/24\"; remote-net = \"10.2.0.0/24\" }" &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.5.0.1"
}

# An address that others are not told of is one, too.
address_of_the_host_alone()
{
	ip -n gw-a address add 10.6.0.1/32 dev lo scope host &&
		reload '"10.6.0.0/24"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.6.0.1" &&
		ip -n gw-a address del 10.6.0.1/32 dev lo
}

# With the loopback's addresses in it, which nobody could answer to.
half_of_ipv4()
{
	reload '"0.0.0.0/1"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 10.1.0.1"
}

# In all addresses there is the one that the kernel takes. (gw-b has a default route
# that stands, which is no news.)
all_of_ipv4()
{
	reload '"0.0.0.0/0"' '"10.2.0.0/24"' &&
		protected 10.2.0.1 "via 192.0.2.2 dev wan-a table 500 src 192.0.2.1" &&
		! grep 'route-restored.*route to 0.0.0.0/0' "$dir/gw-b.log"
}

all_of_ipv6()
{
	reload '"::/0"' '"fd00:2::/64"' && protected fd00:2::1 "from :: dev wan-a table 500 proto 77 src 2001:db8::1"
}

# The peer lies in its remote net, where IKE alone goes in clear.
why_ike_passes()
{
	sites '"0.0.0.0/0"' '"192.0.2.0/24"' && moat_at gw-a reload &&
		moat_at gw-a why 192.0.2.1 192.0.2.2 udp 500 | grep '^bypass: ' &&
		moat_at gw-a why 192.0.2.1 192.0.2.2 udp 4500 | grep '^bypass: ' &&
		moat_at gw-a why 192.0.2.1 192.0.2.2 udp 501 | grep '^hold: '
}

sanitizers_silent()
{
	! grep -E 'Sanitizer|runtime error' "$dir"/*.log
}

trap 'topo_cleanup; rm -rf "$dir"' EXIT
mkdir -p "$dir/gw-a" "$dir/gw-b"
load_moat && topo_site_to_site && canary &&
	ip -n gw-a link add d5 type dummy && ip -n gw-a link set d5 up &&
	ip -n gw-a address add 10.5.0.1/24 dev d5 &&
	sites '"10.1.0.0/24"' '"10.2.0.0/24"' &&
	moatd_secret gw-a any "$psk" && moatd_secret gw-b any "$psk" || exit 1
ktap "gw-a starts" moatd_start gw-a "$moatd"
ktap "gw-b starts" moatd_start gw-b "$moatd"
ktap "the first of two networks has an address" moatd_logs first_of_two
ktap "the second of two networks has an address" moatd_logs second_of_two
ktap "a reload with another network" moatd_logs another_net
ktap "one of two tunnels goes at a reload" moatd_logs one_of_two_tunnels
ktap "a tunnel for TCP alone comes first" moatd_logs one_for_tcp_alone
ktap "an address of scope host" moatd_logs address_of_the_host_alone
ktap "0.0.0.0/1 as local network" moatd_logs half_of_ipv4
ktap "0.0.0.0/0 as local network" moatd_logs all_of_ipv4
ktap "::/0 as local network" moatd_logs all_of_ipv6
ktap "why IKE passes" moatd_logs why_ike_passes
ktap "gw-a stops" moatd_stop gw-a
ktap "gw-b stops" moatd_stop gw-b
ktap "the sanitizers have nothing to say" sanitizers_silent
ktap_finish
