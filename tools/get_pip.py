# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put pip into an empty virtual environment from the wheel that Python bundles: stands in for get-pip.py in ansible-test."""

from __future__ import annotations

import subprocess
import sys

GET_PIP_ONLY = ("--no-setuptools", "--no-wheel")


def main() -> None:
    """Bootstrap the bundled pip, then install what the command line names (pip==X.Y) with it."""
    python = [sys.executable, "-m"]
    subprocess.run([*python, "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    wanted = [argument for argument in sys.argv[1:] if argument not in GET_PIP_ONLY]
    subprocess.run([*python, "pip", "install", "--quiet", *wanted], check=True)


if __name__ == "__main__":
    main()
