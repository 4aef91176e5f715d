# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick mode and the informational exchange (RFC 2409 sections 5.5 and 5.7)."""
import hmac
from dataclasses import dataclass

import crypto
import isakmp
import keys
import suites
from crypto import Refused
from isakmp import Header, Payload
from phase1 import NONCE


@dataclass
class IpsecSa:
    """A pair of SAs. Keys and SPIs by direction of this side."""
    suite: suites.EspSuite
    spi_in: bytes
    spi_out: bytes
    keymat_in: bytes
    keymat_out: bytes
    idci: bytes
    idcr: bytes


class Sealed:
    """Messages of one exchange after phase 1: key of the ISAKMP SA, IV of its own."""

    def __init__(self, sa, exchange, message_id):
        self.sa, self.exchange, self.mid = sa, exchange, message_id
        self.iv = keys.later_iv(sa.suite.hash, sa.suite.cipher, sa.last_block, message_id)

    def seal(self, payloads):
        """Payloads to a message."""
        first, body = isakmp.chain(payloads)
        body += bytes(-len(body) % crypto.block_size(self.sa.suite.cipher))
        body, self.iv = crypto.encrypt(self.sa.suite.cipher, self.sa.key, self.iv, body)
        return Header(self.sa.cky_i, self.sa.cky_r, first, self.exchange,
                      isakmp.ENCRYPTION, self.mid).encode(body)

    def open(self, header, body):
        """A message to (HASH, payloads after it, their octets)."""
        if not header.flags & isakmp.ENCRYPTION:
            raise Refused("a message after phase 1 is not encrypted")
        plain, self.iv = crypto.decrypt(self.sa.suite.cipher, self.sa.key, self.iv, body)
        try:
            payloads, rest = isakmp.unchain(header.first, plain)
        except isakmp.Malformed as e:
            raise Refused(str(e)) from e
        if not payloads or payloads[0].type != isakmp.HASH:
            raise Refused("HASH is not the first payload")
        end = len(plain) - len(rest)
        return payloads[0].body, payloads[1:], plain[4 + len(payloads[0].body):end]

    def prove(self, make, payloads):
        """Payloads with the HASH before them; `make` gets their octets."""
        return [Payload(isakmp.HASH, make(isakmp.chain(payloads)[1]))] + payloads


