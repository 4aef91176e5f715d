#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two gateways run moatd, built with the sanitizers, and are treated as
# operators and accidents treat them: up, down, reload, mistakes, damaged
# requests, killed processes, restarts.
#
#   host-a --- gw-a ========= gw-b --- host-b
#
# usage: daemon_test.sh [PATTERN]: only the cases whose name matches

. "$(dirname "$0")/lib.sh"
. "$lib_dir/views.sh"

build=$(moat_build) || exit 1
dir=$(mktemp -d)
pattern=${1-}
psk=$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n')
moatd=$build/${MOATD-san/moatd}
# Shadow memory makes these programs slow starters in an emulated guest.
WAIT_SECONDS=120

moat() # GATEWAY ARGUMENT...
{
	local ns=$1
	shift
	in_ns "$ns" "$build/moat" -r "$dir/run-$ns" "$@"
}

case_() # NAME COMMAND...
{
	[[ $1 =~ $pattern ]] || return 0
	ktap "$@"
}

tunnel() # NAME LOCAL REMOTE LOCAL-NETS REMOTE-NETS [LINE]
{
	cat <<-END
	$1 = {
	  local = "$2"
	  remote = "$3"
	  local-net = [ $4 ]
	  remote-net = [ $5 ]
	  ${6-}
	}
	END
}

a4='"10.1.0.0/24", "10.1.1.0/24"' b4='"10.2.0.0/24"' a6='"fd00:1::/64"' b6='"fd00:2::/64"'

configure() # GATEWAY [MORE]: tunnels branch (IPv4, two nets) and six (IPv6)
{
	mkdir -p "$dir/$1"
	case $1 in
	gw-a)
		echo "tunnels = {"
		tunnel branch 192.0.2.1 192.0.2.2 "$a4" "$b4"
		tunnel six 2001:db8::1 2001:db8::2 "$a6" "$b6"
		tunnel nobody 192.0.2.1 192.0.2.99 "$a4" '"10.9.0.0/24"'
		;;
	gw-b)
		echo "tunnels = {"
		tunnel branch 192.0.2.2 192.0.2.1 "$b4" "$a4"
		tunnel six 2001:db8::2 2001:db8::1 "$b6" "$a6"
		;;
	esac >"$dir/$1/moat.conf"
	echo "${2-} }" >>"$dir/$1/moat.conf"
	(umask 077; echo "secrets = ( { remote = \"any\", psk = \"$psk\" } )" >"$dir/$1/secrets.conf")
}

start() # GATEWAY
{
	: >>"$dir/$1.log"
	# Cases run in shells of their own: the pid goes through a file, and nothing
	# of theirs may stay open.
	ip netns exec "$1" "$moatd" -c "$dir/$1" -r "$dir/run-$1" \
		>/dev/null 2>>"$dir/$1.log" &
	echo $! >"$dir/$1.pid"
	wait_for "moatd in $1" moat "$1" status && return 0
	cat "$dir/$1.log"
	return 1
}

stop() # GATEWAY
{
	local pid
	pid=$(cat "$dir/$1.pid")
	kill "$pid" && wait_gone "$pid"
}

# refused_start GATEWAY EXPECTED: it ends at once, with 1 and this sentence.
refused_start()
{
	local status output
	output=$(timeout 120 ip netns exec "$1" "$moatd" -c "$dir/$1" -r "$dir/run-$1" 2>&1)
	status=$?
	[ $status -eq 1 ] && grep -qF -e "$2" <<<"$output" && return 0
	printf 'status %s: %s\n' "$status" "$output"
	return 1
}

# status_is GATEWAY PYTHON: an expression over the document s and its tunnels t.
status_is()
{
	moat "$1" status --json | /usr/bin/python3 -c '
import json, sys
s = json.load(sys.stdin)
t = {t["name"]: t for t in s["tunnels"]}
sys.exit(0 if eval("(" + sys.argv[1] + ")") else repr(s))' "$2"
}

