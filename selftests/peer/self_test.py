#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test peer talks to itself: every method, exchange and role, and what it refuses."""
import copy
import itertools
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
# pylint: disable=wrong-import-position
import crypto
import isakmp
import keys
import transcripts
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from ktap import Results, check, same
from phase1 import EXCHANGES, METHODS
from talk import Talk, system_random

KEYS = transcripts.Keys.load()
SECRET = b"a secret of two test peers"
QUICK_IKE = "aes256-sha256-ecp256"  # cheap to compute


def pair(method, exchange, ike=QUICK_IKE, esp="aes128gcm16", ours=None, theirs=None,
         **both):
    """Configurations of two sides that agree, but for `ours` and `theirs`."""
    more = both if method in ("rsa-enc", "rsa-enc-revised") else {}
    made = transcripts.configs(KEYS, method, exchange, ike, esp, "fqdn", more)
    for config, changes in zip(made, (ours, theirs)):
        config.psk = SECRET
        for name, value in {**both, **(changes or {})}.items():
            setattr(config, name, value)
    return made


def agree(*configs):
    """Both phases, quick mode from each side, liveness, deletion."""
    talk = Talk(*configs)
    check(talk.phase1(), f"phase 1: {talk.refusals()}")
    for name in ("SKEYID", "SKEYID_d", "SKEYID_a", "SKEYID_e", "cipher key"):
        same(talk.initiator.values[name], talk.responder.values[name], name)
    same((talk.initiator.sa.peer_id, talk.responder.sa.peer_id),
         (configs[1].local_id, configs[0].local_id), "identities")
    for who in ("initiator", "responder"):
        check(talk.quick(who), f"quick mode of the {who}: {talk.refusals()}")
        talk.deliver(who, getattr(talk, who).dpd())
    same([e["kind"] for s in (talk.initiator, talk.responder) for e in s.events
          if e["event"] == "notify"],
         [isakmp.R_U_THERE_ACK, isakmp.R_U_THERE, isakmp.R_U_THERE, isakmp.R_U_THERE_ACK],
         "liveness")
    for message in talk.initiator.delete():
        talk.deliver("initiator", message)
    check(talk.responder.over and not talk.responder.ipsec, "deletion was not heeded")
    same(talk.refusals(), [], "refusals")


def flip(octets):
    """The last bit changed."""
    return octets[:-1] + bytes([octets[-1] ^ 1])


def wrong_type(block):
    """An RSA block of type 1."""
    return b"\0\1" + block[2:]


def no_zero(block):
    """An RSA block without the zero that ends the filling."""
    return b"\0\2" + block[2:].replace(b"\0", b"\1")


def early_zero(block):
    """Less than eight octets of filling."""
    return block[:5] + b"\0" + block[6:]


def other(name):
    """A key pair of another side."""
    return [(KEYS.private[name], KEYS.certificate[name])]


