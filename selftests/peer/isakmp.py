# SPDX-License-Identifier: GPL-2.0-or-later
"""ISAKMP messages and payloads (RFC 2408 section 3, RFC 2407 section 4).

Functions from values to octets and back; nothing here holds state.
"""
import ipaddress
import struct
from dataclasses import dataclass, field

# payload types, RFC 2408 section 3.1
(SA, PROPOSAL, TRANSFORM, KE, ID, CERT, CR, HASH, SIG, NONCE, NOTIFICATION, DELETE,
 VENDOR) = range(1, 14)
NAMES = ("NONE SA PROPOSAL TRANSFORM KE ID CERT CR HASH SIG NONCE NOTIFICATION DELETE "
         "VENDOR").split()
# exchange types, RFC 2408 section 3.1 and RFC 2409 appendix A
MAIN, AGGRESSIVE, INFORMATIONAL, QUICK = 2, 4, 5, 32
ENCRYPTION, COMMIT, AUTH_ONLY = 1, 2, 4         # flags
PROTO_ISAKMP, PROTO_AH, PROTO_ESP = 1, 2, 3     # RFC 2407 section 4.4.1
KEY_IKE = 1                                     # the only ISAKMP transform
IPSEC_DOI, SIT_IDENTITY_ONLY = 1, 1
# identities, RFC 2407 section 4.6.2.1
(ID_IPV4_ADDR, ID_FQDN, ID_USER_FQDN, ID_IPV4_ADDR_SUBNET, ID_IPV6_ADDR,
 ID_IPV6_ADDR_SUBNET, ID_IPV4_ADDR_RANGE, ID_IPV6_ADDR_RANGE, ID_DER_ASN1_DN,
 ID_DER_ASN1_GN, ID_KEY_ID) = range(1, 12)
CERT_X509_SIGNATURE, CERT_X509_KEY_EXCHANGE = 4, 5
# notify messages, RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706
PAYLOAD_MALFORMED, NO_PROPOSAL_CHOSEN, INVALID_ID_INFORMATION = 16, 14, 18
INVALID_CERTIFICATE, INVALID_HASH_INFORMATION = 20, 23
AUTHENTICATION_FAILED, INVALID_SIGNATURE = 24, 25
INITIAL_CONTACT, R_U_THERE, R_U_THERE_ACK = 24578, 36136, 36137
DPD_VENDOR = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")

HEADER = struct.Struct("!8s8sBBBBII")


class Malformed(ValueError):
    """Octets that are no message; the sentence says where."""


@dataclass(frozen=True)
class Header:
    """The ISAKMP header (RFC 2408 section 3.1); `length` counts the header."""
    cky_i: bytes
    cky_r: bytes
    first: int
    exchange: int
    flags: int
    message_id: int
    length: int = 0

    def encode(self, body):
        """The header followed by the body, with the length of both."""
        return HEADER.pack(self.cky_i, self.cky_r, self.first, 0x10, self.exchange,
                           self.flags, self.message_id, HEADER.size + len(body)) + body


def parse_header(message):
    """A message to (Header, octets after the header)."""
    if len(message) < HEADER.size:
        raise Malformed(f"{len(message)} octets are shorter than an ISAKMP header")
    cky_i, cky_r, first, version, exchange, flags, mid, length = HEADER.unpack_from(message)
    if version >> 4 != 1:
        raise Malformed(f"version {version:#x}")
    if length != len(message):
        raise Malformed(f"header says {length} octets, {len(message)} arrived")
    return (Header(cky_i, cky_r, first, exchange, flags, mid, length),
            message[HEADER.size:])


@dataclass(frozen=True)
class Payload:
    """A payload; `body` is what follows the generic header."""
    type: int
    body: bytes


def chain(payloads):
    """Payloads to (type of the first, octets), RFC 2408 section 3.2."""
    types = [p.type for p in payloads] + [0]
    octets = b"".join(struct.pack("!BBH", following, 0, 4 + len(p.body)) + p.body
                      for p, following in zip(payloads, types[1:]))
    return types[0], octets


