# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys and hashes of RFC 2409 section 5 and appendix B, as written there.

Each function takes octets and gives octets. `h` is the number of the
negotiated hash everywhere.
"""
from crypto import block_size, digest, prf

PSK, RSA_SIG, RSA_ENC, RSA_ENC_REVISED = 1, 3, 4, 5     # authentication methods


def skeyid(method, h, ni, nr, gxy=b"", cky_i=b"", cky_r=b"", psk=b""):
    """SKEYID, which is computed separately for each method (section 5)."""
    if method == PSK:
        return prf(h, psk, ni + nr)
    if method == RSA_SIG:
        return prf(h, ni + nr, gxy)
    return prf(h, digest(h, ni + nr), cky_i + cky_r)


def skeyid_d_a_e(h, key, gxy, cky_i, cky_r):
    """(SKEYID_d, SKEYID_a, SKEYID_e)."""
    rest = gxy + cky_i + cky_r
    d = prf(h, key, rest + b"\0")
    a = prf(h, key, d + rest + b"\1")
    return d, a, prf(h, key, a + rest + b"\2")


def cipher_key(h, material, size):
    """Appendix B: the first octets of the material, if it has enough; else K1 | K2 | …"""
    if len(material) >= size:
        return material[:size]
    out = block = prf(h, material, b"\0")
    while len(out) < size:
        block = prf(h, material, block)
        out += block
    return out[:size]


def first_iv(h, cipher, gxi, gxr):
    """Appendix B: IV of the first encrypted message of phase 1."""
    return digest(h, gxi + gxr)[:block_size(cipher)]


def later_iv(h, cipher, last_block, message_id):
    """Appendix B: IV of the first message of a later exchange."""
    return digest(h, last_block + message_id.to_bytes(4, "big"))[:block_size(cipher)]


def hash_i_or_r(h, key, own_value, peer_value, own_cky, peer_cky, sai_b, id_b):
    """HASH_I with the initiator's values as own, HASH_R with the responder's."""
    return prf(h, key, own_value + peer_value + own_cky + peer_cky + sai_b + id_b)


def revised_key(h, nonce, cookie, size):
    """Section 5.3: (Ne, Ke) from the nonce and the cookie of who sends it."""
    ne = prf(h, nonce, cookie)
    return ne, cipher_key(h, ne, size)


def revised_pad(cipher, data):
    """Section 5.3: zeros, then how many of them; at least that last octet."""
    zeros = -(len(data) + 1) % block_size(cipher)
    return data + bytes(zeros) + bytes([zeros])


def revised_unpad(cipher, data):
    """The inverse, or None for wrong padding."""
    zeros = data[-1]
    if zeros >= block_size(cipher) or any(data[-1 - zeros:-1]):
        return None
    return data[:-1 - zeros]


def quick_hash_1(h, skeyid_a, mid, rest):
    """HASH(1) of quick mode, and of the informational exchange (section 5.7)."""
    return prf(h, skeyid_a, mid.to_bytes(4, "big") + rest)


def quick_hash_2(h, skeyid_a, mid, ni, rest):
    """HASH(2) of quick mode: as HASH(1), with Ni_b after the message id."""
    return prf(h, skeyid_a, mid.to_bytes(4, "big") + ni + rest)


def quick_hash_3(h, skeyid_a, mid, ni, nr):
    """HASH(3) of quick mode."""
    return prf(h, skeyid_a, b"\0" + mid.to_bytes(4, "big") + ni + nr)


def keymat(h, skeyid_d, gqm_xy, protocol, spi, ni, nr, size):
    """KEYMAT of section 5.5; gqm_xy is empty without PFS."""
    seed = gqm_xy + bytes([protocol]) + spi + ni + nr
    out = block = prf(h, skeyid_d, seed)
    while len(out) < size:
        block = prf(h, skeyid_d, block + seed)
        out += block
    return out[:size]

