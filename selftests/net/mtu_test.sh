#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# At the limit of a tunnel, and one octet over it.
#
# AES-GCM-128 over IPv4: 1500 - 20 (IP) - 8 (ESP) - 8 (IV) - 16 (ICV) = 1448, a
# multiple of 4, of which 2 are the trailer: 1446. Over IPv6 20 less: 1426, its
# 1428 a multiple of 4.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

# ping_of NS SIZE_OF_PACKET TARGET [OPTION...]: one packet of that many octets
ping_of()
{
	local ns=$1 octets=$2 target=$3 head=28
	shift 3
	[[ $target != *:* ]] || head=48
	in_ns "$ns" ping -n -c 1 -W 5 -s $((octets - head)) "$@" "$target"
}

# told MTU COMMAND...: it fails, and says which MTU it was told
told()
{
	local mtu=$1 output
	shift
	output=$("$@" 2>&1) && { echo "$output"; echo "passed"; return 1; }
	grep -qE "mtu ?= ?$mtu" <<<"$output" || { echo "$output"; return 1; }
}

dropped()
{
	moat gw-a sa list --json | python3 -c '
import json, sys
print(sum(sa["drops"].get("out_mtu", 0) for sa in json.load(sys.stdin)["sas"]))'
}

# forget_paths: what senders have learnt
forget_paths()
{
	local ns
	for ns in host-a gw-a; do
		ip -n $ns route flush cache
		ip -n $ns -6 route flush cache
	done
}

topo_site_to_site && load_moat && pair_up || exit 1
moat gw-a policy add id 8 local fd00:1::/64 remote fd00:2::/64 action protect \
	endpoints 192.0.2.1 192.0.2.2 mode tunnel &&
	moat gw-b policy add id 8 local fd00:2::/64 remote fd00:1::/64 action protect \
		endpoints 192.0.2.2 192.0.2.1 mode tunnel || exit 1
for spi in 0xc0ffee11 0xc0ffee12; do
	cp "$pair_keys/$spi_a" "$pair_keys/$spi"
done
alg=aes128gcm16
for row in "gw-a in 0xc0ffee11 192.0.2.2 192.0.2.1" "gw-b in 0xc0ffee12 192.0.2.1 192.0.2.2" \
	"gw-a out 0xc0ffee12 192.0.2.1 192.0.2.2" "gw-b out 0xc0ffee11 192.0.2.2 192.0.2.1"; do
	set -- $row
	moat "$1" sa add "$2" esp spi "$3" src "$4" dst "$5" alg $alg \
		key "@$pair_keys/$3" policy 8 || exit 1
done

ktap_is "the SA says 1446" 1446 sa_field gw-a $spi_b mtu
ktap "forwarded, 1446 octets with DF pass" ping_of host-a 1446 10.2.0.2 -M do
ktap "forwarded, 1447 do not, and the sender is told 1446" \
	told 1446 ping_of host-a 1447 10.2.0.2 -M do
ktap_is "one drop, out_mtu" 1 dropped
forget_paths
ktap "forwarded, 1447 without DF pass in fragments" ping_of host-a 1447 10.2.0.2 -M dont
ktap "forwarded, 4000 in fragments of the sender pass" ping_of host-a 4000 10.2.0.2 -M dont
ktap "local, 1446 octets with DF pass" ping_of gw-a 1446 10.2.0.2 -M do -I 10.1.0.1
# the first is refused by us, the second by the route that learnt
ktap "local, 1447 do not pass" eval \
	'! ping_of gw-a 1447 10.2.0.2 -M do -I 10.1.0.1; told 1446 ping_of gw-a 1447 10.2.0.2 -M do -I 10.1.0.1'
ktap "local, 3000 without DF pass" ping_of gw-a 3000 10.2.0.2 -M dont -I 10.1.0.1
ktap "forwarded IPv6, 1446 octets pass" ping_of host-a 1446 fd00:2::2 -M do
ktap "forwarded IPv6, 1447 do not, and the sender is told 1446" \
	told 1446 ping_of host-a 1447 fd00:2::2 -M do

# A router on the way says 1300: what the ICMP error quotes is ESP.
forget_paths
ip -n gw-a route add 192.0.2.2 dev wan-a mtu 1300
ktap_is "over a path of 1300 octets the SA says 1246" 1246 sa_field gw-a $spi_b mtu
ktap "and 1246 octets pass" ping_of host-a 1246 10.2.0.2 -M do
ktap "and the sender of 1247 is told" told 1246 ping_of host-a 1247 10.2.0.2 -M do
# below 1280 an IPv6 sender is told 1280, and the outer packet is cut
ktap "IPv6: the sender of 1281 octets is told 1280" told 1280 ping_of host-a 1281 fd00:2::2 -M do
ktap "IPv6: 1280 octets pass, in outer fragments" ping_of host-a 1280 fd00:2::2 -M do
pair_down
ktap "the module unloads" unload_moat
topo_cleanup
ktap_finish