def unchain(first, octets):
    """The inverse: ([Payload], octets that follow the last payload)."""
    payloads = []
    while first:
        if len(octets) < 4:
            raise Malformed(f"no room for the header of a payload of type {first}")
        following, reserved, length = struct.unpack_from("!BBH", octets)
        if length < 4 or length > len(octets):
            raise Malformed(f"payload of type {first} has length {length}, "
                            f"{len(octets)} octets are left")
        if reserved:
            raise Malformed(f"payload of type {first}: reserved octet is {reserved:#x}")
        payloads.append(Payload(first, octets[4:length]))
        first, octets = following, octets[length:]
    return payloads, octets


# --- data attributes, RFC 2408 section 3.3 ------------------------------------------

@dataclass(frozen=True)
class Attribute:
    """`value` is a number; `width` 0 is the short (basic) form, else its octets."""
    type: int
    value: int
    width: int = 0

    def encode(self):
        """The attribute in the form it was made or received in."""
        if not self.width:
            return struct.pack("!HH", 0x8000 | self.type, self.value)
        return struct.pack("!HH", self.type, self.width) + self.value.to_bytes(self.width,
                                                                               "big")


def parse_attributes(octets):
    """[Attribute] of a transform."""
    found = []
    while octets:
        if len(octets) < 4:
            raise Malformed("an attribute is cut off")
        kind, value = struct.unpack_from("!HH", octets)
        if kind & 0x8000:
            found.append(Attribute(kind & 0x7fff, value))
            octets = octets[4:]
            continue
        if len(octets) < 4 + value or not value:
            raise Malformed(f"attribute {kind} has length {value}")
        found.append(Attribute(kind, int.from_bytes(octets[4:4 + value], "big"), value))
        octets = octets[4 + value:]
    return found


# --- security association, RFC 2408 sections 3.4 to 3.6 -----------------------------

@dataclass(frozen=True)
class Transform:
    """One transform of a proposal."""
    number: int
    id: int
    attributes: tuple

    def values(self):
        """{type: value}; a type that is there twice with two values: the last."""
        return {a.type: a.value for a in self.attributes}


@dataclass(frozen=True)
class Proposal:
    """One proposal: transforms to choose one of."""
    number: int
    protocol: int
    spi: bytes
    transforms: tuple = field(default_factory=tuple)


def sa_body(proposals):
    """Body of an SA payload for the IPsec DOI."""
    out = []
    for p in proposals:
        _, inner = chain([Payload(TRANSFORM, struct.pack("!BBH", t.number, t.id, 0)
                                  + b"".join(a.encode() for a in t.attributes))
                          for t in p.transforms])
        out.append(Payload(PROPOSAL, struct.pack("!BBBB", p.number, p.protocol, len(p.spi),
                                                 len(p.transforms)) + p.spi + inner))
    return struct.pack("!II", IPSEC_DOI, SIT_IDENTITY_ONLY) + chain(out)[1]


def parse_sa(body):
    """Body of an SA payload to [Proposal]."""
    if len(body) < 8 or struct.unpack_from("!II", body) != (IPSEC_DOI, SIT_IDENTITY_ONLY):
        raise Malformed("SA payload: not the IPsec DOI with SIT_IDENTITY_ONLY")
    parsed, rest = unchain(PROPOSAL, body[8:])
    if rest:
        raise Malformed("SA payload: octets after the last proposal")
    proposals = []
    for payload in parsed:
        if payload.type != PROPOSAL or len(payload.body) < 4:
            raise Malformed("SA payload: something else where a proposal should be")
        number, protocol, spi_size, count = payload.body[:4]
        spi, inner = payload.body[4:4 + spi_size], payload.body[4 + spi_size:]
        transforms, rest = unchain(TRANSFORM if count else 0, inner)
        if rest or len(transforms) != count or len(spi) != spi_size:
            raise Malformed(f"proposal {number}: counts and lengths disagree")
        proposals.append(Proposal(number, protocol, spi, tuple(
            _transform(t) for t in transforms)))
    return proposals


def _transform(payload):
    if payload.type != TRANSFORM or len(payload.body) < 4:
        raise Malformed("proposal: something else where a transform should be")
    return Transform(payload.body[0], payload.body[1],
                     tuple(parse_attributes(payload.body[4:])))


