# SPDX-License-Identifier: GPL-2.0-or-later
"""A second implementation of uapi/moat.yaml, over a raw netlink socket.

It shares no code with the daemon's client and pins the numbers of the
contract. Messages can be malformed at will: attributes are plain bytes.
"""
import errno
import os
import socket
import struct

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 1, 10, 11
NLA_F_NESTED = 0x8000
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3

COMMANDS = ("spi-alloc sa-add sa-get sa-del sa-flush policy-add policy-set "
            "policy-switch policy-get policy-del policy-flush flow-get stats-get "
            "acquire-ntf expire-ntf mapping-ntf first-use-ntf sa-move "
            "unknown-spi-ntf policy-gone-ntf sa-set").split()
COMMAND = {name: i + 1 for i, name in enumerate(COMMANDS)}

SELECTOR = ("local-addr:b local-prefix:1 remote-addr:b remote-prefix:1 protocol:1 "
            "local-port-min:2 local-port-max:2 remote-port-min:2 remote-port-max:2")
COUNTER = "name:s value:8 pad:b"
SA = ("direction:1 protocol:1 spi:4 src:b dst:b mode:1 enc:2 enc-key:b auth:2 "
      "auth-key:b icv-len:1 replay:4 esn:f policy:4 selector:n=selector encap-sport:2 "
      "encap-dport:2 soft-seconds:8 hard-seconds:8 soft-bytes:8 hard-bytes:8 "
      "soft-packets:8 hard-packets:8 owner:b bundle:4 state:1 seq:8 packets:8 bytes:8 "
      "drop:n=counter created:8 last-used:8 driver:s mtu:4 async:8 pad:b key-bits:2 "
      "late:n=late peer:b")
LATE = "from:4 accepted:8 refused:8 duplicate:8 pad:b"
POLICY = ("id:4 selector:n=selector action:1 priority:4 local:b remote:b mode:1 spi:4 "
          "acquire:f held:4 packets:8 bytes:8 drop:n=counter implicit:s acquire-off:f "
          "pad:b dscp:1 df:1 mtu:2 mss:2 tfc:2 device:s secpath:f mark:4 mark-mask:4 "
          "shadowed:4")
FLOW = "src:b dst:b protocol:1 sport:2 dport:2 mark:4"
MAIN = ("sa:n=sa policy:n=policy flow:n=flow verdict:1 counter:n=counter hard:f "
        "spi-min:4 spi-max:4 addr:b port:2 original:n=flow translated:n=flow reason:s")


def _table(text):
    names, types = {}, {}
    for i, word in enumerate(text.split()):
        name, kind = word.split(":")
        names[name] = (i + 1, kind)
        types[i + 1] = (name, kind)
    return names, types


SETS = {"selector": _table(SELECTOR), "counter": _table(COUNTER), "sa": _table(SA),
        "late": _table(LATE),
        "policy": _table(POLICY), "flow": _table(FLOW), "main": _table(MAIN)}

IN, OUT = 1, 2
ESP, AH = 50, 51
TUNNEL, TRANSPORT = 1, 2
PROTECT, BYPASS, DISCARD = 1, 2, 3
RESERVED, VALID = 0, 1
ENC = {name: i for i, name in enumerate(
    "none null aes-cbc aes-ctr 3des-cbc aes-gcm aes-ccm aes-gmac "
    "chacha20-poly1305".split())}
AUTH = {name: i for i, name in enumerate(
    "none hmac-md5 hmac-sha1 hmac-sha256 hmac-sha384 hmac-sha512 aes-xcbc "
    "aes-cmac aes-gmac".split())}
VERDICT = "? clear bypass protect hold discard".split()


class Refused(Exception):
    """The kernel said no."""

    def __init__(self, code, sentence):
        super().__init__(f"{errno.errorcode.get(code, code)}: {sentence}")
        self.code = code
        self.sentence = sentence


def attr(number, payload):
    """One attribute, padded."""
    data = struct.pack("=HH", len(payload) + 4, number) + payload
    return data + bytes(-len(data) % 4)


def address(text):
    """Text to 4 or 16 bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def network(text):
    """"10.1.0.0/24" to its bytes and prefix."""
    where, _, prefix = text.partition("/")
    packed = address(where)
    return packed, int(prefix or len(packed) * 8)


def selector(local, remote, **more):
    """A selector's attributes by name."""
    local_addr, local_prefix = network(local)
    remote_addr, remote_prefix = network(remote)
    return {"local-addr": local_addr, "local-prefix": local_prefix,
            "remote-addr": remote_addr, "remote-prefix": remote_prefix,
            **{k.replace("_", "-"): v for k, v in more.items()}}


