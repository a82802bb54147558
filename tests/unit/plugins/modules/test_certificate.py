# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends, read from its DER form."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._certificate import check_certificate, expiry
from certificates import der
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=timezone.utc)
SAMPLE = der(NOW + timedelta(days=100))


@settings(max_examples=60, deadline=None)
@given(
    # From 2050 on, certificates write the time in another form.
    st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)),
    st.integers(1, 2**159 - 1),
    st.text("abcdefghij", min_size=1, max_size=60),
)
def test_the_end_of_any_certificate(end, serial, name):
    end = end.replace(microsecond=0, tzinfo=timezone.utc)
    assert expiry(der(end, serial, name)) == end


@given(st.binary(max_size=80))
def test_what_is_no_certificate_is_a_value_error(data):
    with pytest.raises(ValueError, match=r".+"):
        expiry(data)


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_a_value_error_or_a_time(place, byte):
    damaged = SAMPLE[:place] + bytes([byte]) + SAMPLE[place + 1 :]
    try:
        assert expiry(damaged).tzinfo is timezone.utc
    except ValueError as problem:
        assert str(problem)
    with pytest.raises(ValueError, match=r".+"):
        expiry(SAMPLE[:place])


@pytest.mark.parametrize(
    ("days", "wanted", "status", "words"),
    [
        (30, 14, "ok", "ends in 30 days, on 2026-12-26"),
        (14, 14, "ok", "ends in 14 days"),
        (13, 14, "failed", "ends in 13 days, on 2026-12-09; wanted are 14 days"),
        (0.5, 0, "ok", "on 2026-11-27"),
        (-1, 0, "failed", "the certificate ended on 2026-11-25"),
        (-1, 14, "failed", "the certificate ended on 2026-11-25"),
    ],
)
def test_days_left(days, wanted, status, words):
    check = check_certificate(der(NOW + timedelta(days=days)), NOW, wanted)
    assert (check.status, check.value, check.threshold, check.unit) == (status, days, wanted, "days")
    assert check.verdict == ("certificate_expiring" if status == "failed" else None)
    assert words in check.reason
    assert bool(check.remedy) is (status == "failed")


@pytest.mark.parametrize(("data", "words"), [(None, "does not show it"), (b"0\x01", "it ends too early")])
def test_what_cannot_be_read_is_skipped(data, words):
    check = check_certificate(data, NOW, 14)
    assert check.status == "skipped"
    assert words in check.reason