# --- identities, RFC 2407 section 4.6.2 ---------------------------------------------

def id_body(kind, data, protocol=0, port=0):
    """Body of an identification payload."""
    return struct.pack("!BBH", kind, protocol, port) + data


def identity(text):
    """Phase 1 identity from text: an address, fqdn:, user:, keyid:, dn:HEX."""
    word, _, rest = text.partition(":")
    kinds = {"fqdn": ID_FQDN, "user": ID_USER_FQDN, "keyid": ID_KEY_ID}
    if word in kinds:
        return id_body(kinds[word], rest.encode())
    if word == "dn":
        return id_body(ID_DER_ASN1_DN, bytes.fromhex(rest))
    address = ipaddress.ip_address(text)
    return id_body(ID_IPV4_ADDR if address.version == 4 else ID_IPV6_ADDR, address.packed)


def client(text):
    """Quick mode identity from "NETWORK/PREFIX", "ADDRESS" or either "%PROTOCOL/PORT"."""
    where, _, what = text.partition("%")
    protocol, _, port = what.partition("/")
    net = ipaddress.ip_network(where)
    kinds = {(4, True): ID_IPV4_ADDR_SUBNET, (4, False): ID_IPV4_ADDR,
             (6, True): ID_IPV6_ADDR_SUBNET, (6, False): ID_IPV6_ADDR}
    data = net.network_address.packed + (net.netmask.packed if "/" in where else b"")
    return id_body(kinds[net.version, "/" in where], data, int(protocol or 0),
                   int(port or 0))


def identity_text(body):
    """An identity for people; hexadecimal where it is no text."""
    if len(body) < 4:
        raise Malformed("identification payload: shorter than its fixed part")
    kind, protocol, port = struct.unpack_from("!BBH", body)
    data = body[4:]
    try:
        if kind in (ID_IPV4_ADDR, ID_IPV6_ADDR):
            text = str(ipaddress.ip_address(data))
        elif kind in (ID_IPV4_ADDR_SUBNET, ID_IPV6_ADDR_SUBNET):
            half = len(data) // 2
            mask = int.from_bytes(data[half:], "big")
            text = f"{ipaddress.ip_address(data[:half])}/{bin(mask).count('1')}"
        elif kind in (ID_FQDN, ID_USER_FQDN, ID_KEY_ID):
            word = {ID_FQDN: "fqdn", ID_USER_FQDN: "user", ID_KEY_ID: "keyid"}[kind]
            text = f"{word}:{data.decode()}"
        else:
            text = f"{'dn' if kind == ID_DER_ASN1_DN else kind}:{data.hex()}"
    except ValueError:
        text = f"{kind}:{data.hex()}"
    return text + (f"%{protocol}/{port}" if protocol or port else "")


# --- notification and delete, RFC 2408 sections 3.14 and 3.15 -----------------------

def notification(kind, protocol=PROTO_ISAKMP, spi=b"", data=b""):
    """A notification payload."""
    return Payload(NOTIFICATION, struct.pack("!IBBH", IPSEC_DOI, protocol, len(spi), kind)
                   + spi + data)


def parse_notification(body):
    """Body to (kind, protocol, SPI, data)."""
    if len(body) < 8 or len(body) < 8 + body[5]:
        raise Malformed("notification payload is cut off")
    _, protocol, size, kind = struct.unpack_from("!IBBH", body)
    return kind, protocol, body[8:8 + size], body[8 + size:]


def delete(protocol, spis):
    """A delete payload; all SPIs have one length."""
    return Payload(DELETE, struct.pack("!IBBH", IPSEC_DOI, protocol, len(spis[0]), len(spis))
                   + b"".join(spis))


def parse_delete(body):
    """Body to (protocol, [SPI])."""
    if len(body) < 8:
        raise Malformed("delete payload is cut off")
    _, protocol, size, count = struct.unpack_from("!IBBH", body)
    if not size or len(body) != 8 + size * count:
        raise Malformed("delete payload: counts and lengths disagree")
    return protocol, [body[8 + i * size:8 + (i + 1) * size] for i in range(count)]