class Quick:
    """One side of one quick mode. `result` is set when it is over."""

    def __init__(self, config, sa, initiator, message_id, random, values):
        self.config, self.random, self.values = config, random, values
        self.sa, self.initiator = sa, initiator
        self.sealed = Sealed(sa, isakmp.QUICK, message_id)
        self.mid, self.h = message_id, sa.suite.hash
        self.result = None
        self.expected = 2 if initiator else 1
        self.ni = self.nr = self.secret = self.gxy = b""
        self.spi = random(4, "SPI")
        self.peer_spi = b""
        self.suite = None
        self.ids = []   # bodies of IDci and IDcr
        self.suites = [suites.esp_suite(text) for text in config.esp]

    def made(self, name, octets):
        """As in phase 1."""
        if name in self.config.tamper:
            octets = self.config.tamper[name](octets)
        self.values[name] = octets
        return octets

    def _proof(self, name, number, *more):
        """Message with HASH(number) in front of these payloads."""
        function = (None, keys.quick_hash_1, keys.quick_hash_2)[number]
        before = (self.ni,) if number == 2 else ()
        return self.sealed.seal(self.sealed.prove(
            lambda rest: self.made(name, function(self.h, self.sa.skeyid_a, self.mid,
                                                  *before, rest)), list(more)))

    def start(self):
        """Message 1."""
        groups = {suite.group for suite in self.suites}
        body = suites.esp_sa(self.suites, self.spi, self.config.mode,
                             self.config.esp_seconds)
        self.ni = self.made("quick Ni_b", self.random(NONCE, "quick nonce"))
        if self.config.local_net:
            self.ids = [isakmp.client(self.config.local_net),
                        isakmp.client(self.config.remote_net)]
        return self._proof("quick HASH(1)", 1,
                           Payload(isakmp.SA, body), Payload(isakmp.NONCE, self.ni),
                           *self._value(groups.pop()), *self._ids())

    def _value(self, group):
        if not group:
            return []
        self.secret = self.random(crypto.private_size(group), "quick private value")
        name = f"g(qm)^x{'i' if self.initiator else 'r'}"
        return [Payload(isakmp.KE, self.made(name, crypto.public(group, self.secret)))]

    def _ids(self):
        return [Payload(isakmp.ID, body) for body in self.ids]

    def receive(self, header, body):
        """The peer's next message; the answer, or None."""
        got, payloads, rest = self.sealed.open(header, body)
        step = {1: self._first, 2: self._second, 3: self._third}.get(self.expected)
        if not step:
            raise Refused("a message after the end of quick mode")
        self.expected += 2
        return step(got, payloads, rest)

    def _check(self, name, got, wanted):
        self.values[name] = wanted
        if not hmac.compare_digest(got, wanted):
            raise Refused(f"wrong {name}", isakmp.INVALID_HASH_INFORMATION)

    def _take(self, payloads):
        """{type: body} with at most two identities apart."""
        found, ids = {}, []
        for p in payloads:
            if p.type == isakmp.ID:
                ids.append(p.body)
            else:
                found.setdefault(p.type, p.body)
        if payloads[:1] and payloads[0].type != isakmp.SA or isakmp.NONCE not in found:
            raise Refused("SA or NONCE payload is missing", isakmp.PAYLOAD_MALFORMED)
        if not 8 <= len(found[isakmp.NONCE]) <= 256:
            raise Refused(f"nonce of {len(found[isakmp.NONCE])} octets")
        if len(ids) not in (0, 2):
            raise Refused(f"{len(ids)} identities", isakmp.INVALID_ID_INFORMATION)
        return found, ids

    def _first(self, got, payloads, rest):
        self._check("quick HASH(1)", got, keys.quick_hash_1(self.h, self.sa.skeyid_a,
                                                            self.mid, rest))
        found, self.ids = self._take(payloads)
        self.ni = found[isakmp.NONCE]
        self.values["quick Ni_b"] = self.ni
        if self.config.local_net:
            wanted = [isakmp.client(self.config.remote_net),
                      isakmp.client(self.config.local_net)]
            if self.ids != wanted:
                raise Refused(f"identities {[isakmp.identity_text(i) for i in self.ids]}",
                              isakmp.INVALID_ID_INFORMATION)
        self.suite, self.peer_spi, body = suites.choose_esp(
            found[isakmp.SA], self.suites, self.config.mode, self.spi)
        own = self._value(self.suite.group)
        self._share(found)
        self.nr = self.made("quick Nr_b", self.random(NONCE, "quick nonce"))
        return self._proof("quick HASH(2)", 2,
                           Payload(isakmp.SA, body), Payload(isakmp.NONCE, self.nr),
                           *own, *self._ids())

    def _share(self, found):
        """g(qm)^xy, if there is a group; a KE payload exactly then."""
        if bool(self.suite.group) != (isakmp.KE in found):
            raise Refused("KE payload and group attribute do not agree")
        if self.suite.group:
            self.gxy = crypto.shared(self.suite.group, self.secret, found[isakmp.KE])
            self.values["g(qm)^xy"] = self.gxy

    def _second(self, got, payloads, rest):
        self._check("quick HASH(2)", got, keys.quick_hash_2(
            self.h, self.sa.skeyid_a, self.mid, self.ni, rest))
        found, ids = self._take(payloads)
        if ids != self.ids:
            raise Refused("the answer has other identities than the offer")
        self.suite, self.peer_spi = suites.chosen_esp(found[isakmp.SA], self.suites,
                                                      self.config.mode)
        self.nr = found[isakmp.NONCE]
        self.values["quick Nr_b"] = self.nr
        self._share(found)
        proof = self.made("quick HASH(3)", self._hash_3())
        answer = self.sealed.seal([Payload(isakmp.HASH, proof)])
        self._finish()
        return answer

    def _third(self, got, _payloads, _rest):
        self._check("quick HASH(3)", got, self._hash_3())
        self._finish()

    def _hash_3(self):
        return keys.quick_hash_3(self.h, self.sa.skeyid_a, self.mid, self.ni, self.nr)

    def _keymat(self, spi, name):
        s = self.suite
        self.values[name] = keys.keymat(self.h, self.sa.skeyid_d, self.gxy, s.protocol,
                                        spi, self.ni, self.nr, s.enc_key + s.auth_key)
        return self.values[name]

    def _finish(self):
        to_i, to_r = "KEYMAT to initiator", "KEYMAT to responder"
        inward, outward = (to_i, to_r) if self.initiator else (to_r, to_i)
        ids = self.ids or [b"", b""]
        self.result = IpsecSa(self.suite, self.spi, self.peer_spi,
                              self._keymat(self.spi, inward),
                              self._keymat(self.peer_spi, outward), *ids)


def informational(sa, message_id, payloads):
    """A notification or deletion under the ISAKMP SA."""
    sealed = Sealed(sa, isakmp.INFORMATIONAL, message_id)
    return sealed.seal(sealed.prove(lambda rest: keys.quick_hash_1(
        sa.suite.hash, sa.skeyid_a, message_id, rest), payloads))


def open_informational(sa, header, body):
    """Its payloads, if the HASH is right."""
    got, payloads, rest = Sealed(sa, isakmp.INFORMATIONAL, header.message_id).open(header,
                                                                                   body)
    if not hmac.compare_digest(got, keys.quick_hash_1(sa.suite.hash, sa.skeyid_a,
                                                      header.message_id, rest)):
        raise Refused("wrong HASH(1) in an informational message")
    return payloads


def clear_notification(cky_i, cky_r, message_id, kind):
    """A notification before there is an ISAKMP SA."""
    first, body = isakmp.chain([isakmp.notification(kind)])
    return Header(cky_i, cky_r, first, isakmp.INFORMATIONAL, 0, message_id).encode(body)