# what: (method or "" for all, exchange or "", changes of ours, of theirs, part of a
# sentence). "" as sentence: no side may say why, but neither may come to an end.
REFUSED = {
    "another secret": ("psk", "", {}, {"psk": b"another"}, ""),
    "wrong HASH_I": ("psk", "", {"tamper": {"HASH_I": flip}}, {}, "wrong HASH_I"),
    "wrong HASH_I, encrypted": ("rsa-enc", "", {"tamper": {"HASH_I": flip}}, {},
                                "wrong HASH_I"),
    "wrong HASH_I, revised": ("rsa-enc-revised", "", {"tamper": {"HASH_I": flip}}, {},
                              "wrong HASH_I"),
    "wrong HASH_R": ("psk", "", {}, {"tamper": {"HASH_R": flip}}, "wrong HASH_R"),
    "wrong HASH_R, encrypted": ("rsa-enc", "", {}, {"tamper": {"HASH_R": flip}},
                                "wrong HASH_R"),
    "wrong HASH_R, revised": ("rsa-enc-revised", "", {}, {"tamper": {"HASH_R": flip}},
                              "wrong HASH_R"),
    "HASH_R cut short": ("rsa-enc", "", {}, {"tamper": {"HASH_R": lambda h: h[:-1]}},
                         "wrong HASH_R"),
    "wrong SIG_I": ("rsa-sig", "", {"tamper": {"SIG_I": flip}}, {}, "wrong signature"),
    "wrong SIG_R": ("rsa-sig", "", {}, {"tamper": {"SIG_R": flip}}, "wrong signature"),
    "signature of another hash": ("rsa-sig", "", {"tamper": {"HASH_I": flip}}, {},
                                  "wrong signature"),
    "certificate of another CA": ("rsa-sig", "", {}, {"ca": KEYS.certificate["responder"]},
                                  "not signed by our CA"),
    "certificate of another name": (
        "rsa-sig", "", {"keys": other("responder")}, {}, "does not hold the identity"),
    "another identity": ("", "", {"local_id": isakmp.identity("fqdn:someone.example")}, {},
                         "identity fqdn:someone.example"),
    "identity with a port": ("", "", {"tamper": {
        "IDii_b": lambda b: isakmp.id_body(b[0], b[4:], 17, 501)}}, {}, "port 501"),
    "public value 1": ("", "", {"ike": ["aes128-sha1-modp1024"], "tamper": {
        "g^xi": lambda v: bytes(len(v) - 1) + b"\1"}}, {"ike": ["aes128-sha1-modp1024"]},
                       "public value"),
    "public value not on the curve": ("", "", {"tamper": {"g^xi": flip}}, {}, "no point"),
    "public value cut short": ("", "", {"tamper": {"g^xi": lambda v: v[1:]}}, {},
                               "public value of"),
    "another proposal": ("", "", {}, {"ike": ["3des-md5-modp1024"]}, "no transform"),
    "an answer that changes an attribute": (
        "", "", {}, {"tamper": {"SAr_b": lambda b: b.replace(
            bytes.fromhex("800e0100"), bytes.fromhex("800e0080"))}}, "none of our transforms"),
    "wrong quick HASH(1)": ("", "", {"tamper": {"quick HASH(1)": flip}}, {},
                            "wrong quick HASH(1)"),
    "wrong quick HASH(2)": ("", "", {}, {"tamper": {"quick HASH(2)": flip}},
                            "wrong quick HASH(2)"),
    "wrong quick HASH(3)": ("", "", {"tamper": {"quick HASH(3)": flip}}, {},
                            "wrong quick HASH(3)"),
    "other networks": ("", "", {"local_net": "10.3.0.0/24"}, {}, "identities"),
    "another ESP proposal": ("", "", {}, {"esp": ["3des-md5"]}, "no ESP or AH"),
    "PFS on one side only": ("", "", {"esp": ["aes128gcm16-ecp256"]}, {}, "no ESP or AH"),
    "encrypted for another key": (
        "rsa-enc", "", {"peer_cert": KEYS.certificate["responder-2"]}, {}, ""),
    "encrypted for another key, revised": (
        "rsa-enc-revised", "", {"peer_cert": KEYS.certificate["responder-2"]}, {}, ""),
    "an answer for another key": (
        "rsa-enc", "", {}, {"peer_cert": KEYS.certificate["responder-2"]}, ""),
    "an answer for another key, revised": (
        "rsa-enc-revised", "", {}, {"peer_cert": KEYS.certificate["responder-2"]}, ""),
    "HASH(1) of an unknown certificate": (
        "rsa-enc", "", {"send_hash_1": True, "peer_cert": KEYS.certificate["ca"],
                        "peer_key": KEYS.certificate["responder"].public_key}, {},
        "HASH(1) names none"),
    "RSA ciphertext of wrong length": (
        "rsa-enc", "", {"tamper": {"<Ni_b>PubKey": lambda c: c[1:]}}, {}, "another length"),
    "nonce of 7 octets": ("", "", {"tamper": {"Ni_b": lambda n: n[:7]}}, {},
                          "nonce of 7 octets"),
    "wrong padding under Ke_i": (
        "rsa-enc-revised", "", {"tamper": {"padded IDii_b": lambda b: b[:-1] + b"\xff"}}, {},
        "wrong padding under Ke"),
    "padding under Ke_r not zero": (
        "rsa-enc-revised", "", {}, {"tamper": {
            "padded IDir_b": lambda b: b[:-2] + b"\1" + b[-1:]}}, "wrong padding under Ke"),
    "a cipher block under Ke_i missing": (
        "rsa-enc-revised", "", {"tamper": {"<IDii_b>Ke_i": lambda c: c[:-1]}}, {},
        "no number of blocks"),
    "Cert-I of another CA": (
        "rsa-enc-revised", "", {"send_cert": True}, {
            "ca": KEYS.certificate["responder"], "peer_cert": None}, "not signed by our CA"),
}
for _name, _change in (("block type 1", wrong_type), ("no zero", no_zero),
                       ("a short filling", early_zero)):
    for _what in ("Ni_b", "Nr_b", "IDii_b", "IDir_b"):
        _tampered = {"tamper": {f"block of {_what}": _change}}
        for _method in ("rsa-enc", "rsa-enc-revised")[:1 if _what[0] == "I" else 2]:
            _sides = (_tampered, {}) if _what in ("Ni_b", "IDii_b") else ({}, _tampered)
            REFUSED[f"{_what} with {_name}, {_method}"] = (_method, "", *_sides,
                                                           "wrong padding")


