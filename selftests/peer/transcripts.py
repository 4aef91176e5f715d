#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded exchanges with methods 4 and 5: octets, keys and all values between.

usage: transcripts.py [--keys] write

Without --keys, the private keys in transcripts/keys.json stay, and then every
file comes out as it was: nothing here is random.
"""
import json
import pathlib
import sys

import isakmp
import pki
from certificates import Certificate, load_private
from phase1 import Config
from talk import FixedRandom, Talk, describe

FOLDER = pathlib.Path(__file__).resolve().parent / "transcripts"
KEYS = FOLDER / "keys.json"
ADDRESSES = {"initiator": "192.0.2.1", "responder": "192.0.2.2"}
NETS = {"initiator": "10.1.0.0/24", "responder": "10.2.0.0/24"}

# name: method, exchange, IKE and ESP suite, identities, what else
ROWS = {
    "enc-main": ("rsa-enc", "main", "aes256-sha256-modp2048", "aes128gcm16-modp2048",
                 "address", {}),
    "enc-main-hash1": ("rsa-enc", "main", "3des-sha1-modp1024", "aes128-sha1", "fqdn",
                       {"send_hash_1": True}),
    "enc-aggressive": ("rsa-enc", "aggressive", "aes128-sha1-ecp256", "aes256-sha256",
                       "fqdn", {}),
    "enc-aggressive-hash1-clear": ("rsa-enc", "aggressive", "aes256-md5-modp1536",
                                   "3des-md5", "address",
                                   {"send_hash_1": True, "clear_last": True}),
    "revised-main": ("rsa-enc-revised", "main", "aes256-sha256-modp2048",
                     "aes128gcm16-modp2048", "address", {}),
    # SHA-1 gives 20 octets: Ke and the key of the SA are expanded to 32
    "revised-main-expanded": ("rsa-enc-revised", "main", "aes256-sha1-ecp384",
                              "aes256-sha256", "fqdn", {}),
    "revised-main-hash1-cert": ("rsa-enc-revised", "main", "3des-md5-modp1024",
                                "null-sha1", "dn",
                                {"send_hash_1": True, "send_cert": True}),
    "revised-aggressive": ("rsa-enc-revised", "aggressive", "aes128-sha256-ecp256",
                           "aes256-sha512-ecp256", "fqdn", {}),
    "revised-aggressive-hash1-clear": ("rsa-enc-revised", "aggressive",
                                       "3des-sha1-modp1536", "ah-sha256", "address",
                                       {"send_hash_1": True, "clear_last": True}),
}


def make_keys():
    """New RSA keys and certificates, as PEM text by name."""
    made = {name: pki.new_key() for name in ("ca", "initiator", "responder",
                                             "responder-2")}
    out = {}
    for serial, (name, key) in enumerate(made.items(), 1):
        side = name.removesuffix("-2")
        certificate = (pki.certify("Test CA", key, key) if name == "ca" else
                       pki.certify(f"{name}.example", key, made["ca"], serial=serial,
                                   addresses=[ADDRESSES[side]], names=[f"{side}.example"]))
        out[name] = {"private": pki.private_pem(key).decode(),
                     "public": pki.public_pem(key).decode(),
                     "certificate": pki.certificate_pem(certificate).decode()}
    return out


class Keys:
    """The file of keys, parsed."""

    def __init__(self, texts):
        self.texts = texts
        self.private = {n: load_private(t["private"].encode()) for n, t in texts.items()}
        self.certificate = {n: Certificate.pem(t["certificate"].encode())
                            for n, t in texts.items()}

    @classmethod
    def load(cls):
        """The committed ones."""
        return cls(json.loads(KEYS.read_text()))

    def identity(self, kind, name):
        """Body of the ID payload of a side."""
        if kind == "dn":
            return isakmp.identity("dn:" + self.certificate[name].subject.hex())
        return isakmp.identity(ADDRESSES[name] if kind == "address" else
                               f"fqdn:{name}.example")


def configs(keys, method, exchange, ike, esp, identity, more):
    """Configurations of both sides. With HASH(1), the responder has two keys,
    and the second one is used."""
    both = {}
    named = "responder-2" if more.get("send_hash_1") else "responder"
    for me, peer, key, peer_key in (("initiator", "responder", "initiator", named),
                                    ("responder", "initiator", named, "initiator")):
        pairs = [(keys.private[key], keys.certificate[key])]
        if key == "responder-2":
            pairs.insert(0, (keys.private["responder"], keys.certificate["responder"]))
        both[me] = Config(
            method, exchange, [ike], [esp], keys.identity(identity, me),
            keys.identity(identity, peer), keys=pairs,
            peer_cert=keys.certificate[peer_key], ca=keys.certificate["ca"],
            local_net=NETS[me], remote_net=NETS[peer], **(more if me == "initiator" else {}))
    if more.get("send_cert"):       # and then the responder learns the key from it
        both["responder"].peer_cert = None
    return both["initiator"], both["responder"]


def record(keys, name):
    """One exchange, phase 1 and quick mode, as a document."""
    method, exchange, ike, esp, identity, more = ROWS[name]
    randoms = FixedRandom(f"{name} initiator"), FixedRandom(f"{name} responder")
    talk = Talk(*configs(keys, method, exchange, ike, esp, identity, more), randoms)
    if not talk.phase1() or not talk.quick():
        raise RuntimeError(f"{name}: {talk.refusals()}")
    used = "responder-2" if more.get("send_hash_1") else "responder"
    return {
        "name": name, "method": method, "exchange": exchange, "ike": ike, "esp": esp,
        "addresses": ADDRESSES, "networks": NETS, "options": more,
        "identities": {who: keys.identity(identity, who).hex() for who in ADDRESSES},
        "keys": {"initiator": "initiator", "responder": used},
        "messages": [{"from": who, **describe(message), "octets": message.hex()}
                     for who, message in talk.messages],
        "random": {who: [{"what": what, "octets": octets.hex()}
                         for what, octets in random.given]
                   for who, random in zip(ADDRESSES, randoms)},
        "values": {n: v.hex() for n, v in sorted(talk.common().items())},
        "spi": {"to initiator": talk.initiator.ipsec[0].spi_in.hex(),
                "to responder": talk.responder.ipsec[0].spi_in.hex()},
    }


def text(document):
    """A document as it stands in its file."""
    return json.dumps(document, indent=1) + "\n"


def main(words):
    """Write all files."""
    if words not in (["write"], ["--keys", "write"]):
        print(__doc__, file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    if "--keys" in words:
        KEYS.write_text(text(make_keys()))
    keys = Keys.load()
    for name in ROWS:
        (FOLDER / f"{name}.json").write_text(text(record(keys, name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
