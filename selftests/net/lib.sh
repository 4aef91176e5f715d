# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What tests and the demo need in the guest; source it from bash.
#
#   host-a --------- gw-a ========= gw-b --------- host-b
#     eth0   lan-a        wan-a wan-b        lan-b   eth0
#   10.1.0.2  .1    192.0.2.1     192.0.2.2    .1  10.2.0.2
#   fd00:1::2 ::1 2001:db8::1   2001:db8::2   ::1  fd00:2::2

if [ "${MOAT_VM-}" != 1 ]; then
	echo "this changes networks and modules: run it in the guest (scripts/vm --help)" >&2
	exit 1
fi

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topo_names="host-a gw-a gw-b host-b"

# --- waiting -----------------------------------------------------------------

# On the debug kernel everything takes so many times as long.
slow=${MOAT_SLOW:-1}

# wait_for SENTENCE COMMAND...: poll until COMMAND succeeds, WAIT_SECONDS at most.
# Programs start slowly in an emulated guest; a sleep is always too long or too short.
wait_for()
{
	local sentence=$1 seconds=$((${WAIT_SECONDS:-30} * slow))
	local end=$((SECONDS + seconds))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			echo "waited $seconds s in vain for $sentence ($*)" >&2
			return 1
		fi
		sleep 0.05
	done
}

# wait_gone PID: until the process has ended.
wait_gone()
{
	local pid=$1
	gone() { ! kill -0 "$pid"; }
	wait_for "the end of process $pid" gone
}

# --- the network -------------------------------------------------------------

in_ns()
{
	ip netns exec "$@"
}

# topo_namespace NAME...: with forwarding, without what would add packets of its
# own or drop ours before the module sees them.
topo_namespace()
{
	local ns
	for ns in "$@"; do
		ip netns add "$ns" || return 1
		ip -n "$ns" link set lo up
		in_ns "$ns" sysctl -qw net.ipv4.ip_forward=1 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv4.ping_group_range="0 2147483647" \
			net.ipv6.conf.all.forwarding=1 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 ||
			return 1
	done
}

# topo_wire NS1 DEV1 ADDRESSES1 NS2 DEV2 ADDRESSES2: a veth pair, up.
topo_wire()
{
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4" &&
		topo_up "$1" "$2" $3 && topo_up "$4" "$5" $6
}

# topo_up NS DEV ADDRESS...: in one go, for programs start slowly under emulation.
topo_up()
{
	local ns=$1 dev=$2 address
	shift 2
	{
		for address; do
			case $address in
			*:*) echo "address add $address dev $dev nodad" ;;
			*) echo "address add $address dev $dev" ;;
			esac
		done
		echo "link set $dev up"
	} | ip -n "$ns" -batch -
}

# topo_route NS ROUTE...: routes of a namespace, each as one word.
topo_route()
{
	local ns=$1
	shift
	printf 'route add %s\n' "$@" | ip -n "$ns" -batch -
}

# topo_site_to_site: the picture above.
topo_site_to_site()
{
	topo_cleanup		# of a test that was stopped
	topo_namespace $topo_names &&
		topo_wire host-a eth0 "10.1.0.2/24 fd00:1::2/64" \
			gw-a lan-a "10.1.0.1/24 fd00:1::1/64" &&
		topo_wire gw-a wan-a "192.0.2.1/24 2001:db8::1/64" \
			gw-b wan-b "192.0.2.2/24 2001:db8::2/64" &&
		topo_wire gw-b lan-b "10.2.0.1/24 fd00:2::1/64" \
			host-b eth0 "10.2.0.2/24 fd00:2::2/64" &&
		topo_route host-a "default via 10.1.0.1" "default via fd00:1::1" &&
		topo_route host-b "default via 10.2.0.1" "default via fd00:2::1" &&
		topo_route gw-a "default via 192.0.2.2" "default via 2001:db8::2" &&
		topo_route gw-b "default via 192.0.2.1" "default via 2001:db8::1"
}

# topo_cleanup [NAME...]: end what runs in the namespaces and delete them.
topo_cleanup()
{
	local ns pids
	for ns in ${*:-$topo_names}; do
		[ -e "/run/netns/$ns" ] || continue
		pids=$(ip netns pids "$ns")
		[ -z "$pids" ] || kill $pids 2>/dev/null
		ip netns del "$ns"
	done
}

# --- the module --------------------------------------------------------------

# moat_build: the build directory; MOAT_BUILD, or the one above or beside here.
moat_build()
{
	local dir=$lib_dir
	if [ -n "${MOAT_BUILD-}" ]; then
		echo "$MOAT_BUILD"
		return
	fi
	while [ "$dir" != / ]; do
		if [ -e "$dir/build/kmod-$(uname -r)/moat.ko" ]; then
			echo "$dir/build"
			return
		fi
		dir=$(dirname "$dir")
	done
	echo "no build/kmod-$(uname -r)/moat.ko above $lib_dir: make KERNEL=$(uname -r)" >&2
	return 1
}