def refuse(method, exchange, ours, theirs, sentence):
    """No common SA at the end, and the right sentence."""
    talk = Talk(*pair(method, exchange, ours=copy.copy(ours), theirs=copy.copy(theirs)))
    check(not (talk.phase1() and talk.quick()), "both sides were content")
    check(any(sentence in reason for reason in talk.refusals()),
          f"expected {sentence!r}, heard {talk.refusals()}")


def refusals(method_wanted, exchange_wanted, *rest):
    """A row of REFUSED for all methods and exchanges it holds for."""
    for method, exchange in itertools.product(METHODS, EXCHANGES):
        if method_wanted in ("", method) and exchange_wanted in ("", exchange):
            try:
                refuse(method, exchange, *rest)
            except Exception as e:
                raise RuntimeError(f"{method} {exchange}: {e}") from e


# --- what the library can confirm -----------------------------------------------------

def rsa_blocks():
    """Our RSA blocks against the library's."""
    key = KEYS.private["initiator"]
    public = key.public_key()
    block = crypto.rsa_block_2(crypto.rsa_size(public), b"nonce", b"\xa5" * 248)
    same(key.decrypt(crypto.rsa_public(public, block), padding.PKCS1v15()), b"nonce",
         "decrypted by the library")
    same(crypto.rsa_unblock_2(crypto.rsa_private(key, public.encrypt(
        b"nonce", padding.PKCS1v15()))), b"nonce", "encrypted by the library")
    # with a DigestInfo in front, our block is the library's signature
    info = bytes.fromhex("3031300d060960864801650304020105000420")
    hashed = crypto.digest(4, b"data")
    signature = crypto.rsa_sign(key, info + hashed)
    public.verify(signature, hashed, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    check(crypto.rsa_verify(public, info + hashed, signature), "own signature")
    check(not crypto.rsa_verify(public, hashed, signature), "a signature with an OID holds")


def groups():
    """Primes are prime, and both sides of each group come to the same."""
    check(crypto.prime(2) % 2 ** 64 == 2 ** 64 - 1 and f"{crypto.prime(2):x}".endswith(
        "49286651ece65381ffffffffffffffff"), "not the prime of RFC 2409 section 6.2")
    for group in [*crypto.MODP, *crypto.ECP, crypto.CURVE25519]:
        if group in (2, 5, 14, 15):
            same(pow(3, crypto.prime(group) - 1, crypto.prime(group)), 1, f"prime {group}")
        if group in (16, 17, 18):
            continue    # slow, and the formula is the same
        a, b = (system_random(crypto.private_size(group), "") for _ in "ab")
        same(crypto.shared(group, a, crypto.public(group, b)),
             crypto.shared(group, b, crypto.public(group, a)), f"group {group}")


def revised_padding():
    """Section 5.3 on all lengths of two blocks."""
    for cipher, size in itertools.product(crypto.CIPHERS, range(33)):
        padded = keys.revised_pad(cipher, b"x" * size)
        check(len(padded) > size and not len(padded) % crypto.block_size(cipher)
              and padded[-1] == len(padded) - size - 1, f"padding of {size} octets")
        same(keys.revised_unpad(cipher, padded), b"x" * size, "without padding")


def transcript(name):
    """The committed file comes out again, octet for octet."""
    found = (transcripts.FOLDER / f"{name}.json").read_text()
    same(transcripts.record(KEYS, name), json.loads(found), "transcript")


def damaged():
    """No damage to any message makes a session fail in any way but by refusing."""
    chance = random.Random(5)
    for method, exchange in itertools.product(METHODS, EXCHANGES):
        configs = pair(method, exchange)
        whole = Talk(*configs)
        check(whole.phase1() and whole.quick(), "the undamaged exchange")
        for number in range(1, 8):
            for _ in range(2):
                damaged_once(configs, number, chance)


def damaged_once(configs, number, chance):
    """One exchange in which one message is damaged."""
    talk = Talk(*configs)
    original = talk.responder.receive, talk.initiator.receive

    def damage(message):
        at = chance.randrange(len(message))
        kind = chance.randrange(3)
        if kind == 0:
            return message[:at]
        if kind == 1:
            return message[:at] + bytes([message[at] ^ (1 << chance.randrange(8))]) + \
                message[at + 1:]
        return message[:at] + bytes(4) + message[at:]

    def wrapped(receive):
        def inner(message):
            bad = damage(message) if len(talk.messages) == number else message
            return receive(bad)
        return inner

    talk.responder.receive, talk.initiator.receive = map(wrapped, original)
    if talk.phase1():
        talk.quick()


def main():
    """All of it."""
    results = Results()
    for method, exchange in itertools.product(METHODS, EXCHANGES):
        results.run(f"{method} {exchange}", agree, *pair(method, exchange))
    several = itertools.cycle(itertools.product(METHODS, EXCHANGES))
    for ike, esp in (("3des-md5-modp1024", "3des-md5-modp1024"),
                     ("3des-sha1-modp1536", "null-sha1"),
                     ("aes128-sha1-modp2048", "aes128-sha1-modp2048"),
                     ("aes192-sha384-ecp384", "aes192-sha384-ecp384"),
                     ("aes256-sha512-ecp521", "aes256-sha512"),
                     ("aes256-sha256-curve25519", "ah-sha256"),
                     ("aes256-md5-ecp256", "aes256gcm8-curve25519")):
        for _ in range(3):      # 8 pairs, 21 steps: each suite meets other methods
            method, exchange = next(several)
            results.run(f"{method} {exchange} {ike} {esp}", agree,
                        *pair(method, exchange, ike, esp))
    for method in ("rsa-enc", "rsa-enc-revised"):
        for exchange in EXCHANGES:
            results.run(f"{method} {exchange} with HASH(1)", agree,
                        *pair(method, exchange, send_hash_1=True))
    for method in METHODS:
        results.run(f"{method} aggressive, last message in clear", agree,
                    *pair(method, "aggressive", ours={"clear_last": True}))
    for name, row in REFUSED.items():
        results.run(f"refused: {name}", refusals, *row)
    for name in transcripts.ROWS:
        results.run(f"transcript {name}", transcript, name)
    for case in (rsa_blocks, groups, revised_padding, damaged):
        results.run(case.__doc__.rstrip("."), case)
    results.finish()


if __name__ == "__main__":
    main()
