# SPDX-License-Identifier: GPL-2.0-or-later
"""A CA and certificates for a test. Names are PrintableString, as peers compare octets."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from certificates import Certificate

BEGIN, END = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 1, 1)


def new_key(bits=2048):
    """An RSA key."""
    return rsa.generate_private_key(65537, bits)


def private_pem(key):
    """PKCS #8 in PEM."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key):
    """SubjectPublicKeyInfo in PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(certificate):
    """A Certificate in PEM."""
    return certificate.parsed.public_bytes(serialization.Encoding.PEM)


def _name(common_name):
    printable = _ASN1Type.PrintableString
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Moat", printable),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name, printable)])


def certify(common_name, key, ca_key, ca_name="Test CA", addresses=(), names=(), serial=1):
    """A certificate for the key; for a CA, key and ca_key are the same."""
    builder = (x509.CertificateBuilder().subject_name(_name(common_name))
               .issuer_name(_name(ca_name)).public_key(key.public_key())
               .serial_number(serial).not_valid_before(BEGIN).not_valid_after(END)
               .add_extension(x509.BasicConstraints(key is ca_key, None), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                              False))
    if addresses or names:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
            + [x509.DNSName(n) for n in names]), False)
    return Certificate(builder.sign(ca_key, hashes.SHA256()).public_bytes(
        serialization.Encoding.DER))
