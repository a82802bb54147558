# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What apt knows of the packages that are named as arguments. It only reads; apt is asked for its list of versions, newest first:
#   candidate NAME VERSION  the one that apt would install
#   offer NAME VERSION      a version that a repository has
#   gone NAME VERSION       the installed version, where no repository has it any more
set -u
export LC_ALL=C

apt-cache policy "$@" | awk '
  function tell() { if (version != "") print (there ? "offer" : "gone"), name, version; version = "" }
  /^[^ ]/ { tell(); name = $1; sub(/:$/, "", name) }
  $1 == "Candidate:" && $2 != "(none)" { print "candidate", name, $2 }
  /^( \*\*\*|    ) [^ ]/ { tell(); version = $1 == "***" ? $2 : $1; there = 0 }
  /^        / { if ($2 != "/var/lib/dpkg/status") there = 1 }
  END { tell() }'
