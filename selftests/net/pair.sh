# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two gateways with Moat and manual keys; source it after lib.sh.

spi_a=0xc0ffee01	# for gw-a
spi_b=0xc0ffee02	# for gw-b
pair_keys=$(mktemp -d)
umask 077

# moat GATEWAY WORD...
moat()
{
	local ns=$1
	shift
	in_ns "$ns" "$(moat_build)/moat" "$@"
}

# pair_policies [WORD...]: one policy on each side, id 7.
pair_policies()
{
	moat gw-a policy add id 7 local 10.1.0.0/24 remote 10.2.0.0/24 action protect \
		endpoints 192.0.2.1 192.0.2.2 mode tunnel "$@" &&
		moat gw-b policy add id 7 local 10.2.0.0/24 remote 10.1.0.0/24 action protect \
			endpoints 192.0.2.2 192.0.2.1 mode tunnel "$@"
}

# pair_sas ALGORITHM KEY_BYTES [WORD...]: both SAs on both sides, with fresh keys.
pair_sas()
{
	local alg=$1 bytes=$2 spi
	shift 2
	for spi in $spi_a $spi_b; do
		od -An -v -tx1 -N "$bytes" /dev/urandom | tr -d ' \n' >"$pair_keys/$spi"
	done
	pair_add gw-a in $spi_a 192.0.2.2 192.0.2.1 "$@" &&
		pair_add gw-b in $spi_b 192.0.2.1 192.0.2.2 "$@" &&
		pair_add gw-a out $spi_b 192.0.2.1 192.0.2.2 "$@" &&
		pair_add gw-b out $spi_a 192.0.2.2 192.0.2.1 "$@"
}

pair_add()
{
	local ns=$1 way=$2 spi=$3 src=$4 dst=$5
	shift 5
	moat "$ns" sa add "$way" esp spi "$spi" src "$src" dst "$dst" alg "$alg" \
		key "@$pair_keys/$spi" policy 7 "$@"
}

# pair_up: what most tests want.
pair_up()
{
	pair_policies && pair_sas aes128gcm16 20
}

pair_down()
{
	local ns
	for ns in gw-a gw-b; do
		moat $ns policy flush && moat $ns sa flush || return 1
	done
}

# sa_field GATEWAY SPI FIELD
sa_field()
{
	moat "$1" sa list --json | python3 -c '
import json, sys
for sa in json.load(sys.stdin)["sas"]:
    if int(sa["spi"], 16) == int(sys.argv[1], 16):
        print(sa[sys.argv[2]])' "$2" "$3"
}
