# SPDX-License-Identifier: GPL-2.0-or-later
"""Proposals by name: "aes256-sha256-modp2048" to transforms, and the choice of one.

Numbers: RFC 2409 appendix A, RFC 2407 section 4.4, RFC 3602, RFC 4106, RFC 4868,
RFC 3526, RFC 5903, and IANA's registries for what they left open.
"""
from dataclasses import dataclass

import isakmp
from crypto import CIPHERS, Refused
from isakmp import Attribute, Proposal, Transform

HASH_NUMBERS = {"md5": 1, "sha1": 2, "sha256": 4, "sha384": 5, "sha512": 6}
GROUPS = {"modp1024": 2, "modp1536": 5, "modp2048": 14, "modp3072": 15, "modp4096": 16,
          "modp6144": 17, "modp8192": 18, "ecp256": 19, "ecp384": 20, "ecp521": 21,
          "curve25519": 31}
# attribute types of phase 1, and of phase 2
(ENCRYPTION, HASH, METHOD, GROUP), LIFE_TYPE, LIFE, KEY_LENGTH = range(1, 5), 11, 12, 14
ESP_LIFE_TYPE, ESP_LIFE, ESP_GROUP, MODE, AUTH, ESP_KEY_LENGTH = range(1, 7)
TUNNEL, TRANSPORT = 1, 2
SECONDS = 1


@dataclass(frozen=True)
class IkeSuite:
    """What protects the ISAKMP SA."""
    cipher: int
    key_bits: int   # 0 for a cipher with one length
    hash: int
    group: int

    @property
    def key_octets(self):
        """Octets of the cipher's key."""
        return CIPHERS[self.cipher][2] or self.key_bits // 8

    def attributes(self, method, seconds):
        """Attributes of the transform that proposes this."""
        out = [Attribute(ENCRYPTION, self.cipher)]
        if self.key_bits:
            out.append(Attribute(KEY_LENGTH, self.key_bits))
        return tuple(out + [
            Attribute(HASH, self.hash), Attribute(METHOD, method),
            Attribute(GROUP, self.group), Attribute(LIFE_TYPE, SECONDS),
            Attribute(LIFE, seconds, 4)])


def ike_suite(text):
    """ "aes128-sha1-modp2048" to IkeSuite."""
    cipher, hashed, group = text.split("-")
    numbers = (5, 0) if cipher == "3des" else (7, int(cipher.removeprefix("aes")))
    return IkeSuite(*numbers, HASH_NUMBERS[hashed], GROUPS[group])


def ike_sa(suites, method, seconds):
    """SA payload body of phase 1: one proposal, a transform for each suite."""
    return isakmp.sa_body([Proposal(1, isakmp.PROTO_ISAKMP, b"", tuple(
        Transform(n, isakmp.KEY_IKE, suite.attributes(method, seconds))
        for n, suite in enumerate(suites, 1)))])


def choose_ike(body, suites, method):
    """The first acceptable offer: (IkeSuite, SA body that accepts it)."""
    proposals = isakmp.parse_sa(body)
    if len(proposals) != 1 or proposals[0].protocol != isakmp.PROTO_ISAKMP:
        raise Refused("phase 1 offer is not one proposal for ISAKMP",
                      isakmp.NO_PROPOSAL_CHOSEN)
    for transform in proposals[0].transforms:
        values = transform.values()
        for suite in suites:
            wanted = {a.type: a.value for a in suite.attributes(method, 0)
                      if a.type not in (LIFE_TYPE, LIFE)}
            have = {t: v for t, v in values.items() if t not in (LIFE_TYPE, LIFE)}
            if transform.id == isakmp.KEY_IKE and have == wanted:
                one = Proposal(proposals[0].number, isakmp.PROTO_ISAKMP,
                               proposals[0].spi, (transform,))
                return suite, isakmp.sa_body([one])
    raise Refused(f"no transform offered is one of ours: {proposals[0].transforms}",
                  isakmp.NO_PROPOSAL_CHOSEN)


