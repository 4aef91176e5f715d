# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the netlink contract share."""
import errno

import moatnl
import netns
from ktap import check, same
from moatnl import IN, OUT, Refused, policy, sa

OURS, PEERS = "192.0.2.1", "192.0.2.2"
KEY16, KEY20, KEY32 = bytes(range(16)), bytes(range(20)), bytes(range(32))
GCM = ("aes128gcm16", (KEY20, b""))
CBC = ("aes128-sha256", (KEY16, KEY32))
EINVAL, ENOENT, EEXIST, ERANGE = errno.EINVAL, errno.ENOENT, errno.EEXIST, errno.ERANGE


def inbound(spi=0x2000, algorithm=GCM, **more):
    return sa(IN, spi, PEERS, OURS, *algorithm, **more)


def outbound(spi=0x3000, algorithm=GCM, **more):
    return sa(OUT, spi, OURS, PEERS, *algorithm, **more)


def protect(number=7, local="10.1.0.0/24", remote="10.2.0.0/24", /, **more):
    return policy(number, local, remote, OURS, PEERS, **more)


def selector(**more):
    """A good selector with some attributes replaced, or by None removed."""
    return {**moatnl.selector("10.1.0.0/24", "10.2.0.0/24"),
            **{k.replace("_", "-"): v for k, v in more.items()}}


def snapshot(nl):
    """All SAs, reserved SPIs and policies, without what counts by itself."""
    moving = ("seq", "packets", "bytes", "last-used", "drop", "async", "mtu", "held",
              "acquire", "created")
    return sorted(str(sorted((k, str(v)) for k, v in one.items() if k not in moving))
                  for one in nl.sas() + nl.policies())


def refused(nl, command, values, code, sentence):
    """A request is refused with these words, and nothing has changed."""
    before = snapshot(nl)
    try:
        nl.request(command, values)
    except Refused as refusal:
        same((refusal.sentence, refusal.code), (sentence, code), command)
    else:
        check(False, f"{command} was accepted")
    same(snapshot(nl), before, "SAs, SPIs and policies")


def prepare(nl):
    """What must survive every refusal: two policies, an SA of each direction."""
    nl.request("policy-add", {"policy": protect(1)})
    nl.request("policy-add", {"policy": policy(2, "10.5.0.0/24", "10.6.0.0/24",
                                               action=moatnl.BYPASS)})
    nl.request("sa-add", {"sa": inbound(0x1000, policy=1)})
    nl.request("policy-switch", {"policy": {"id": 1}, "sa": outbound(0x1001, policy=1)})


def begin():
    """The module, an address, and what must survive; returns a socket."""
    netns.shell("load_moat")
    netns.ip("link add d0 type dummy", "addr add 192.0.2.1/24 dev d0", "link set d0 up",
             "addr add 2001:db8::1/64 dev d0 nodad")
    nl = moatnl.Netlink()
    prepare(nl)
    return nl


def end(results, nl):
    """Unload, and exit with what the results say."""
    nl.flush()
    nl.close()
    netns.ip("link del d0")
    results.run("unload", netns.shell, "unload_moat")
    results.finish()
