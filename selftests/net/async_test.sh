#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All crypto through cryptd, which completes later and on each CPU for itself:
# packets leave and arrive in order all the same.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

packets=1000
work=$(mktemp -d)

# send CPU PORT: numbered packets from host-a, in bursts, never more than 200 ahead
# of the receiver: backlogs and cryptd's queue hold 1,000 packets and drop the rest.
send()
{
	in_ns host-a taskset -c "$1" python3 - "$2" $packets "$work/count" <<'END'
import mmap, socket, sys, time
port, packets = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.2.0.2", port))
with open(sys.argv[3], "rb") as f:
    counts = memoryview(mmap.mmap(f.fileno(), 8, prot=mmap.PROT_READ)).cast("I")
for n in range(packets):
    s.send(n.to_bytes(4, "big") * 25)
    if n % 20 == 19:
        end = time.monotonic() + 10
        while n - counts[port - 5001] > 200 and time.monotonic() < end:
            time.sleep(0.001)
END
}

# Receives what send sent and reports how many, and how many were out of order.
cat >"$work/receive" <<'END'
import mmap, selectors, socket, sys
packets = int(sys.argv[1])
with open(sys.argv[3], "w+b") as f:
    f.write(bytes(8))
    f.flush()
    counts = memoryview(mmap.mmap(f.fileno(), 8)).cast("I")
SO_RCVBUFFORCE = 33
select = selectors.DefaultSelector()
last, got, early = {}, 0, 0
for port in (5001, 5002):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    s.bind(("10.2.0.2", port))
    select.register(s, selectors.EVENT_READ)
    last[s] = -1
open(sys.argv[2], "w")
while got < 2 * packets:
    ready = select.select(20 * int(sys.argv[4]))
    if not ready:
        break
    for key, _ in ready:
        n = int.from_bytes(key.fileobj.recv(2000)[:4], "big")
        early += n <= last[key.fileobj]
        last[key.fileobj] = n
        counts[key.fileobj.getsockname()[1] - 5001] += 1
        got += 1
print(f"{got} received, {early} out of order")
END

# seqs_rise FILE: the ESP sequence numbers in a capture are 1, 2, 3, ...
seqs_rise()
{
	tcpdump -nn -r "$1" "dst 192.0.2.2" 2>/dev/null |
		sed -n 's/.*seq=\(0x[0-9a-f]*\).*/\1/p' | python3 -c '
import sys
seqs = [int(line, 16) for line in sys.stdin]
print(len(seqs), "packets; in order" if seqs == list(range(1, len(seqs) + 1)) else "packets; NOT in order")
wrong = [(i + 1, s) for i, s in enumerate(seqs) if s != i + 1]
if wrong: print("first wrong (place, number):", wrong[:5])'
}

# run ALGORITHM KEY_BYTES
run()
{
	pair_policies && pair_sas "$@" || return 1
	rm -f "$work/ready"
	in_ns host-b python3 "$work/receive" $packets "$work/ready" "$work/count" $slow \
		>"$work/result" &
	receiver=$!
	# no function: its process would be the shell's
	ip netns exec gw-a tcpdump -i wan-a -B 65536 --immediate-mode -U -s 64 \
		-w "$work/pcap" esp >"$work/tcpdump" 2>&1 &
	capture=$!
	wait_for "the receiver" test -e "$work/ready" &&
		wait_for "tcpdump" grep -q listening "$work/tcpdump" || return 1
	send 0 5001 &
	sender=$!
	send 1 5002
	wait $sender && wait $receiver || return 1
	kill $capture
	wait $capture
}

many()
{
	local n
	n=$(sa_field "$1" "$2" async)
	echo "$1 spi $2: $n asynchronous completions"
	[ "$n" -ge 100 ]
}

# Packets that wait for a neighbour's address are overtaken by those that find it.
neighbours()
{
	in_ns host-a ping -n -q -c 1 -W 20 10.1.0.1 &&
		in_ns gw-a ping -n -q -c 1 -W 20 192.0.2.2 &&
		in_ns gw-b ping -n -q -c 1 -W 20 10.2.0.2
}

topo_site_to_site && neighbours >/dev/null && load_moat async_crypto=1 || exit 1
# A veth has a backlog per CPU, which a packet enters on its sender's. Packets that
# left in order, from two CPUs, would overtake each other there; a network card
# hands those of one SA to one CPU.
in_ns gw-b sh -c 'echo 1 >/sys/class/net/wan-b/queues/rx-0/rps_cpus' || exit 1
for row in "aes128gcm16 20" "aes256-sha256 64"; do
	alg=${row% *}
	ktap "$alg: two senders on two CPUs" run $row
	ktap_is "$alg: all arrive, in order" "$((2 * packets)) received, 0 out of order" \
		cat "$work/result"
	ktap_is "$alg: ESP leaves in order" "$((2 * packets)) packets; in order" \
		seqs_rise "$work/pcap"
	ktap "$alg: 100 seals and more were asynchronous" many gw-a $spi_b
	ktap "$alg: 100 opens and more were asynchronous" many gw-b $spi_b
	ktap_is "$alg: none dropped on the way in" "{}" sa_field gw-b $spi_b drops
	pair_down
done
ktap "the module unloads" unload_moat
topo_cleanup
ktap_finish