def chosen_ike(answer, offered, suites):
    """The suite of ours that the answer accepts, unchanged."""
    theirs, ours = isakmp.parse_sa(answer), isakmp.parse_sa(offered)[0]
    if len(theirs) != 1 or len(theirs[0].transforms) != 1:
        raise Refused("the answer accepts more or less than one transform")
    got = sorted((a.type, a.value) for a in theirs[0].transforms[0].attributes)
    for transform, suite in zip(ours.transforms, suites):
        if got == sorted((a.type, a.value) for a in transform.attributes):
            return suite
    raise Refused(f"the answer is none of our transforms: {theirs[0].transforms[0]}")


@dataclass(frozen=True)
class EspSuite:
    """What protects traffic. Lengths in octets; group 0 is none."""
    protocol: int
    transform: int
    key_bits: int
    auth: int
    enc_key: int    # with the salt of a counter mode
    auth_key: int
    group: int

    def attributes(self, mode, seconds):
        """Attributes of the transform that proposes this."""
        out = [Attribute(ESP_LIFE_TYPE, SECONDS), Attribute(ESP_LIFE, seconds, 4),
               Attribute(MODE, mode)]
        if self.group:
            out.append(Attribute(ESP_GROUP, self.group))
        if self.auth:
            out.append(Attribute(AUTH, self.auth))
        if self.key_bits:
            out.append(Attribute(ESP_KEY_LENGTH, self.key_bits))
        return tuple(out)


# integrity: number of the attribute, octets of the key, AH's transform
INTEGRITY = {"md5": (1, 16, 2), "sha1": (2, 20, 3), "sha256": (5, 32, 5),
             "sha384": (6, 48, 6), "sha512": (7, 64, 7)}
GCM = {"gcm8": 18, "gcm12": 19, "gcm16": 20}


def esp_suite(text):
    """ "aes128gcm16-modp2048", "aes256-sha256", "null-sha1", "ah-sha256" to EspSuite."""
    words = text.split("-")
    group = GROUPS[words.pop()] if words[-1] in GROUPS else 0
    cipher = words[0]
    auth, auth_key, ah = INTEGRITY[words[1]] if len(words) > 1 else (0, 0, 0)
    if cipher == "ah":
        return EspSuite(isakmp.PROTO_AH, ah, 0, auth, 0, auth_key, group)
    if cipher in ("3des", "null"):
        number, size = {"3des": (3, 24), "null": (11, 0)}[cipher]
        return EspSuite(isakmp.PROTO_ESP, number, 0, auth, size, auth_key, group)
    bits = int(cipher[3:6])
    mode = cipher[6:]
    return EspSuite(isakmp.PROTO_ESP, GCM.get(mode, 12), bits, auth,
                    bits // 8 + (4 if mode else 0), auth_key, group)


def esp_sa(suites, spi, mode, seconds):
    """SA payload body of quick mode: a proposal for each suite."""
    return isakmp.sa_body([Proposal(n, suite.protocol, spi, (Transform(
        1, suite.transform, suite.attributes(mode, seconds)),))
        for n, suite in enumerate(suites, 1)])


def _plain(attributes):
    return {a.type: a.value for a in attributes if a.type not in (ESP_LIFE_TYPE, ESP_LIFE)}


def choose_esp(body, suites, mode, spi):
    """The first acceptable offer: (EspSuite, peer's SPI, SA body that accepts it)."""
    for offer in isakmp.parse_sa(body):
        for transform in offer.transforms:
            for suite in suites:
                if (offer.protocol, transform.id, _plain(transform.attributes)) == (
                        suite.protocol, suite.transform, _plain(suite.attributes(mode, 0))):
                    one = Proposal(offer.number, offer.protocol, spi, (transform,))
                    return suite, offer.spi, isakmp.sa_body([one])
    raise Refused(f"no ESP or AH transform offered is one of ours: {isakmp.parse_sa(body)}",
                  isakmp.NO_PROPOSAL_CHOSEN)


def chosen_esp(answer, suites, mode):
    """(EspSuite, peer's SPI) of the answer to our offer; lifetimes may be shorter."""
    theirs = isakmp.parse_sa(answer)
    if len(theirs) != 1 or len(theirs[0].transforms) != 1:
        raise Refused("the answer accepts more or less than one transform")
    proposal, transform = theirs[0], theirs[0].transforms[0]
    for suite in suites:
        if (proposal.protocol, transform.id, _plain(transform.attributes)) == (
                suite.protocol, suite.transform, _plain(suite.attributes(mode, 0))):
            return suite, proposal.spi
    raise Refused(f"the answer is none of our proposals: {proposal}")
