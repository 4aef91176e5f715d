# SPDX-License-Identifier: GPL-2.0-or-later
"""X.509 as far as two test gateways need it: one CA, no path, no revocation."""
import ipaddress

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding

import isakmp
from crypto import Refused


class Certificate:
    """A certificate in DER."""

    def __init__(self, der):
        self.der = der
        try:
            self.parsed = x509.load_der_x509_certificate(der)
        except ValueError as e:
            raise Refused(f"not a certificate: {e}", isakmp.INVALID_CERTIFICATE) from e

    @classmethod
    def pem(cls, octets):
        """From PEM."""
        parsed = x509.load_pem_x509_certificate(octets)
        return cls(parsed.public_bytes(serialization.Encoding.DER))

    @property
    def public_key(self):
        """The key in it."""
        return self.parsed.public_key()

    @property
    def subject(self):
        """The distinguished name in DER, octet for octet as it stands there."""
        return self.parsed.subject.public_bytes()

    def signed_by(self, ca):
        """Whether this CA's key signed it."""
        try:
            ca.public_key.verify(self.parsed.signature, self.parsed.tbs_certificate_bytes,
                                 padding.PKCS1v15(), self.parsed.signature_hash_algorithm)
        except InvalidSignature:
            return False
        return self.parsed.issuer == ca.parsed.subject

    def names(self, id_body):
        """Whether subject or alternative names hold a phase 1 identity."""
        kind, data = id_body[0], id_body[4:]
        if kind == isakmp.ID_DER_ASN1_DN:
            return data == self.subject
        try:
            names = self.parsed.extensions.get_extension_for_class(
                x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        if kind == isakmp.ID_FQDN:
            return data.decode() in names.get_values_for_type(x509.DNSName)
        if kind == isakmp.ID_USER_FQDN:
            return data.decode() in names.get_values_for_type(x509.RFC822Name)
        return (kind in (isakmp.ID_IPV4_ADDR, isakmp.ID_IPV6_ADDR) and
                ipaddress.ip_address(data) in names.get_values_for_type(x509.IPAddress))


def load_private(pem):
    """An RSA private key from PEM."""
    return serialization.load_pem_private_key(pem, None)


def load_public(pem):
    """An RSA public key from PEM."""
    return serialization.load_pem_public_key(pem)