# keep_hooks: hooks of nftables beside ours, for as long as the guest lives. The
# kernel rewrites its code when the first hook of a place comes and when the last
# one goes; while it does, the emulator's other CPU may spin there for ever, on the
# instruction that was there before. With these, loading the module rewrites nothing.
keep_hooks()
{
	local hook
	command -v nft >/dev/null || return 0
	! nft list table inet keep >/dev/null 2>&1 || return 0
	{
		echo "add table inet keep"
		for hook in prerouting input forward output postrouting; do
			echo "add chain inet keep $hook { type filter hook $hook priority 0; }"
		done
	} | nft -f -
}

# load_moat [PARAMETER=VALUE...]: the module built for the running kernel, after
# what it depends on. What a test that was stopped has left is unloaded first.
load_moat()
{
	local build module needs
	build=$(moat_build) || return 1
	[ ! -e /sys/module/moat ] || unload_moat || return 1
	keep_hooks || return 1
	module=$build/kmod-$(uname -r)/moat.ko
	# One modinfo and one modprobe: each of them takes its time under emulation.
	needs=$(modinfo "$module" | sed -n 's/^depends: *//p; s/^softdep: *//p' |
		sed 's/pre://g; s/post:.*//' | tr ',\n' '  ')
	[ -z "${needs// /}" ] || modprobe -a $needs || return 1
	insmod "$module" "$@"
}

# unload_moat: flush every namespace (rmmod refuses while there are policies),
# then remove.
unload_moat()
{
	local build ns
	build=$(moat_build) || return 1
	for ns in $(ip netns list | cut -d' ' -f1); do
		in_ns "$ns" "$build/moat" policy flush
		in_ns "$ns" "$build/moat" sa flush
	done >/dev/null
	rmmod moat
}

# --- the daemon --------------------------------------------------------------

# A test that runs moatd sets build, of moat_build, and dir: NAME's configuration
# lies in $dir/NAME, what it logs in $dir/NAME.log.

# moat_at NAME WORD...: the command, in NAME and with its moatd.
moat_at()
{
	local ns=$1
	shift
	in_ns "$ns" "$build/moat" -r "$dir/run-$ns" "$@"
}

# moatd_start NAME [PROGRAM]: moatd in NAME; PROGRAM is another one in build.
# Cases run in shells of their own: the pid goes through a file, and nothing of
# theirs may stay open.
moatd_start()
{
	: >>"$dir/$1.log"
	ip netns exec "$1" "$build/${2-moatd}" -c "$dir/$1" -r "$dir/run-$1" \
		>/dev/null 2>>"$dir/$1.log" &
	echo $! >"$dir/$1.pid"
	wait_for "moatd in $1" moat_at "$1" status && return
	cat "$dir/$1.log"
	return 1
}

# moatd_stop NAME [SIGNAL]
moatd_stop()
{
	local pid
	pid=$(cat "$dir/$1.pid")
	kill "${2--TERM}" "$pid" && wait_gone "$pid"
}

# moatd_secret NAME REMOTE PSK [REMOTE PSK]...: its secrets.conf
moatd_secret()
{
	local ns=$1 between=
	shift
	(
		umask 077
		{
			printf 'secrets = ( '
			while [ $# -gt 0 ]; do
				printf '%s{ remote = "%s", psk = "%s" }' "$between" "$1" "$2"
				between=", "
				shift 2
			done
			printf ' )\n'
		} >"$dir/$ns/secrets.conf"
	)
}

# moatd_logs COMMAND...: when it fails, the last lines of all logs.
moatd_logs()
{
	"$@" && return 0
	tail -n 25 "$dir"/*.log
	return 1
}

# --- results, in the kernel's test format (TAP) ------------------------------

ktap_count=0
ktap_failed=0

# ktap_result STATUS NAME
ktap_result()
{
	ktap_count=$((ktap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $ktap_count $2"
	else
		ktap_failed=$((ktap_failed + 1))
		echo "not ok $ktap_count $2"
	fi
}

# ktap NAME COMMAND...: one test case; what a failing one printed is shown.
ktap()
{
	local name=$1 output status
	shift
	output=$("$@" 2>&1)
	status=$?
	[ $status -eq 0 ] || sed 's/^/# /' <<<"${output:-$* returned $status}"
	ktap_result $status "$name"
}

# ktap_is NAME EXPECTED COMMAND...: its output is EXPECTED.
ktap_is()
{
	local name=$1 expected=$2 output
	shift 2
	output=$("$@" 2>&1)
	if [ "$output" != "$expected" ]; then
		sed 's/^/# /' <<<"$* printed:
$output
expected:
$expected"
		ktap_result 1 "$name"
	else
		ktap_result 0 "$name"
	fi
}

# ktap_finish: the plan, and the exit status of the test program.
ktap_finish()
{
	echo "1..$ktap_count"
	[ $ktap_count -gt 0 ] && [ $ktap_failed -eq 0 ]
	exit $?
}