# child GATEWAY NAME: pid of its process
child()
{
	pgrep -P "$(cat "$dir/$1.pid")" -f "^moatd: $2 "
}

process_is() # NAME USER CAPABILITIES
{
	local pid
	pid=$(child gw-a "$1") || return 1
	[ "$(stat -c %U "/proc/$pid")" = "$2" ] &&
		[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = "$3" ] &&
		[ "$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ] &&
		[ "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$pid/status")" = 1 ] && return 0
	cat "/proc/$pid/status"
	return 1
}

exit_is() # STATUS EXPECTED-TEXT COMMAND...
{
	local expected=$1 text=$2 output status
	shift 2
	output=$("$@" 2>&1)
	status=$?
	[ $status -eq "$expected" ] && grep -qF -e "$text" <<<"$output" && return 0
	echo "$* returned $status: $output"
	return 1
}

pings() # NAMESPACE ADDRESS
{
	in_ns "$1" ping -n -q -c 2 -i 0.2 -W 20 "$2"
}

# --- cases -------------------------------------------------------------------

up_by_command()
{
	moat gw-a up branch --wait && status_is gw-a 't["branch"]["state"] == "up"' &&
		moat gw-b status
}

traffic_ipv6()
{
	pings host-a fd00:2::2 && status_is gw-a 't["six"]["state"] == "up"' &&
		status_is gw-b 't["six"]["pairs"][0]["sas"][0]["packets"] > 0'
}

# The gateway's own packets take an inner source, by the route that moatd made.
own_packets()
{
	ip -n gw-a route show table 500 | grep -q '^10.2.0.0/24 .* src 10.1.0.1' &&
		pings gw-a 10.2.0.2
}

# Nothing of what the gateway itself sends leaves in clear.
own_packets_protected()
{
	ip netns exec gw-a tcpdump -n -l -i wan-a -Q out 'icmp or esp' \
		>"$dir/wire" 2>"$dir/listening" &
	local pid=$! status
	wait_for "tcpdump" grep -q '^listening' "$dir/listening"
	own_packets && wait_for "ESP on the wire" grep -q 'ESP(spi' "$dir/wire"
	status=$?
	kill $pid
	wait $pid
	! grep ICMP "$dir/wire" && return $status
}

wan_up() # with what the system puts back
{
	ip -n gw-a link set wan-a up &&
		ip -n gw-a addr replace 2001:db8::1/64 dev wan-a nodad &&
		ip -n gw-a route replace default via 192.0.2.2 &&
		ip -n gw-a route replace default via 2001:db8::2
}

routes_stand()
{
	local routes
	routes=$(ip -n gw-a route show table 500; ip -n gw-a -6 route show table 500)
	grep -q '^10.2.0.0/24 via 192.0.2.2 .* src 10.1.0.1' <<<"$routes" &&
		grep -q '^10.9.0.0/24 ' <<<"$routes" &&
		grep -q '^fd00:2::/64 via 2001:db8::2 .* src fd00:1::1' <<<"$routes" &&
		ip -n gw-a rule | grep -q '^500:.* 500' &&
		ip -n gw-a -6 rule | grep -q '^500:.* 500'
}

routes_come_back()
{
	ip -n gw-a route flush table 500
	ip -n gw-a -6 rule del priority 500
	ip -n gw-a rule del priority 500
	wait_for "the routes, flushed" routes_stand || return 1
	ip -n gw-a link set wan-a down
	wait_for "what the log says" grep -q \
		'route-lost branch: .*10.2.0.0/24 was taken away: there is no route to its peer 192.0.2.2;' \
		"$dir/gw-a.log" || return 1
	: >"$dir/gw-a.log"
	wan_up && wait_for "the routes" routes_stand &&
		grep 'route-restored branch: route to 10.2.0.0/24' "$dir/gw-a.log" &&
		own_packets_protected || return 1
	# its own work is no change to it
	sleep 1
	[ "$(grep -c 'route-restored branch' "$dir/gw-a.log")" = 1 ]
}

routes_come_with_the_wan()
{
	stop gw-a
	ip -n gw-a link set wan-a down
	: >"$dir/gw-a.log"
	start gw-a && wait_for "what the log says" grep -q \
		'route-failed branch: .*10.2.0.0/24: there is no route to its peer 192.0.2.2;' \
		"$dir/gw-a.log" && ! routes_stand &&
		wan_up && wait_for "the routes" routes_stand && own_packets_protected
}

# With its own address gone a tunnel is down, SAs or not, and status says why.
address_taken_away()
{
	pings host-a 10.2.0.2 && ip -n gw-a addr del 192.0.2.1/24 dev wan-a &&
		status_is gw-a 't["branch"]["state"] == "down"
			and [p["state"] for p in t["branch"]["pairs"]] == ["down"] * 2
			and "192.0.2.1 is on no interface" in t["branch"]["reason"]
			and t["six"]["state"] == "up" and t["six"]["reason"] is None' &&
		moat gw-a status | grep -A 1 '^branch: down' |
			grep 'its local address 192.0.2.1 is on no interface' &&
		moat gw-a metrics | grep 'moat_tunnel_up{.*"branch".* 0'
	local status=$?
	ip -n gw-a addr add 192.0.2.1/24 dev wan-a && wan_up &&
		status_is gw-a 't["branch"]["state"] == "up" and t["branch"]["reason"] is None' &&
		pings host-a 10.2.0.2 && return $status
}

# A bypass by hand before a tunnel's traffic: allowed, and said with the tunnel's name.
bypass_by_hand()
{
	exit_is 0 '(tunnel branch) and 1 more, which protects 10.1.' moat gw-a policy add id 7 \
		local 10.1.0.0/23 remote 10.2.0.2 action bypass &&
		exit_is 0 'goes before policy' moat gw-a why 10.1.0.2 10.2.0.2 &&
		exit_is 0 '(tunnel branch)' moat gw-a why 10.1.0.2 10.2.0.2
	local status=$?
	moat gw-a policy del id 7 && return $status
}

down_is_down()
{
	moat gw-a down branch --wait && status_is gw-a 't["branch"]["state"] == "down"' &&
		! in_ns host-a ping -q -c 1 -W 2 10.2.0.2 &&
		status_is gw-a 't["branch"]["state"] == "down"' &&
		moat gw-a up branch --wait && pings host-a 10.2.0.2
}

reload_with_mistakes()
{
	configure gw-a 'x = { colour = "red" remote = "nowhere.example" }'
	exit_is 1 'unknown key "colour"' moat gw-a reload &&
		exit_is 1 'local-net is missing' moat gw-a reload &&
		: >"$dir/gw-a/moat.conf" &&
		exit_is 1 'holds no tunnels' moat gw-a reload &&
		status_is gw-a '"x" not in t and t["branch"]["state"] == "up"'
	local status=$?
	configure gw-a
	return $status
}

reload_changes_only_what_changed()
{
	local before after
	before=$(moat gw-a sa list | grep -o 'spi 0x[0-9a-f]*' | sort)
	configure gw-a "$(tunnel south 192.0.2.1 192.0.2.98 '"10.1.0.0/24"' '"10.8.0.0/24"')
		spared = { action = \"bypass\"
		local-net = \"10.1.0.0/24\"; remote-net = \"10.7.0.0/24\" }"
	moat gw-a reload && status_is gw-a 't["south"]["state"] == "waiting"' &&
		moat gw-a status | grep -A 1 '^spared: bypass$' |
			grep '^  10.1.0.0/24 === 10.7.0.0/24$' || return 1
	ip -n gw-a route show table 500 | grep -q '^10.8.0.0/24' || return 1
	configure gw-a
	moat gw-a reload && status_is gw-a '"south" not in t' || return 1
	wait_for "the end of its policy" \
		sh -c "! ip netns exec gw-a $build/moat policy list | grep -q 10.8.0.0" || return 1
	! ip -n gw-a route show table 500 | grep -q '^10.8.0.0/24' || return 1
	after=$(moat gw-a sa list | grep -o 'spi 0x[0-9a-f]*' | sort)
	[ "$before" = "$after" ]
}

# wait_some SECONDS COMMAND...: sooner than a periodic look would see to it
wait_some()
{
	local end=$((SECONDS + $1 * slow))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*"; return 1; }
		sleep 0.2
	done
}

policies_stand()
{
	local list
	list=$(moat gw-a policy list) && grep -q 'remote 10.2.0.0/24' <<<"$list" &&
		grep -q 'remote 10.9.0.0/24' <<<"$list" && grep -q 'remote fd00:2::/64' <<<"$list"
}

# Looks for themselves are 30 s apart, so three in a row are no accident. What was
# gone already when it should be deleted is no error.
deleted_by_hand()
{
	local i
	: >"$dir/gw-a.log"
	for i in 1 2 3; do
		exit_is 0 'stop it first' moat gw-a policy flush &&
			wait_some 9 policies_stand || return 1
	done
	grep 'policy-restored branch: .*10.2.0.0/24 had no policy' "$dir/gw-a.log" &&
		moat gw-a up branch --wait && moat gw-a sa flush && moat gw-a clear branch &&
		moat gw-a down branch --wait && moat gw-a up branch --wait && pings host-a 10.2.0.2 &&
		! grep 'kernel-refused' "$dir/gw-a.log"
}

device_stands()
{
	ip -n gw-a link show moat7 && moat gw-a policy list | grep -q 'device moat7' &&
		ip -n gw-a route show table 500 | grep -q '^10.7.0.0/24 dev moat7'
}

device_deleted()
{
	local i status
	configure gw-a "$(tunnel routed 192.0.2.1 192.0.2.97 '"10.1.0.0/24"' '"10.7.0.0/24"' \
		'device = "moat7"')"
	moat gw-a reload && wait_for "the device" device_stands &&
		for i in 1 2 3; do
			ip -n gw-a link del moat7 && wait_some 9 device_stands || return 1
		done
	status=$?
	grep 'policy-restored routed: .*somebody deleted its device' "$dir/gw-a.log" || status=1
	configure gw-a
	moat gw-a reload && ip -n gw-a link del moat7 && return $status
}

damaged_requests()
{
	/usr/bin/python3 - "$dir/run-gw-a/moat.sock" <<-'END' || return 1
	import json, os, socket, sys

	def ask(data, half=False):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect(sys.argv[1])  # blocking: a full queue of connections waits
	    s.settimeout(60)
	    s.sendall(data)
	    if half:
	        s.close()
	        return None
	    line = s.makefile().readline()
	    s.close()
	    return json.loads(line)

	for data in (b"\n", b"{}\n", b"[]\n", b"{\"command\":5}\n", b"{\"command\":\"up\"}\n",
	             b"{\"command\":\"up\",\"tunnel\":\"" + b"x" * 64 + b"\"}\n",
	             b"{\"command\":\"up\",\"tunnel\":\"a\\u0000b\"}\n",
	             b"{\"command\":\"up\",\"tunnel\":\"branch\",\"wait\":1}\n",
	             b"{\"command\":\"nonsense\"}\n", b"\xff\xfe\x00\n", b"[" * 1000 + b"\n",
	             b"x" * 5000, b"{\"command\":\"status\",\"command\":\"up\"}\n"):
	    answer = ask(data)
	    assert answer["schema_version"] == 1 and answer["error"], (data, answer)
	for _ in range(50):
	    ask(os.urandom(200), half=True)
	many = [socket.socket(socket.AF_UNIX) for _ in range(100)]
	for s in many:
	    s.connect(sys.argv[1])
	for s in many:
	    s.close()
	assert "error" not in ask(b"{\"command\":\"version\"}\n")
	END
	status_is gw-a 't["branch"]["state"] == "up"'
}

# 64 connections of this user say COMMAND, or nothing, and stay: one more moat
# returns EXIT and says TEXT.
crowd() # USER COMMAND EXIT TEXT
{
	rm -f "$dir/crowd"
	/usr/bin/python3 - "$dir/run-gw-a/moat.sock" "$1" "$2" "$dir/crowd" <<-'END' &
	import grp, os, pwd, signal, socket, sys
	ready = open(sys.argv[4], "w")
	os.chdir(os.path.dirname(sys.argv[1]))  # what lies above it is root's alone
	os.setgroups([grp.getgrnam("moat").gr_gid])
	os.setuid(pwd.getpwnam(sys.argv[2]).pw_uid)
	many = []
	for _ in range(64):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect("moat.sock")
	    if sys.argv[3]:
	        s.sendall(b'{"command":"%s"}\n' % sys.argv[3].encode())
	        s.recv(1000)
	    many.append(s)
	ready.write("ready")
	ready.close()
	signal.pause()
	END
	local pid=$! status
	wait_for "the crowd" test -s "$dir/crowd" &&
		exit_is "$3" "$4" moat gw-a show isakmp && exit_is "$3" "$4" moat gw-a status
	status=$?
	kill $pid
	wait $pid
	wait_for "its end" moat gw-a status && return $status
}

crowded()
{
	crowd root "" 0 "" && crowd root monitor 1 "moatd is busy" &&
		crowd moat-resolve monitor 0 ""
}

running_again() # NAME OLD-PID
{
	local new
	new=$(child gw-a "$1") && [ "$new" != "$2" ] &&
		status_is gw-a '"kernel_error" not in s'
}

# A process that is stopped is told by its name, ended, and started again.
stands_still()
{
	local pid
	pid=$(child gw-a ike)
	: >"$dir/gw-a.log"
	kill -STOP "$pid"
	exit_is 4 'moatd: ike' moat gw-a status &&
		wait_for "ike again" running_again ike "$pid" &&
		grep "process-hangs.*ike (pid $pid)" "$dir/gw-a.log" || return 1
	pid=$(child gw-a kernel)
	kill -STOP "$pid"
	exit_is 0 'moatd: kernel' moat gw-a status &&
		wait_for "kernel again" running_again kernel "$pid" &&
		grep "process-hangs.*kernel (pid $pid)" "$dir/gw-a.log" &&
		moat gw-a up branch --wait && pings host-a 10.2.0.2
}

# killed NAME: it is started again, and tunnels come up as before.
killed()
{
	local old new
	old=$(child gw-a "$1")
	kill -KILL "$old" || return 1
	# It runs before it is told all that it needs; until then commands are refused.
	again()
	{
		new=$(child gw-a "$1") && [ "$new" != "$old" ] &&
			status_is gw-a '"kernel_error" not in s'
	}
	wait_for "$1 again" again "$1" || return 1
	moat gw-a down branch --wait && moat gw-a up branch --wait && pings host-a 10.2.0.2
}

crash() # GATEWAY: all its processes at once
{
	local pid pids
	pid=$(cat "$dir/$1.pid")
	pids="$pid $(pgrep -P "$pid")"
	kill -KILL $pids && wait_gone $pids
}

# flows_begin RATE: numbered packets between the hosts, both ways, until flows_end_whole
flows_begin()
{
	local way host from to
	flows=
	for way in "host-a 10.1.0.2 10.2.0.2" "host-b 10.2.0.2 10.1.0.2"; do
		read -r host from to <<<"$way"
		rm -f "$dir/go-$host" && mkfifo "$dir/go-$host" || return 1
		ip netns exec "$host" "$build/tests/interop/flow" "$from" "$to" 9000 "$1" token \
			<>"$dir/go-$host" >"$dir/flow-$host" &
		flows="$flows $!"
	done
	for host in host-a host-b; do
		wait_for "a flow" grep -q ready "$dir/flow-$host" || return 1
	done
	for host in host-a host-b; do
		echo >"$dir/go-$host"
	done
}

# Each end has heard what the other one sent.
flows_end_whole()
{
	kill -TERM $flows
	wait $flows
	/usr/bin/python3 - "$dir"/flow-host-[ab] <<-'END'
	import json, sys
	a, b = (json.loads(open(name).read().split("ready")[1]) for name in sys.argv[1:])
	print(a, b)
	sys.exit(any(x["refused"] or x["repeated"] or not x["sent"] or x["sent"] != y["heard"]
	             for x, y in ((a, b), (b, a))))
	END
}

spis() # GATEWAY: those that packets leave with
{
	moat "$1" policy list --json | /usr/bin/python3 -c '
import json, sys
print(sorted((p["id"], p["spi"]) for p in json.load(sys.stdin)["policies"] if p.get("spi")))'
}

adopted() # how many of gw-a's tunnels have SAs of their own again
{
	[ "$(grep -c 'ipsec-adopted' "$dir/gw-a.log")" -gt "$1" ] &&
		status_is gw-a 't["branch"]["state"] == "up" and t["branch"]["isakmp"]
			and t["branch"]["counters"]["rekeys_total"] >= 2' >/dev/null 2>&1
}

# The daemon ends by COMMAND and comes back; no packet is lost, none has other SAs
# while it is away, and the new daemon replaces them by its own.
stops_under_a_command()
{
	in_ns gw-a "$build/moat" -r "$dir/run-gw-a" monitor >/dev/null 2>"$dir/monitor" &
	local pid=$! status
	sleep 2
	stop gw-a || return 1
	wait $pid
	status=$?
	[ $status = 3 ] && grep 'moatd does not run' "$dir/monitor" && return
	echo "status $status: $(cat "$dir/monitor")"
	return 1
}

away() # COMMAND
{
	local flows before after logged
	logged=$(grep -c 'ipsec-adopted' "$dir/gw-a.log")
	before=$(spis gw-a)
	# What takes all of a slow guest leaves the daemons none.
	flows_begin $((100 / slow)) || return 1
	"$1" gw-a || { cat "$dir/gw-a.log"; return 1; }
	exit_is 3 'moatd does not run' moat gw-a status || return 1
	sleep 3
	[ "$(spis gw-a)" = "$before" ] || { echo "SAs changed: $before"; spis gw-a; return 1; }
	start gw-a && wait_for "SAs of the new daemon" adopted "$logged"
	flows_end_whole || { tail -n 20 "$dir"/gw-?.log; return 1; }
	after=$(spis gw-a)
	[ "$after" != "$before" ] && moat gw-a policy list >"$dir/policies" &&
		[ "$(grep -c '10.1.0.0/24 remote 10.2.0.0/24' "$dir/policies")" -eq 1 ]
}

wrong_secret()
{
	(umask 077; echo 'secrets = ( { remote = "any", psk = "another one" } )' \
		>"$dir/gw-a/secrets.conf")
	moat gw-a reload >"$dir/reloaded" && moat gw-a down six --wait
	moat gw-a down branch --wait
	moat gw-a up branch --wait=10 && return 1
	wait_for "the failure" sh -c "$(declare -f in_ns moat); build=$build dir=$dir
		moat gw-a show failures | grep -q branch; moat gw-b show failures | grep -q branch"
	local status=$?
	grep -q 'branch.*: their ISAKMP SAs were made with other credentials' "$dir/reloaded" ||
		status=1
	configure gw-a
	moat gw-a reload && moat gw-a down branch && moat gw-a up branch --wait && return $status
}

no_secret_in_logs()
{
	! grep -l "$psk" "$dir"/*.log
}

sanitizers_silent()
{
	! grep -h -A 40 -E 'ERROR: .*Sanitizer|runtime error' "$dir"/*.log
}

world_readable_secrets()
{
	chmod 0644 "$dir/gw-b/secrets.conf"
	refused_start gw-b 'others may read it (mode 0644, 0600 was expected)'
	local status=$?
	chmod 0600 "$dir/gw-b/secrets.conf"
	return $status
}

mistakes_at_start()
{
	configure gw-b 'y = { esp = 5 } z = 1'
	refused_start gw-b 'esp is a number' && refused_start gw-b 'tunnel "z" is no group' &&
		exit_is 1 'esp is a number' moat gw-b check -c "$dir/gw-b" &&
		: >"$dir/gw-b/moat.conf" && refused_start gw-b 'holds no tunnels' &&
		exit_is 1 'holds no tunnels' moat gw-b check -c "$dir/gw-b"
	local status=$?
	configure gw-b
	return $status
}

no_module()
{
	refused_start gw-b 'modprobe moat'
}

ports_taken()
{
	in_ns gw-b /usr/bin/python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 500)); print(1, flush=True)
time.sleep(600)' >"$dir/bound" 2>/dev/null &
	local pid=$!
	wait_for "the socket" test -s "$dir/bound"
	refused_start gw-b 'does another IKE daemon run here?'
	local status=$?
	kill "$(ip netns pids gw-b)"
	wait $pid
	return $status
}

topo_site_to_site || exit 1
trap 'topo_cleanup; rm -r "$dir"' EXIT
configure gw-a
configure gw-b

case_ "without the module moatd says what to do" no_module
load_moat || exit 1
case_ "secrets that others may read are refused" world_readable_secrets
case_ "a configuration with mistakes is refused, all of them told" mistakes_at_start
case_ "a port that is taken is told" ports_taken
ktap "gw-a starts" start gw-a
ktap "gw-b starts" start gw-b
case_ "nothing has failed yet, and it says so" \
	exit_is 0 'no failures' moat gw-b show failures
case_ "a second moatd with this RUNDIR is refused" refused_start gw-a 'runs already'
case_ "ike has no capability" process_is ike moat-ike 0000000000000000
case_ "keys has no capability" process_is keys moat-keys 0000000000000000
case_ "kernel has CAP_NET_ADMIN alone" process_is kernel moat-kernel 0000000000001000
case_ "the control socket is for root and group moat" \
	test "$(stat -c '%a %U %G' "$dir/run-gw-a/moat.sock")" = "660 root moat"
ktap "up --wait brings all networks of a tunnel up" up_by_command
case_ "a packet brings a tunnel over IPv6 up" traffic_ipv6
case_ "the gateway's own packets go through" own_packets
case_ "status holds what the contract says" status_holds_contract
case_ "the views show it" views
case_ "its own address taken away: down, and why" address_taken_away
case_ "a bypass by hand before a tunnel's traffic is told" bypass_by_hand
case_ "trace shows the exchanges" traced
case_ "down stays down until up" down_is_down
case_ "monitor tells events as JSON lines" monitor_tells_events
case_ "clear ends all SAs, and traffic brings others" cleared
case_ "an unknown tunnel is refused" exit_is 1 'did you mean "branch"?' moat gw-a up branhc
case_ "a peer that does not answer: timed out" exit_is 4 'timed out' moat gw-a up nobody --wait=3
case_ "reload with mistakes changes nothing" reload_with_mistakes
case_ "reload touches only what changed" reload_changes_only_what_changed
case_ "what is deleted by hand stands again at once" deleted_by_hand
case_ "a deleted device is there again, with its policies" device_deleted
case_ "damaged requests are refused, and nothing else happens" damaged_requests
case_ "a wrong secret is told on both sides" wrong_secret
case_ "clients that stay keep nobody else out" crowded
case_ "processes that stand still are named and started again" stands_still
case_ "keys is started again" killed keys
case_ "kernel is started again" killed kernel
case_ "ike is started again" killed ike
ktap "a stop and a start lose no packet" away stop
case_ "a crash of all processes loses no packet" away crash
case_ "routes that are taken away come back" routes_come_back
case_ "routes come with the WAN" routes_come_with_the_wan
case_ "no secret is in a log" no_secret_in_logs
case_ "a command that moatd does not survive says so" stops_under_a_command
ktap "gw-b stops" stop gw-b
ktap "the sanitizers have nothing to say" sanitizers_silent
ktap_finish
