# SPDX-License-Identifier: GPL-2.0-or-later
"""A second implementation of ESP, AH and their algorithms, over python3-cryptography.

It shares no code with the module, nor with scapy, which lacks some of them and
is slow. Algorithms have the names of `moat sa add`; keys are as there, a salt
at the end of the cipher's.
"""
import functools
import hmac
import os
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.cmac import CMAC


class BadIcv(Exception):
    """The integrity check value is not that of the packet."""


def aes_blocks(key, data, iv=bytes(16)):
    """AES in CBC mode."""
    return Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(data)


@functools.lru_cache(4)
def xcbc_keys(key):
    return [aes_blocks(key, bytes([n]) * 16) for n in (1, 2, 3)]


def xcbc(key, data):
    """AES-XCBC-MAC (RFC 3566 section 4), all 16 bytes."""
    first, whole, part = xcbc_keys(key)
    if data and not len(data) % 16:
        last = whole
    else:
        last = part
        data += b"\x80" + bytes(-(len(data) + 1) % 16)
    mixed = bytes(x ^ y for x, y in zip(data[-16:], last))
    return aes_blocks(first, data[:-16] + mixed)[-16:]


def cmac(key, data):
    """AES-CMAC (RFC 4493), all 16 bytes."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def gmac(key, iv, data):
    """AES-GMAC (RFC 4543); the salt stands at the end of the key."""
    return AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", data)


def hashed(name):
    return lambda key, data: hmac.digest(key, data, name)


INTEGRITY = {"md5": (hashed("md5"), 12), "sha1": (hashed("sha1"), 12),
             "sha256": (hashed("sha256"), 16), "sha256_96": (hashed("sha256"), 12),
             "sha384": (hashed("sha384"), 24), "sha512": (hashed("sha512"), 32),
             "aesxcbc": (xcbc, 12), "aescmac": (cmac, 12)}


# --- ciphers: seal(iv, plain) and open(iv, text) --------------------------------

class Null:
    """RFC 2410"""
    iv, block = 0, 4

    def __init__(self, key):
        assert not key

    @staticmethod
    def seal(_iv, plain):
        return plain

    open = seal


class Cbc:
    """RFC 3602, RFC 2451"""
    def __init__(self, key, kind=algorithms.AES):
        self.kind = kind(key)
        self.iv = self.block = self.kind.block_size // 8

    def seal(self, iv, plain):
        return Cipher(self.kind, modes.CBC(iv)).encryptor().update(plain)

    def open(self, iv, text):
        return Cipher(self.kind, modes.CBC(iv)).decryptor().update(text)


class Ctr:
    """RFC 3686"""
    iv, block = 8, 4

    def __init__(self, key):
        self.kind, self.nonce = algorithms.AES(key[:-4]), key[-4:]

    def seal(self, iv, plain):
        counter = self.nonce + iv + b"\0\0\0\1"
        return Cipher(self.kind, modes.CTR(counter)).encryptor().update(plain)

    open = seal


def cipher_of(name, key):
    if name == "null":
        return Null(key)
    if name == "3des":
        return Cbc(key, algorithms.TripleDES)
    return Ctr(key) if name.endswith("ctr") else Cbc(key)


# --- combined modes: seal(iv, plain, aad) gives text and ICV ---------------------

class Gcm:
    """RFC 4106: the nonce is salt and IV"""
    iv, block = 8, 4

    def __init__(self, key, icv):
        self.key, self.salt, self.icv = key[:-4], key[-4:], icv
        self.aead = AESGCM(self.key)

    def seal(self, iv, plain, aad):
        sealed = self.aead.encrypt(self.salt + iv, plain, aad)
        return sealed[:len(plain) + self.icv]

    def open(self, iv, sealed, aad):
        mode = modes.GCM(self.salt + iv, sealed[-self.icv:], min_tag_length=self.icv)
        opener = Cipher(algorithms.AES(self.key), mode).decryptor()
        opener.authenticate_additional_data(aad)
        plain = opener.update(sealed[:-self.icv])
        opener.finalize()
        return plain


class Library:
    """AES-CCM (RFC 4309) and ChaCha20-Poly1305 (RFC 7634), whole in the library"""
    iv, block = 8, 4

    def __init__(self, aead, salt, icv):
        self.aead, self.salt, self.icv = aead, salt, icv

    def seal(self, iv, plain, aad):
        return self.aead.encrypt(self.salt + iv, plain, aad)

    def open(self, iv, sealed, aad):
        return self.aead.decrypt(self.salt + iv, sealed, aad)


class Gmac:
    """RFC 4543: nothing is encrypted, the IV is authenticated too"""
    iv, block, icv = 8, 4, 16

    def __init__(self, key):
        self.key = key

    def seal(self, iv, plain, aad):
        return plain + gmac(self.key, iv, aad + iv + plain)

    def open(self, iv, sealed, aad):
        plain = sealed[:-16]
        if not hmac.compare_digest(self.seal(iv, plain, aad), sealed):
            raise BadIcv
        return plain


def combined_of(name, key):
    """The combined mode of a name, or None."""
    if name == "chacha20poly1305":
        return Library(ChaCha20Poly1305(key[:-4]), key[-4:], 16)
    found = re.fullmatch(r"aes\d+(gcm|ccm|gmac)(\d*)", name)
    if not found:
        return None
    if found[1] == "gmac":
        return Gmac(key)
    icv = int(found[2])
    if found[1] == "gcm":
        return Gcm(key, icv)
    return Library(AESCCM(key[:-3], icv), key[-3:], icv)


# --- the packet -------------------------------------------------------------------

class Codec:
    """ESP packets (RFC 4303) of one SA, from SPI to ICV."""

    def __init__(self, name, keys, esn=False):
        self.esn = esn
        self.combined = combined_of(name, keys[0])
        if not self.combined:
            cipher, _, integrity = name.partition("-")
            self.cipher = cipher_of(cipher, keys[0])
            self.mac, self.icv = INTEGRITY[integrity]
            self.mac_key = keys[1]
        else:
            self.cipher, self.icv = self.combined, self.combined.icv

    def aad(self, head, high):
        """SPI and sequence number, with its upper half when that is hidden."""
        return head[:4] + high.to_bytes(4, "big") + head[4:] if self.esn else head

    def tag(self, covered, high):
        """The ICV of a packet; the hidden half stands at its end (RFC 4304)."""
        if self.esn:
            covered += high.to_bytes(4, "big")
        return self.mac(self.mac_key, covered)[:self.icv]

    def seal(self, spi, seq, payload, next_header, iv=None):
        """A packet, with the padding of RFC 4303 section 2.4."""
        head = spi.to_bytes(4, "big") + (seq & 0xffffffff).to_bytes(4, "big")
        pad = -(len(payload) + 2) % self.cipher.block
        plain = payload + bytes(range(1, pad + 1)) + bytes([pad, next_header])
        if iv is None:
            iv = os.urandom(self.cipher.iv)
        if self.combined:
            aad = self.aad(head, seq >> 32)
            return head + iv + self.combined.seal(iv, plain, aad)
        packet = head + iv + self.cipher.seal(iv, plain)
        return packet + self.tag(packet, seq >> 32)

    def decrypt(self, packet, high):
        """What the packet's cipher text stands for, once its ICV is right."""
        head, iv, text = packet[:8], packet[8:8 + self.cipher.iv], packet[8 + self.cipher.iv:]
        if self.combined:
            try:
                return self.combined.open(iv, text, self.aad(head, high))
            except Exception as error:  # of several kinds, one for each library class
                raise BadIcv from error
        if not hmac.compare_digest(self.tag(packet[:-self.icv], high), packet[-self.icv:]):
            raise BadIcv
        return self.cipher.open(iv, text[:-self.icv])

    def open(self, packet, high=0):
        """Payload and next header; @high is the upper half of the sequence number."""
        plain = self.decrypt(packet, high)
        pad = plain[-2]
        if plain[-2 - pad:-2] != bytes(range(1, pad + 1)):
            raise ValueError(f"padding {plain.hex()}")
        if len(plain) % self.cipher.block or pad >= self.cipher.block:
            raise ValueError(f"{pad} bytes of padding in {len(plain)} of plain text")
        return plain[:-2 - pad], plain[-1]