def encode(kind, value, nested=None):
    """A value as the payload of an attribute."""
    if isinstance(value, bytes):
        return value                    # also a deliberately wrong length
    if kind == "f":
        return b""
    if kind == "s":
        return value.encode() + b"\0"
    if kind == "b":
        return address(value)
    if kind.startswith("n="):
        return attributes(kind[2:], value)
    return struct.pack({"1": "=B", "2": "=H", "4": "=I", "8": "=Q"}[kind], value)


def attributes(name, values):
    """All attributes of a set: {name: value}; a list repeats one; None leaves out."""
    out = b""
    for key, value in values.items():
        number, kind = SETS[name][0][key]
        if kind.startswith("n="):
            number |= NLA_F_NESTED
        for one in value if isinstance(value, list) else [value]:
            if one is not None and one is not False:
                out += attr(number, encode(kind, one))
    return out


def split(data):
    """The attributes of a message: (type without flags, payload)."""
    while len(data) >= 4:
        length, number = struct.unpack_from("=HH", data)
        if length < 4 or length > len(data):
            raise ValueError(f"attribute {number} of length {length} in {len(data)} bytes")
        yield number & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


def decode(name, data):
    """Attributes to {name: value}; those that may repeat become lists."""
    out = {}
    for number, payload in split(data):
        key, kind = SETS[name][1].get(number, (f"unknown-{number}", "b"))
        if kind == "f":
            value = True
        elif kind == "s":
            value = payload.rstrip(b"\0").decode()
        elif kind == "b":
            value = payload
        elif kind.startswith("n="):
            value = decode(kind[2:], payload)
        else:
            value = int.from_bytes(payload, "little" if struct.pack("=H", 1)[0] else "big")
            if len(payload) != int(kind):
                raise ValueError(f"{name}.{key} has {len(payload)} bytes")
        if key in ("drop", "counter", "late") or (name == "main" and key == "sa"):
            out.setdefault(key, []).append(value)
        else:
            out[key] = value
    for key in ("drop", "counter"):
        if key in out:
            out[key] = {c["name"]: c["value"] for c in out[key]}
    return out


class Netlink:
    """A socket of the family, in the network namespace it is made in."""

    def __init__(self, events=False):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.sock.bind((0, 0))
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sequence = 0
        self.family, groups = self.resolve("moat")
        if events:
            self.sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, groups["events"])

    def close(self):
        self.sock.close()

    def resolve(self, name):
        """Number and multicast groups of a family."""
        answer = self.raw(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attr(2, name.encode() + b"\0"))
        top = dict(split(answer[0][20:]))
        groups = {}
        for _, group in split(top.get(7, b"")):
            fields = dict(split(group))
            groups[fields[1].rstrip(b"\0").decode()] = struct.unpack("=I", fields[2])[0]
        return struct.unpack("=H", top[1])[0], groups

    def raw(self, family, command, payload, flags=0, version=1):
        """Send a message and collect its answers; raises Refused."""
        self.sequence += 1
        body = struct.pack("=BBH", command, version, 0) + payload
        self.sock.send(struct.pack("=IHHII", len(body) + 16, family,
                                   NLM_F_REQUEST | NLM_F_ACK | flags, self.sequence, 0)
                       + body)
        answers = []
        while True:
            data = self.sock.recv(1 << 18)
            while data:
                length, kind, message_flags, sequence, _ = struct.unpack_from("=IHHII", data)
                message, data = data[:length], data[(length + 3) & ~3:]
                if sequence != self.sequence:
                    continue            # an event
                if kind == NLMSG_DONE:
                    code = struct.unpack_from("=i", message, 16)[0]
                    if code < 0:
                        raise Refused(-code, "")
                    return answers
                if kind == NLMSG_ERROR:
                    self.error(message, message_flags)
                    return answers
                answers.append(message)

    @staticmethod
    def error(message, flags):
        """Raise Refused unless the message is an acknowledgement."""
        code, echoed = struct.unpack_from("=iI", message, 16)
        if not code:
            return
        skip = 36 if flags & NLM_F_CAPPED else 20 + echoed
        fields = dict(split(message[(skip + 3) & ~3:])) if flags & NLM_F_ACK_TLVS else {}
        raise Refused(-code, fields.get(1, b"").rstrip(b"\0").decode())

    def request(self, command, values=None, flags=0):
        """A request by names; the answers decoded."""
        payload = values if isinstance(values, bytes) else attributes("main", values or {})
        return [decode("main", m[20:])
                for m in self.raw(self.family, COMMAND[command], payload, flags)]

    def batch(self, command, many, size=64):
        """Many requests of a kind, `size` in a message; raises the first refusal."""
        for start in range(0, len(many), size):
            *first, last = many[start:start + size]
            data = b""
            for values in first:
                body = (struct.pack("=BBH", COMMAND[command], 1, 0) +
                        attributes("main", values))
                data += struct.pack("=IHHII", len(body) + 16, self.family, NLM_F_REQUEST,
                                    self.sequence + 1, 0) + body
            if data:
                self.sock.send(data)
            # Refusals come before the answer to the last one.
            self.request(command, last)

    def sas(self):
        return [m["sa"][0] for m in self.request("sa-get", flags=NLM_F_DUMP)]

    def policies(self, implicit=False):
        found = [m["policy"] for m in self.request("policy-get", flags=NLM_F_DUMP)]
        return [p for p in found if implicit or "implicit" not in p]

    def stats(self):
        return self.request("stats-get")[0].get("counter", {})

    def sa_of(self, spi):
        """The SA of an SPI, from a dump."""
        return next(s for s in self.sas() if s["spi"] == spi)

    def policy_of(self, number):
        return self.request("policy-get", {"policy": {"id": number}})[0]["policy"]

    def flush(self):
        self.request("policy-flush")
        self.request("sa-flush")

    def next_event(self, seconds=10):
        """The next event as (command, attributes), or None."""
        self.sock.settimeout(seconds)
        try:
            while True:
                message = self.sock.recv(1 << 16)
                length, kind = struct.unpack_from("=IH", message)
                if kind == self.family:
                    return COMMANDS[message[16] - 1], decode("main", message[20:length])
        except (socket.timeout, BlockingIOError):
            return None
        finally:
            self.sock.settimeout(None)


