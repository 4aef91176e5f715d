# SPDX-License-Identifier: GPL-2.0-or-later
"""Main mode and aggressive mode with methods 1, 3, 4 and 5 (RFC 2409 section 5).

Message in, message out. Randomness comes from `random(size, what)`, and every
value on the way goes to `values`; `Config.tamper` can change what this side
makes, by the same names, to see the other side refuse it.
"""
import hmac
from dataclasses import dataclass, field

import crypto
import isakmp
import keys
import suites
from certificates import Certificate
from crypto import Refused
from isakmp import Header, Payload
from keys import PSK, RSA_ENC, RSA_ENC_REVISED, RSA_SIG

METHODS = {"psk": PSK, "rsa-sig": RSA_SIG, "rsa-enc": RSA_ENC,
           "rsa-enc-revised": RSA_ENC_REVISED}
EXCHANGES = {"main": isakmp.MAIN, "aggressive": isakmp.AGGRESSIVE}
NONCE = 32  # octets of a nonce
UDP, ISAKMP_PORT = 17, 500


@dataclass
class Config:
    """What one side knows and wants. Identities are bodies of ID payloads."""
    method: str
    exchange: str
    ike: list
    esp: list
    local_id: bytes
    remote_id: bytes = b""      # empty: any
    psk: bytes = b""
    keys: list = field(default_factory=list)    # [(private key, Certificate or None)]
    peer_key: object = None     # public key; or the one in peer_cert
    peer_cert: object = None
    ca: object = None           # Certificate that signed the peer's
    local_net: str = ""
    remote_net: str = ""
    mode: int = suites.TUNNEL
    send_hash_1: bool = False   # methods 4 and 5: say which certificate was used
    send_cert: bool = False     # method 5: the initiator sends its own
    clear_last: bool = False    # aggressive mode: message 3 not encrypted
    ike_seconds: int = 28800
    esp_seconds: int = 3600
    tamper: dict = field(default_factory=dict)  # name -> function of the octets


@dataclass
class IsakmpSa:
    """What phase 1 leaves for all later exchanges."""
    initiator: bool
    cky_i: bytes
    cky_r: bytes
    suite: suites.IkeSuite
    key: bytes
    skeyid_d: bytes
    skeyid_a: bytes
    last_block: bytes
    peer_id: bytes


