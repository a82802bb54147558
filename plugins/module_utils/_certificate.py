# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends, and whether that is soon. No I/O.

Python gives the fields of a certificate only where it verified it; the DER form it gives always.
"""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import OK, SKIPPED, Check, failed

_SEQUENCE, _EXPLICIT_0, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def _element(data: bytes, start: int) -> tuple[int, int, int]:
    """Return tag, first byte of the content, and the byte after it; raises ValueError where that is not DER."""
    if start + 2 > len(data):
        raise ValueError("it ends too early")
    tag, length, begin = data[start], data[start + 1], start + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or begin + count > len(data):
            raise ValueError("it has a length that cannot be")
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > len(data):
        raise ValueError("it ends too early")
    return tag, begin, begin + length


def _inside(data: bytes, start: int) -> int:
    """Return the first byte of a sequence's content."""
    tag, begin, _end = _element(data, start)
    if tag != _SEQUENCE:
        raise ValueError("it has no sequence where one must be")
    return begin


def expiry(der: bytes) -> datetime:
    """Return when a certificate in DER form ends (`notAfter`).

    :raises ValueError: where that is no certificate
    """
    # Certificate > TBSCertificate > [0] version (optional), serial number, algorithm, issuer, validity > not before, not after.
    at = _inside(der, _inside(der, 0))
    tag, _begin, end = _element(der, at)
    for _field in range(4 if tag == _EXPLICIT_0 else 3):
        _tag, _begin, at = _element(der, at)
    _tag, _begin, at = _element(der, _inside(der, at))
    tag, begin, end = _element(der, at)
    text = der[begin:end].decode("ascii", "replace")
    if tag == _UTC_TIME:
        # RFC 5280: two digits from 50 on are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("it has no time where one must be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def check_certificate(der: bytes | None, now: datetime, min_days: int) -> Check:
    """Judge the certificate that a server showed on the connection of the first request."""
    try:
        end = expiry(der) if der else None
        problem = "the connection does not show it"
    except ValueError as exc:
        end, problem = None, str(exc)
    if end is None:
        reason = f"when the certificate ends cannot be told: {problem}"
        return Check("certificate", SKIPPED, reason, threshold=min_days, unit="days")
    days = (end - now).total_seconds() / 86400
    day = f"{end:%Y-%m-%d}"
    if days >= min_days and days > 0:
        reason = f"the certificate ends in {days:.0f} days, on {day}"
        return Check("certificate", OK, reason, value=round(days, 1), threshold=min_days, unit="days")
    reason = f"the certificate ends in {days:.0f} days, on {day}" if days > 0 else f"the certificate ended on {day}"
    return failed(
        "certificate",
        "certificate_expiring",
        f"{reason}; wanted are {min_days} days",
        value=round(days, 1),
        threshold=min_days,
        unit="days",
    )
