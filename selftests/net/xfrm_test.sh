#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel's own IPsec as peer, with manual keys: algorithms, and combinations
# of inner and outer family.
#
#   host-a --- gw-a (Moat) ========= gw-b (XFRM) --- host-b
#
# usage: xfrm_test.sh [PATTERN]: only the rows whose name matches

. "$(dirname "$0")/lib.sh"

moat()
{
	in_ns gw-a "$(moat_build)/moat" "$@"
}

spi_to_a=0xc0ffee01
spi_to_b=0xc0ffee02
keys=$(mktemp -d)
pattern=${1-}
umask 077

# random_hex BYTES
random_hex()
{
	od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# xfrm_algorithm NAME KEY: what `ip xfrm state add` calls it, in $xfrm; what
# each takes of the key stands beside it.
xfrm_algorithm()
{
	local enc=${1%-*} auth=${1#*-} key=$2 enc_len mac trunc
	case $1 in
	*gcm*) xfrm=(aead "rfc4106(gcm(aes))" "0x$key" $((${1#*gcm} * 8))); return ;;
	esac
	case $enc in
	null) enc_len=0 xfrm=(enc "ecb(cipher_null)" "") ;;
	aes*) enc_len=$((${enc#aes} / 8)) xfrm=(enc "cbc(aes)" "0x${key:0:$((enc_len * 2))}") ;;
	esac
	case $auth in
	sha1) mac=sha1 trunc=96 ;;
	sha256) mac=sha256 trunc=128 ;;
	esac
	xfrm+=(auth-trunc "hmac($mac)" "0x${key:$((enc_len * 2))}" $trunc)
}

# key_bytes NAME: cipher key, salt and integrity key together.
key_bytes()
{
	local enc=${1%%[-g]*} auth=${1#*-} n=0
	case $1 in
	*gcm*) echo $((${enc#aes} / 8 + 4)); return ;;
	aes*) n=$((${enc#aes} / 8)) ;;
	esac
	case $auth in
	sha1) n=$((n + 20)) ;;
	sha256) n=$((n + 32)) ;;
	esac
	echo $n
}

# addresses INNER OUTER
addresses()
{
	case $1 in
	4) net_a=10.1.0.0/24 net_b=10.2.0.0/24 host_b=::ffff:10.2.0.2 ;;
	6) net_a=fd00:1::/64 net_b=fd00:2::/64 host_b=fd00:2::2 ;;
	esac
	case $2 in
	4) gw_a=192.0.2.1 gw_b=192.0.2.2 ;;
	6) gw_a=2001:db8::1 gw_b=2001:db8::2 ;;
	esac
}

# tunnel_up NAME [esn]: both ends, with fresh keys. The inbound SA comes before
# what may use it.
tunnel_up()
{
	local bytes way xfrm esn=
	[ "${2-}" != esn ] || esn=1
	bytes=$(key_bytes "$1")
	for way in in out; do
		random_hex "$bytes" >"$keys/$way"
	done
	xfrm_algorithm "$1" "$(cat "$keys/out")"
	ip -n gw-b xfrm state add src $gw_a dst $gw_b proto esp spi $spi_to_b reqid 1 \
		mode tunnel ${esn:+replay-seq 0 flag esn replay-window 128} "${xfrm[@]}" \
		sel src $net_a dst $net_b || return 1
	xfrm_algorithm "$1" "$(cat "$keys/in")"
	ip -n gw-b xfrm state add src $gw_b dst $gw_a proto esp spi $spi_to_a reqid 1 \
		mode tunnel ${esn:+replay-seq 0 flag esn replay-window 128} "${xfrm[@]}" \
		sel src $net_b dst $net_a || return 1
	ip -n gw-b xfrm policy add dir out src $net_b dst $net_a \
		tmpl src $gw_b dst $gw_a proto esp reqid 1 mode tunnel || return 1
	for way in in fwd; do
		ip -n gw-b xfrm policy add dir $way src $net_a dst $net_b \
			tmpl src $gw_a dst $gw_b proto esp reqid 1 mode tunnel || return 1
	done
	moat policy add id 7 local $net_a remote $net_b action protect \
		endpoints $gw_a $gw_b mode tunnel &&
		moat sa add in esp spi $spi_to_a src $gw_b dst $gw_a alg "$1" \
			key "@$keys/in" policy 7 replay 1024 ${2-} &&
		moat sa add out esp spi $spi_to_b src $gw_a dst $gw_b alg "$1" \
			key "@$keys/out" policy 7 ${2-}
}

tunnel_down()
{
	moat policy flush && moat sa flush &&
		ip -n gw-b xfrm policy flush && ip -n gw-b xfrm state flush
}

# What all SAs of Moat have carried and dropped, in one line.
sas_carried()
{
	moat sa list --json | python3 -c '
import json, sys
print(*(f"{sa['"'packets'"']}{sa['"'drops'"']}" for sa in json.load(sys.stdin)["sas"]))'
}

# One client and one server for all rows: interpreters start slowly.
cat >"$keys/echo" <<'END'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7))
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data, peer)
END
cat >"$keys/client" <<'END'
import os, socket, sys
SIZES = (*range(33), 100, 1000, 1300)	# every length of padding, and some more
for line in sys.stdin:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(5)
    good = 0
    try:
        for size in SIZES:
            data = os.urandom(size)
            s.sendto(data, (line.strip(), 7))
            back = s.recv(65535)
            good += back == data
            if back != data:
                print(f"{size} octets came back as {len(back)} others", file=sys.stderr)
    except OSError as error:
        print(f"{size} octets: {error}", file=sys.stderr)
    print(good, len(SIZES), flush=True)
END

# Datagrams of many lengths go to host_b and come back, all through the tunnel:
# both SAs count every one, and neither dropped any.
echoes_pass()
{
	local good sent n
	echo "$host_b" >&"${client[1]}"
	while read -r good sent; do
		case $good$sent in
		*[!0-9]*) echo "$good $sent" ;;
		*) break ;;
		esac
	done <&"${client[0]}"
	n=$(sas_carried)
	[ "$good:$n" = "$sent:$sent{} $sent{}" ] || {
		moat sa list
		ip -n gw-b -s xfrm state
		in_ns gw-b cat /proc/net/xfrm_stat | grep -v '[^0-9]0$'
		echo "$good of $sent came back; SAs: $n"
		return 1
	}
}

# row ALGORITHM INNER OUTER [esn]
row()
{
	local name="$1: tunnel, IPv$2 in IPv$3${4:+, $4}"
	[[ $name == *$pattern* ]] || return 0
	addresses "$2" "$3"
	ktap "$name" eval "tunnel_up $1 ${4-} && echoes_pass"
	tunnel_down || moat policy list
}

topo_site_to_site && load_moat || exit 1
ip netns exec host-b python3 "$keys/echo" >/dev/null &
coproc client { ip netns exec host-a python3 "$keys/client" 2>&1; }

for inner in 4 6; do
	for outer in 4 6; do
		row aes128gcm16 $inner $outer
	done
done
# the format is one for all: the other algorithms are algorithms_test.py's, the
# rest of the combinations scapy's (packet/)
for alg in aes256-sha256 null-sha1; do
	row $alg 4 4
	row $alg 6 6
done
row aes256-sha256 4 4 esn
exec {client[1]}>&-
ktap "the module unloads" unload_moat
topo_cleanup
ktap_finish
