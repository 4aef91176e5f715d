# SPDX-License-Identifier: GPL-2.0-or-later
#
# Cases of daemon_test.sh: what moat shows, traces and tells, and clear.

status_holds_contract()
{
	status_is gw-a '
		s["schema_version"] == 1
		and {"id", "local", "remote", "state", "role", "exchange", "cookies", "proposal",
			"established_at", "expires_at", "messages_sent",
			"messages_received"} <= set(s["isakmp"][0])
		and s["isakmp"][0]["state"] == "QM_IDLE"
		and s["isakmp"][0]["messages_sent"] == s["isakmp"][0]["messages_received"] == 3
		and s["isakmp"][0]["id"] in t["branch"]["isakmp"] + t["six"]["isakmp"]
		and {"packets_out_total", "packets_in_total", "bytes_out_total", "bytes_in_total",
			"drops_total", "rekeys_total"} <= set(t["branch"]["counters"])
		and all({"direction", "protocol", "spi", "mode", "proposal", "encap", "packets",
			"bytes", "drops"} <= set(sa) and sa["proposal"].startswith("aes")
			for p in t["branch"]["pairs"] for sa in p["sas"])
		and [len(p["sas"]) for p in t["branch"]["pairs"]] == [2, 2]'
}

views()
{
	moat gw-a show crypto isakmp sa | grep -q QM_IDLE &&
		moat gw-a show crypto ipsec sa | grep -q '#pkts encaps' &&
		moat gw-a show isakmp | grep -q QM_IDLE &&
		moat gw-a show ipsec | grep -q 'branch: up' &&
		moat gw-a show policies | grep -q 10.2.0.0/24 &&
		moat gw-a show counters >/dev/null
}

traced()
{
	ip netns exec gw-a "$build/moat" -r "$dir/run-gw-a" trace --json >"$dir/trace" 2>/dev/null &
	local pid=$!
	wait_for "the trace" test -s "$dir/trace"
	moat gw-a down branch --wait && moat gw-a up branch --wait &&
		wait_for "quick mode" grep -q '"exchange":"quick","number":3' "$dir/trace"
	local status=$?
	kill $pid
	wait $pid
	! grep -q "$psk" "$dir/trace" && return $status
}

monitored() # PYTHON: holds for what moat monitor has said, a list of events
{
	/usr/bin/python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[2])]
events = [r for r in rows if r.get("type") == "event"]
names = [r["event"] for r in events]
sys.exit(0 if eval("(" + sys.argv[1] + ")") else repr(rows))' "$1" "$dir/events"
}

# For hooks: a line for each event, which stands there when it happens, not later.
monitor_tells_events()
{
	local status pid
	: >"$dir/events"
	ip netns exec gw-a "$build/moat" -r "$dir/run-gw-a" monitor >"$dir/events" 2>/dev/null &
	pid=$!
	wait_for "the monitor" test -s "$dir/events" && moat gw-a down branch --wait &&
		wait_for "the end" monitored '"ipsec-deleted" in names' &&
		moat gw-a up branch --wait &&
		wait_for "the new SAs" monitored 'names.count("ipsec-established") >= 2' &&
		monitored '
			all({"at", "level", "tunnel", "state", "peer", "text"} <= set(r) for r in events)
			and all(r["at"].endswith("Z") for r in events)
			and names.index("ike-established") < names.index("ipsec-established")
			and [r["state"] for r in events if r["event"] == "ipsec-established"][-1] == "up"
			and {r["tunnel"] for r in events if r["event"] == "ipsec-established"} == {"branch"}'
	status=$?
	kill $pid
	wait $pid
	! grep -q "$psk" "$dir/events" && return $status
}

branch_spis() # GATEWAY
{
	moat "$1" status --json | /usr/bin/python3 -c '
import json, sys
print(sorted(sa["spi"] for t in json.load(sys.stdin)["tunnels"] if t["name"] == "branch"
	for p in t["pairs"] for sa in p["sas"]))'
}

# All SAs go, on both sides; traffic brings others. Down stays down.
cleared()
{
	local before after
	before=$(branch_spis gw-a)
	moat gw-a clear branch && status_is gw-a 't["branch"]["state"] == "waiting"
			and not any(p["sas"] for p in t["branch"]["pairs"])' &&
		wait_for "the peer's end of it" status_is gw-b \
			'not any(p["sas"] for p in t["branch"]["pairs"])' &&
		pings host-a 10.2.0.2 && after=$(branch_spis gw-a) &&
		[ "$before" != "[]" ] && [ "$after" != "[]" ] && [ "$before" != "$after" ] &&
		exit_is 1 'did you mean "branch"?' moat gw-a clear branhc &&
		moat gw-a down branch --wait && moat gw-a clear branch &&
		status_is gw-a 't["branch"]["state"] == "down"' && moat gw-a up branch --wait
}