# --- SAs and policies as the tests want them ------------------------------------

class Algorithm:
    """An algorithm with the lengths that this file expects of it."""

    def __init__(self, enc, enc_len, auth="none", auth_len=0, icv=None):
        self.enc, self.enc_len = enc, enc_len
        self.auth, self.auth_len = auth, auth_len
        self.icv = icv

    def keys(self):
        """Fresh random keys."""
        return os.urandom(self.enc_len), os.urandom(self.auth_len)


def algorithms():
    """All by name, AH's after "ah-"; lengths as the RFCs give them, salts included."""
    integrity = {"md5": ("hmac-md5", 16, 12), "sha1": ("hmac-sha1", 20, 12),
                 "sha256": ("hmac-sha256", 32, 16), "sha256_96": ("hmac-sha256", 32, 12),
                 "sha384": ("hmac-sha384", 48, 24), "sha512": ("hmac-sha512", 64, 32),
                 "aesxcbc": ("aes-xcbc", 16, 12), "aescmac": ("aes-cmac", 16, 12)}
    ciphers = {"null": ("null", 0), "3des": ("3des-cbc", 24)}
    table = {"chacha20poly1305": Algorithm("chacha20-poly1305", 36, icv=16)}
    for bits in (128, 192, 256):
        octets = bits // 8
        for icv in (8, 12, 16):
            table[f"aes{bits}gcm{icv}"] = Algorithm("aes-gcm", octets + 4, icv=icv)
            table[f"aes{bits}ccm{icv}"] = Algorithm("aes-ccm", octets + 3, icv=icv)
        table[f"aes{bits}gmac"] = Algorithm("aes-gmac", octets + 4, icv=16)
        ciphers[f"aes{bits}"] = ("aes-cbc", octets)
        ciphers[f"aes{bits}ctr"] = ("aes-ctr", octets + 4)
    for cipher, (enc, enc_len) in ciphers.items():
        for auth, (number, auth_len, icv) in integrity.items():
            table[f"{cipher}-{auth}"] = Algorithm(enc, enc_len, number, auth_len, icv)
    for auth, row in integrity.items():
        table[f"ah-{auth}"] = Algorithm("none", 0, *row)
    for bits in (128, 192, 256):
        table[f"ah-aes{bits}gmac"] = Algorithm("none", 0, "aes-gmac", bits // 8 + 4, 16)
    return table


ALGORITHMS = algorithms()


def sa(direction, spi, src, dst, algorithm, keys, /, **more):
    """An SA's attributes by name; `more` adds, replaces, or by None removes."""
    alg = ALGORITHMS[algorithm]
    values = {"direction": direction, "protocol": AH if alg.enc == "none" else ESP,
              "spi": spi, "src": src, "dst": dst,
              "mode": TUNNEL, "enc": ENC[alg.enc], "auth": AUTH[alg.auth]}
    if keys[0]:
        values["enc-key"] = keys[0]
    if keys[1]:
        values["auth-key"] = keys[1]
    if alg.icv:
        values["icv-len"] = alg.icv
    if direction == IN:
        values["replay"] = 64
    for key, value in more.items():
        values[key.replace("_", "-")] = value
    return values


def policy(number, local, remote, ours=None, peers=None, /, action=PROTECT, **more):
    """A policy's attributes by name."""
    values = {"id": number, "selector": selector(local, remote), "action": action}
    if ours:
        values.update({"local": ours, "remote": peers, "mode": TUNNEL})
    for key, value in more.items():
        values[key.replace("_", "-")] = value
    return values
