# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the package manager would do with a repository that is not set up yet:
#   sh -c "$(cat simulate.sh)" simulate PACKAGE=VERSION... -- SOURCE_TO_LEAVE_OUT... <SOURCE_TO_ADD
# Sources and package lists are copies in a directory of its own, which goes at the end: the host stays as it is.
set -eu

dir=$(mktemp --directory /var/tmp/nvidia-container-toolkit.XXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/all" "$dir/own" "$dir/lists/partial"
cat >"$dir/own/nvidia-container-toolkit.sources"

packages=
while [ "$1" != -- ]; do
  packages="$packages $1"
  shift
done
shift

for path in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -f "$path" ] && cp "$path" "$dir/all/"
done
for path in "$@"; do rm -f "$dir/all/${path##*/}"; done
cp "$dir/own/nvidia-container-toolkit.sources" "$dir/all/"

# Links take no space; where the file system is another one, copies do as well
for path in /var/lib/apt/lists/*; do
  [ -f "$path" ] && { cp --link "$path" "$dir/lists/" 2>/dev/null || cp "$path" "$dir/lists/"; }
done
rm -f "$dir/lists/lock"

apt() {
  LC_ALL=C apt-get -q -o Dir::State::lists="$dir/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o APT::Sandbox::User=root -o APT::Get::List-Cleanup=false "$@"
}
apt -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/own" update >/dev/null
apt -o Dir::Etc::sourceparts="$dir/all" --simulate --no-install-recommends --allow-change-held-packages install $packages