class Ah:
    """Packets with AH (RFC 4302) of one SA, from the IP header to their end.

    The IP header has no options and no extension headers. A name is that of an
    integrity algorithm; GMAC (RFC 4543 section 4) puts its IV before the ICV.
    """

    def __init__(self, name, key, esn=False):
        self.key, self.esn = key, esn
        self.gmac = name.endswith("gmac")
        self.iv = 8 if self.gmac else 0
        self.mac, self.icv = (None, 16) if self.gmac else INTEGRITY[name]

    def length(self, family):
        """AH's own length: a multiple of 4 over IPv4, of 8 over IPv6."""
        size = 12 + self.iv + self.icv
        return size + -size % (4 if family == 4 else 8)

    @staticmethod
    def immutable(head):
        """The IP header with zeros for what changes on the way."""
        if head[0] >> 4 == 4:           # type of service, flags and offset, TTL, checksum
            return head[:1] + b"\0" + head[2:6] + bytes(3) + head[9:10] + bytes(2) + head[12:]
        return b"\x60\0\0\0" + head[4:7] + b"\0" + head[8:]

    def tag(self, head, ah, payload, high):
        """The ICV; @ah is the header up to it, and ends with the IV of GMAC."""
        rest = bytes(self.length(head[0] >> 4) - len(ah))
        covered = self.immutable(head) + ah + rest + payload
        if self.esn:
            covered += high.to_bytes(4, "big")
        if self.gmac:
            return gmac(self.key, ah[12:], covered)
        return self.mac(self.key, covered)[:self.icv]

    def seal(self, head, spi, seq, payload, next_header):
        """The packet; @head is its IP header, whose lengths already count AH."""
        length = self.length(head[0] >> 4)
        ah = (bytes([next_header, length // 4 - 2, 0, 0]) + spi.to_bytes(4, "big") +
              (seq & 0xffffffff).to_bytes(4, "big") + os.urandom(self.iv))
        full = ah + self.tag(head, ah, payload, seq >> 32)
        return head + full + bytes(length - len(full)) + payload

    def open(self, packet, high=0):
        """SPI, lower half of the sequence number, payload and next header."""
        size = 20 if packet[0] >> 4 == 4 else 40
        head, rest = packet[:size], packet[size:]
        length = self.length(packet[0] >> 4)
        ah, icv = rest[:12 + self.iv], rest[12 + self.iv:12 + self.iv + self.icv]
        if (rest[1] + 2) * 4 != length or rest[2:4] != b"\0\0":
            raise ValueError(f"AH begins with {rest[:4].hex()}, its length is {length}")
        if not hmac.compare_digest(self.tag(head, ah, rest[length:], high), icv):
            raise BadIcv
        return (int.from_bytes(ah[4:8], "big"), int.from_bytes(ah[8:12], "big"),
                rest[length:], rest[0])
