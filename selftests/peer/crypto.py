# SPDX-License-Identifier: GPL-2.0-or-later
"""Hashes, ciphers, groups and RSA as RFC 2409 uses them; no state, no randomness.

Where the standard asks for random octets, the caller passes them, so that an
exchange can be repeated octet for octet.
"""
import functools
import hashlib
import hmac

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Refused(Exception):
    """This side ends the exchange. `notify` is what the other side is told, if anything."""

    def __init__(self, reason, notify=None):
        super().__init__(reason)
        self.reason, self.notify = reason, notify


# --- hash and prf, RFC 2409 section 4 and appendix A, RFC 4868 ----------------------

HASHES = {1: "md5", 2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}


def digest(number, data):
    """The negotiated hash."""
    return hashlib.new(HASHES[number], data).digest()


def prf(number, key, data):
    """The HMAC version of the negotiated hash (no other prf can be negotiated)."""
    return hmac.new(key, data, HASHES[number]).digest()


def prf_size(number):
    """Octets that hash and prf make."""
    return hashlib.new(HASHES[number]).digest_size


# --- ciphers of the ISAKMP SA: number -> (name, block, octets of key if fixed) ------

CIPHERS = {5: ("3des", 8, 24), 7: ("aes", 16, None)}


def block_size(number):
    """Octets in a block of a cipher."""
    return CIPHERS[number][1]


def _cbc(number, key, iv):
    algorithm = algorithms.TripleDES if number == 5 else algorithms.AES
    return Cipher(algorithm(key), modes.CBC(iv))


def encrypt(number, key, iv, data):
    """CBC over whole blocks: (ciphertext, IV for what follows)."""
    context = _cbc(number, key, iv).encryptor()
    out = context.update(data) + context.finalize()
    return out, out[-block_size(number):]


def decrypt(number, key, iv, data):
    """The inverse; refuses what is no sequence of whole blocks."""
    if not data or len(data) % block_size(number):
        raise Refused(f"ciphertext of {len(data)} octets is no number of blocks")
    context = _cbc(number, key, iv).decryptor()
    return context.update(data) + context.finalize(), data[-block_size(number):]


# --- groups ------------------------------------------------------------------------

@functools.lru_cache
def pi_bits(bits):
    """floor(2**bits * pi), by Machin's formula."""
    guard = 64
    one = 1 << (bits + guard)

    def arctan_inverse(x):
        term = total = one // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total

    return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> guard


# group -> (bits, addend): RFC 2409 section 6 and RFC 3526 write each prime as
# 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + addend)
MODP = {1: (768, 149686), 2: (1024, 129093), 5: (1536, 741804), 14: (2048, 124476),
        15: (3072, 1690314), 16: (4096, 240904), 17: (6144, 929484), 18: (8192, 4743158)}
ECP = {19: ec.SECP256R1(), 20: ec.SECP384R1(), 21: ec.SECP521R1()}    # RFC 5903
CURVE25519 = 31
EXPONENT = 48   # octets of a private exponent, twice the strength of group 15


@functools.lru_cache
def prime(group):
    """The prime of a MODP group."""
    bits, addend = MODP[group]
    return (2 ** bits - 2 ** (bits - 64) - 1
            + 2 ** 64 * (pi_bits(bits - 130) + addend))


def private_size(group):
    """Octets of randomness that public() and shared() take."""
    if group in MODP:
        return EXPONENT
    return 32 if group == CURVE25519 else (ECP[group].key_size + 7) // 8


def value_size(group):
    """Octets of the public value in a KE payload."""
    if group in MODP:
        return MODP[group][0] // 8
    return private_size(group) * (1 if group == CURVE25519 else 2)


def _ec_key(group, secret):
    # below the order of the curve, and not zero
    bits = ECP[group].key_size - 1
    number = int.from_bytes(secret, "big") % 2 ** bits | 1
    return ec.derive_private_key(number, ECP[group])


def public(group, secret):
    """g^x as it stands in a KE payload, padded to the length of the group."""
    if group in MODP:
        x = int.from_bytes(secret, "big")
        return pow(2, x, prime(group)).to_bytes(value_size(group), "big")
    if group == CURVE25519:
        key = x25519.X25519PrivateKey.from_private_bytes(secret)
        return key.public_key().public_bytes(serialization.Encoding.Raw,
                                             serialization.PublicFormat.Raw)
    point = _ec_key(group, secret).public_key().public_numbers()
    size = private_size(group)
    return point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")


def shared(group, secret, peer):
    """g^xy, padded to the length of the group; x alone for a curve (RFC 5903 section 7)."""
    if len(peer) != value_size(group):
        raise Refused(f"public value of {len(peer)} octets, group {group} has "
                      f"{value_size(group)}")
    if group in MODP:
        y, p = int.from_bytes(peer, "big"), prime(group)
        if not 1 < y < p - 1:
            raise Refused("public value is 0, 1 or p-1, or not below p")
        return pow(y, int.from_bytes(secret, "big"), p).to_bytes(len(peer), "big")
    try:
        if group == CURVE25519:
            key = x25519.X25519PrivateKey.from_private_bytes(secret)
            return key.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        half = len(peer) // 2
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(peer[:half], "big"),
                                              int.from_bytes(peer[half:], "big"),
                                              ECP[group]).public_key()
    except ValueError as e:
        raise Refused(f"public value is no point of the curve: {e}") from e
    return _ec_key(group, secret).exchange(ec.ECDH(), point)


# --- RSA in PKCS #1 v1.5 blocks ----------------------------------------------------

def rsa_size(public_key):
    """Octets of the modulus."""
    return (public_key.key_size + 7) // 8


def rsa_block_2(size, data, filling):
    """An encryption block: 00 02 | filling without zeros | 00 | data."""
    if len(data) > size - 11:
        raise Refused(f"{len(data)} octets do not fit an RSA block of {size}")
    if len(filling) != size - 3 - len(data) or 0 in filling:
        raise ValueError("the filling has the wrong length, or a zero in it")
    return b"\0\2" + filling + b"\0" + data


def rsa_public(public_key, block):
    """m^e mod n."""
    numbers = public_key.public_numbers()
    return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(
        rsa_size(public_key), "big")


def rsa_private(key, octets):
    """c^d mod n; not in constant time: this is a test peer."""
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    value = int.from_bytes(octets, "big")
    if len(octets) != rsa_size(key) or value >= n:
        raise Refused("RSA ciphertext has another length than the modulus, or is above it")
    return pow(value, numbers.d, n).to_bytes(len(octets), "big")


def rsa_unblock_2(block):
    """The data of an encryption block."""
    end = block.find(b"\0", 2)
    if block[:2] != b"\0\2" or end < 10:
        raise Refused("RSA block: wrong padding")
    return block[end + 1:]


def rsa_sign(key, hashed):
    """RFC 2409 section 5.1: a private key encryption, block type 1, without any OID."""
    size = rsa_size(key)
    return rsa_private(key, b"\0\1" + b"\xff" * (size - 3 - len(hashed)) + b"\0" + hashed)


def rsa_verify(public_key, hashed, signature):
    """Whether the signature is exactly that block."""
    size = rsa_size(public_key)
    if len(signature) != size:
        return False
    return rsa_public(public_key, signature) == (
        b"\0\1" + b"\xff" * (size - 3 - len(hashed)) + b"\0" + hashed)
