#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Much data: GSO packets are cut and sealed, GRO puts them together again, and
# nothing is written into pages that are not ours, such as those of a file.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

work=$(mktemp -d)
megabytes=$((4 / slow))

cat >"$work/receive" <<'END'
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET)
open(sys.argv[2], "w")
s, _ = listener.accept()
s.settimeout(60)
digest = hashlib.sha256()
while data := s.recv(1 << 20):
    digest.update(data)
print(digest.hexdigest())
END
# sendfile() and MSG_ZEROCOPY hand out pages that are not the packet's own
cat >"$work/send" <<'END'
import mmap, os, socket, sys
how, source, target, path = sys.argv[1:]
s = socket.create_connection((target, 5001), source_address=(source, 0))
with open(path, "rb") as f:
    size = os.fstat(f.fileno()).st_size
    if how == "sendfile":
        sent = 0
        while sent < size:
            sent += os.sendfile(s.fileno(), f.fileno(), sent, size - sent)
    elif how == "zerocopy":
        s.setsockopt(socket.SOL_SOCKET, 60, 1)	# SO_ZEROCOPY
        view = memoryview(mmap.mmap(f.fileno(), size, prot=mmap.PROT_READ))
        while view:
            view = view[s.send(view[:1 << 16], 0x4000000):]
    else:
        s.sendall(f.read())
s.shutdown(socket.SHUT_WR)
s.recv(1)
END

# transfer HOW FROM SOURCE TO TARGET: a fresh file, whose pages stay as they are
transfer()
{
	local before receiver got
	head -c ${megabytes}M /dev/urandom >"$work/file"
	before=$(sha256sum <"$work/file")
	rm -f "$work/ready"
	ip netns exec "$4" python3 "$work/receive" "$5" "$work/ready" >"$work/got" &
	receiver=$!
	wait_for "the receiver" test -e "$work/ready" || return 1
	in_ns "$2" python3 "$work/send" "$1" "$3" "$5" "$work/file" || return 1
	wait $receiver || return 1
	got=$(cat "$work/got")
	[ "$got" = "${before% *}" ] || [ "$got" = "${before%% *}" ] || {
		echo "arrived as $got, sent as $before"
		return 1
	}
	[ "$(sha256sum <"$work/file")" = "$before" ] || {
		echo "the file has changed"
		return 1
	}
}

# Drops by reason of all SAs; TCP learns the path MTU from out_mtu, so that may be.
only_too_big()
{
	local ns
	for ns in gw-a gw-b; do
		moat $ns sa list --json | /usr/bin/python3 -c '
import json, sys
sas = json.load(sys.stdin)["sas"]
bad = [sa for sa in sas if set(sa["drops"]) - {"out_mtu"}]
print(bad)
sys.exit(len(sas) != 2 or bool(bad))' || return 1
	done
	[ "$(sa_field gw-a $spi_b packets)" -gt 1000 ]
}

topo_site_to_site && load_moat && pair_up || exit 1
for how in write sendfile zerocopy; do
	ktap "forwarded, $how" transfer $how host-a 10.1.0.2 host-b 10.2.0.2
	ktap "from the gateway itself, $how" transfer $how gw-a 10.1.0.1 host-b 10.2.0.2
done
ktap "no SA dropped anything but what was too big" only_too_big
for ns in host-a:eth0 gw-a:wan-a gw-b:wan-b gw-b:lan-b host-b:eth0; do
	in_ns ${ns%:*} ethtool -K ${ns#*:} gro on tso off >/dev/null
done
ktap "with GRO on the wire, and segments from the sender" \
	transfer write host-a 10.1.0.2 host-b 10.2.0.2
ktap "to the gateway itself" transfer sendfile host-a 10.1.0.2 gw-b 10.2.0.1
pair_down
for alg in "aes256-sha256 64" "null-sha1 20"; do
	pair_policies && pair_sas $alg
	ktap "$alg: forwarded, sendfile" transfer sendfile host-a 10.1.0.2 host-b 10.2.0.2
	pair_down
done
ktap "the module unloads" unload_moat
topo_cleanup
ktap_finish
