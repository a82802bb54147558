# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that end when a test wants."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(end: datetime, serial: int = 7, name: str = "lab") -> x509.Certificate:
    """Return a self-signed certificate for 127.0.0.1 that ends at `end`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(end - timedelta(days=365))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(KEY, hashes.SHA256())
    )


def der(end: datetime, serial: int = 7, name: str = "lab") -> bytes:
    """Return such a certificate in DER form."""
    return certificate(end, serial, name).public_bytes(serialization.Encoding.DER)


def write_pem(path: Path, days: float) -> Path:
    """Write such a certificate, which ends in so many days, and its key."""
    made = certificate(datetime.now(timezone.utc) + timedelta(days=days))
    key = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key + made.public_bytes(serialization.Encoding.PEM))
    return path