class Phase1:
    """One side of one exchange. `sa` is set when it is over."""

    def __init__(self, config, initiator, random, values):
        self.config, self.random, self.values = config, random, values
        self.me, self.peer = ("i", "r") if initiator else ("r", "i")
        self.method = METHODS[config.method]
        self.exchange = EXCHANGES[config.exchange]
        self.suite = self.sa = None
        self.sai_b = b""
        self.vendors = set()    # what the peer said of itself
        # by role, "i" and "r"
        self.cky = {"i": bytes(8), "r": bytes(8)}
        self.value, self.nonce, self.id = {}, {}, {}
        self.secret = self.gxy = b""
        self.own_key = config.keys[0] if config.keys else (None, None)
        self.peer_key = config.peer_key or (
            config.peer_cert.public_key if config.peer_cert else None)
        self.key = self.iv = self.skeyid = b""
        self.skeyids = (b"", b"", b"")
        self.expected = 2 if initiator else 1   # number of the next message

    # --- what is made and what is seen -----------------------------------------

    def made(self, name, octets):
        """A value of this side: may be tampered with, and is recorded."""
        if name in self.config.tamper:
            octets = self.config.tamper[name](octets)
        self.values[name] = octets
        return octets

    def seen(self, name, octets):
        """A value of the peer, or of both."""
        self.values[name] = octets
        return octets

    # --- entrance ----------------------------------------------------------------

    def start(self):
        """The initiator's first message."""
        self._own_cookie()
        offered = [suites.ike_suite(text) for text in self.config.ike]
        self.sai_b = self.made("SAi_b", suites.ike_sa(offered, self.method,
                                                      self.config.ike_seconds))
        payloads = [Payload(isakmp.SA, self.sai_b)]
        if self.exchange == isakmp.AGGRESSIVE:
            self.suite = offered[0]     # its group is in the message already
            return self._send(self._beside(payloads, self._exchange()))
        return self._send(self._beside(payloads))

    def receive(self, header, body):
        """The peer's next message; the answer, or None."""
        if header.exchange != self.exchange:
            raise Refused(f"exchange type {header.exchange} in phase 1")
        if self.expected == 1:
            self.cky["i"] = header.cky_i
            self._own_cookie()
        elif self.expected == 2:
            self.cky["r"] = header.cky_r
        step = getattr(self, f"_{self.config.exchange}_{self.expected}", None)
        if not step:
            raise Refused("a message after the end of phase 1")
        payloads = self._payloads(header, body)
        self.expected += 2
        return step(payloads)

    def _own_cookie(self):
        self.cky[self.me] = self.made(f"CKY-{self.me.upper()}", self.random(8, "cookie"))

    def _payloads(self, header, body):
        """Those of a message, decrypted where that is due."""
        encrypted = header.flags & isakmp.ENCRYPTION
        due = self.exchange == isakmp.MAIN and self.expected >= 5
        if due and not encrypted:
            raise Refused("the message should be encrypted")
        if encrypted:
            if not self.key:
                raise Refused("encrypted before there are keys")
            body, self.iv = crypto.decrypt(self.suite.cipher, self.key, self.iv, body)
            self.seen(f"plain {self.expected}", body)
        try:
            payloads = isakmp.unchain(header.first, body)[0]
        except isakmp.Malformed as e:
            raise Refused(f"message {self.expected}: {e}", isakmp.PAYLOAD_MALFORMED) from e
        self.vendors |= {p.body for p in payloads if p.type == isakmp.VENDOR}
        return payloads

    def _send(self, payloads, encrypted=False):
        first, body = isakmp.chain(payloads)
        flags = 0
        if encrypted:
            body += bytes(-len(body) % crypto.block_size(self.suite.cipher))
            self.seen(f"plain {self.expected - 1}", body)
            body, self.iv = crypto.encrypt(self.suite.cipher, self.key, self.iv, body)
            flags = isakmp.ENCRYPTION
        return Header(self.cky["i"], self.cky["r"], first, self.exchange, flags, 0
                      ).encode(body)

    def _beside(self, sa, rest=()):
        """SA, rest and vendor ID; what follows the nonce in method 5 is encrypted."""
        vendor = [Payload(isakmp.VENDOR, isakmp.DPD_VENDOR)]
        if self.method == RSA_ENC_REVISED:
            return sa + vendor + list(rest)
        return sa + list(rest) + vendor

    # --- main mode: messages 1 to 6 ------------------------------------------------

    def _main_1(self, payloads):
        return self._send(self._beside([Payload(isakmp.SA, self._choose(payloads))]))

    def _main_2(self, payloads):
        self._chosen(payloads)
        return self._send(self._exchange())

    def _main_3(self, payloads):
        self._take_exchange(payloads)
        answer = self._send(self._exchange())
        self._derive()
        return answer

    def _main_4(self, payloads):
        self._take_exchange(payloads)
        self._derive()
        return self._send(self._authentication(), encrypted=True)

    def _main_5(self, payloads):
        self._authenticate(payloads)
        answer = self._send(self._authentication(), encrypted=True)
        self._finish()
        return answer

    def _main_6(self, payloads):
        self._authenticate(payloads)
        self._finish()

    # --- aggressive mode: messages 1 to 3 ------------------------------------------

    def _aggressive_1(self, payloads):
        chosen = self._choose(payloads)
        self._take_exchange(payloads)
        own = self._exchange()
        self._derive()
        return self._send(self._beside([Payload(isakmp.SA, chosen)],
                                       own + self._authentication()))

    def _aggressive_2(self, payloads):
        self._chosen(payloads)
        self._take_exchange(payloads)
        self._derive()
        self._authenticate(payloads)
        answer = self._send(self._authentication(), not self.config.clear_last)
        self._finish()
        return answer

    def _aggressive_3(self, payloads):
        self._authenticate(payloads)
        self._finish()

    # --- SA payload ------------------------------------------------------------------

    def _choose(self, payloads):
        if not payloads or payloads[0].type != isakmp.SA:
            raise Refused("the first payload is not SA", isakmp.PAYLOAD_MALFORMED)
        self.sai_b = self.seen("SAi_b", payloads[0].body)
        ours = [suites.ike_suite(text) for text in self.config.ike]
        self.suite, body = suites.choose_ike(self.sai_b, ours, self.method)
        return self.made("SAr_b", body)

    def _chosen(self, payloads):
        if not payloads or payloads[0].type != isakmp.SA:
            raise Refused("the first payload is not SA")
        ours = [suites.ike_suite(text) for text in self.config.ike]
        suite = suites.chosen_ike(payloads[0].body, self.sai_b, ours)
        if self.suite and suite.group != self.suite.group:
            raise Refused("the answer chose another group than that of our KE payload")
        self.suite = suite

    # --- KE, nonce, and the identity where it comes with them ------------------------

    def _exchange(self):
        """This side's payloads of the exchange of values, as each method wants them."""
        me = self.me
        self.secret = self.random(crypto.private_size(self.suite.group), "private value")
        self.value[me] = self.made(f"g^x{me}", crypto.public(self.suite.group, self.secret))
        self.nonce[me] = self.made(f"N{me}_b", self.random(NONCE, "nonce"))
        self.id[me] = self.made(f"IDi{me}_b", self.config.local_id)
        if self.method == RSA_ENC:
            return self._exchange_encrypted()
        if self.method == RSA_ENC_REVISED:
            return self._exchange_revised()
        out = [Payload(isakmp.KE, self.value[me]), Payload(isakmp.NONCE, self.nonce[me])]
        if self.exchange == isakmp.AGGRESSIVE:
            out.append(Payload(isakmp.ID, self.id[me]))
        if self.method == RSA_SIG and self.config.ca:
            out.append(Payload(isakmp.CR, bytes([isakmp.CERT_X509_SIGNATURE])
                               + self.config.ca.subject))
        return out

    def _hash_1(self):
        """[HASH(1)], which names the certificate whose key encrypts (section 5.2)."""
        if self.me != "i" or not self.config.send_hash_1:
            return []
        return [Payload(isakmp.HASH, self.made("HASH(1)", crypto.digest(
            self.suite.hash, self.config.peer_cert.der)))]

    def _to_peer(self, name, body):
        """<body>PubKey of the peer."""
        if not self.peer_key:
            raise Refused("the public key of the peer is not known")
        size = crypto.rsa_size(self.peer_key)
        room = max(size - 3 - len(body), 8)
        filling = self.random(room, f"padding of {name}").replace(b"\0", b"\1")
        block = self.made(f"block of {name}", crypto.rsa_block_2(size, body, filling))
        return self.made(f"<{name}>PubKey", crypto.rsa_public(self.peer_key, block))

    def _from_peer(self, name, octets):
        """The inverse, with our key."""
        if not self.own_key[0]:
            raise Refused("there is no private key")
        block = self.seen(f"block of {name}", crypto.rsa_private(self.own_key[0], octets))
        return crypto.rsa_unblock_2(block)

    def _exchange_encrypted(self):
        """Method 4, in the order of the pictures of section 5.2."""
        me = self.me
        value = [Payload(isakmp.KE, self.value[me])]
        named = self._hash_1()
        out = named + value if self.exchange == isakmp.AGGRESSIVE else value + named
        return out + [
            Payload(isakmp.ID, self._to_peer(f"IDi{me}_b", self.id[me])),
            Payload(isakmp.NONCE, self._to_peer(f"N{me}_b", self.nonce[me]))]

    def _exchange_revised(self):
        """Method 5: after the nonce, everything under Ke, one CBC chain (section 5.3)."""
        me, cipher = self.me, self.suite.cipher
        out = self._hash_1() + [
            Payload(isakmp.NONCE, self._to_peer(f"N{me}_b", self.nonce[me]))]
        bodies = [(isakmp.KE, f"g^x{me}", self.value[me]),
                  (isakmp.ID, f"IDi{me}_b", self.id[me])]
        if me == "i" and self.config.send_cert:
            bodies.append((isakmp.CERT, "Cert-I_b",
                           bytes([isakmp.CERT_X509_KEY_EXCHANGE]) + self.own_key[1].der))
        key, iv = self._ke(me), bytes(crypto.block_size(cipher))
        for kind, name, body in bodies:
            padded = self.made(f"padded {name}", keys.revised_pad(cipher, body))
            octets, iv = crypto.encrypt(cipher, key, iv, padded)
            out.append(Payload(kind, self.made(f"<{name}>Ke_{me}", octets)))
        return out

    def _ke(self, role):
        """Ke_i or Ke_r."""
        ne, ke = keys.revised_key(self.suite.hash, self.nonce[role], self.cky[role],
                                  self.suite.key_octets)
        self.seen(f"Ne_{role}", ne)
        return self.seen(f"Ke_{role}", ke)

    def _take_exchange(self, payloads):
        """The peer's payloads of the exchange of values."""
        if self.me == "r" and self.method in (RSA_ENC, RSA_ENC_REVISED):
            self._select_key(payloads)
        peer, found = self.peer, {}
        if self.method == RSA_ENC_REVISED:
            found = self._open_revised(payloads)
        else:
            for p in payloads:
                found.setdefault(p.type, p.body)
        if self.method == RSA_ENC:
            for kind, name in ((isakmp.ID, f"IDi{peer}_b"), (isakmp.NONCE, f"N{peer}_b")):
                if kind in found:
                    found[kind] = self._from_peer(name, found[kind])
        if isakmp.KE not in found or isakmp.NONCE not in found:
            raise Refused("KE or NONCE payload is missing", isakmp.PAYLOAD_MALFORMED)
        self.value[peer] = self.seen(f"g^x{peer}", found[isakmp.KE])
        self.nonce[peer] = self.seen(f"N{peer}_b", found[isakmp.NONCE])
        if not 8 <= len(self.nonce[peer]) <= 256:
            raise Refused(f"nonce of {len(self.nonce[peer])} octets")
        if self.exchange == isakmp.AGGRESSIVE or self.method in (RSA_ENC, RSA_ENC_REVISED):
            if isakmp.ID not in found:
                raise Refused("ID payload is missing", isakmp.PAYLOAD_MALFORMED)
            self._take_identity(found[isakmp.ID])

    def _select_key(self, payloads):
        """Take the private key that HASH(1) names, if it is there."""
        for p in payloads:
            if p.type == isakmp.HASH:
                for pair in self.config.keys:
                    if pair[1] and crypto.digest(self.suite.hash, pair[1].der) == p.body:
                        self.own_key = pair
                        return
                raise Refused("HASH(1) names none of our certificates")

    def _open_revised(self, payloads):
        """Method 5: {type: body}, decrypted in the order in which they stand."""
        found, key = {}, b""
        cipher = self.suite.cipher
        iv = bytes(crypto.block_size(cipher))
        names = {isakmp.KE: f"g^x{self.peer}", isakmp.ID: f"IDi{self.peer}_b",
                 isakmp.CERT: "Cert-I_b"}
        for p in payloads:
            body = p.body
            if p.type == isakmp.NONCE and not key:
                body = self._from_peer(f"N{self.peer}_b", body)
                self.nonce[self.peer] = body
                key = self._ke(self.peer)
            elif key and p.type != isakmp.HASH:
                body, iv = crypto.decrypt(cipher, key, iv, body)
                name = names.get(p.type, isakmp.NAMES[p.type])
                self.seen(f"padded {name}", body)
                body = keys.revised_unpad(cipher, body)
                if body is None:
                    raise Refused(f"{name}: wrong padding under Ke_{self.peer}")
            elif p.type not in (isakmp.SA, isakmp.HASH, isakmp.VENDOR):
                raise Refused(f"a payload of type {p.type} stands before the nonce",
                              isakmp.PAYLOAD_MALFORMED)
            found.setdefault(p.type, body)
        if isakmp.CERT in found:
            self._take_certificate(found[isakmp.CERT])
        return found

    # --- identity and certificate -----------------------------------------------------

    def _take_identity(self, body):
        isakmp.identity_text(body)      # refuses what is too short
        protocol, port = body[1], int.from_bytes(body[2:4], "big")
        if (protocol, port) not in ((0, 0), (UDP, ISAKMP_PORT)):
            raise Refused(f"identity with protocol {protocol}, port {port}",
                          isakmp.INVALID_ID_INFORMATION)
        wanted = self.config.remote_id
        if wanted and (body[:1], body[4:]) != (wanted[:1], wanted[4:]):
            raise Refused(f"identity {isakmp.identity_text(body)}, expected "
                          f"{isakmp.identity_text(wanted)}", isakmp.INVALID_ID_INFORMATION)
        self.id[self.peer] = self.seen(f"IDi{self.peer}_b", body)

    def _take_certificate(self, body):
        """Take the peer's public key from its certificate, if the CA signed it."""
        if body[:1] not in (bytes([isakmp.CERT_X509_SIGNATURE]),
                            bytes([isakmp.CERT_X509_KEY_EXCHANGE])):
            return
        certificate = Certificate(body[1:])
        if not self.config.ca or not certificate.signed_by(self.config.ca):
            raise Refused("the certificate is not signed by our CA",
                          isakmp.INVALID_CERTIFICATE)
        if self.config.remote_id and not certificate.names(self.config.remote_id):
            raise Refused("the certificate does not hold the identity",
                          isakmp.INVALID_CERTIFICATE)
        self.peer_key = certificate.public_key

    # --- keys and authentication -------------------------------------------------------

    def _derive(self):
        """g^xy, SKEYID and its children, key and IV."""
        s, h = self.suite, self.suite.hash
        self.gxy = self.seen("g^xy", crypto.shared(s.group, self.secret,
                                                   self.value[self.peer]))
        self.skeyid = self.seen("SKEYID", keys.skeyid(
            self.method, h, self.nonce["i"], self.nonce["r"], self.gxy, self.cky["i"],
            self.cky["r"], self.config.psk))
        self.skeyids = keys.skeyid_d_a_e(h, self.skeyid, self.gxy, self.cky["i"],
                                         self.cky["r"])
        for letter, octets in zip("dae", self.skeyids):
            self.seen(f"SKEYID_{letter}", octets)
        self.key = self.seen("cipher key", keys.cipher_key(h, self.skeyids[2],
                                                           s.key_octets))
        self.iv = self.seen("IV", keys.first_iv(h, s.cipher, self.value["i"],
                                                self.value["r"]))

    def _hash(self, role):
        """HASH_I or HASH_R."""
        other = "r" if role == "i" else "i"
        return keys.hash_i_or_r(self.suite.hash, self.skeyid, self.value[role],
                                self.value[other], self.cky[role], self.cky[other],
                                self.sai_b, self.id[role])

    def _authentication(self):
        """This side's proof, with the identity where it was not sent before."""
        out = []
        if self.exchange == isakmp.MAIN and self.method in (PSK, RSA_SIG):
            out.append(Payload(isakmp.ID, self.id[self.me]))
        name = f"HASH_{self.me.upper()}"
        proof = self.made(name, self._hash(self.me))
        if self.method != RSA_SIG:
            return out + [Payload(isakmp.HASH, proof)]
        key, certificate = self.own_key
        if certificate:
            out.append(Payload(isakmp.CERT, bytes([isakmp.CERT_X509_SIGNATURE])
                               + certificate.der))
        signature = self.made(f"SIG_{self.me.upper()}", crypto.rsa_sign(key, proof))
        return out + [Payload(isakmp.SIG, signature)]

    def _authenticate(self, payloads):
        """Check the peer's proof."""
        found = {}
        for p in payloads:
            found.setdefault(p.type, p.body)
        if self.exchange == isakmp.MAIN and self.method in (PSK, RSA_SIG):
            if isakmp.ID not in found:
                raise Refused("ID payload is missing", isakmp.PAYLOAD_MALFORMED)
            self._take_identity(found[isakmp.ID])
        wanted = self.seen(f"HASH_{self.peer.upper()}", self._hash(self.peer))
        if self.method == RSA_SIG:
            if isakmp.CERT in found:
                self._take_certificate(found[isakmp.CERT])
            signature = found.get(isakmp.SIG, b"")
            if not self.peer_key or not crypto.rsa_verify(self.peer_key, wanted, signature):
                raise Refused("wrong signature", isakmp.INVALID_SIGNATURE)
            self.seen(f"SIG_{self.peer.upper()}", signature)
        elif not hmac.compare_digest(found.get(isakmp.HASH, b""), wanted):
            raise Refused(f"wrong HASH_{self.peer.upper()}", isakmp.AUTHENTICATION_FAILED)

    def _finish(self):
        last = self.seen("last block of phase 1", self.iv)
        self.sa = IsakmpSa(self.me == "i", self.cky["i"], self.cky["r"], self.suite,
                           self.key, self.skeyids[0], self.skeyids[1], last,
                           self.id[self.peer])
