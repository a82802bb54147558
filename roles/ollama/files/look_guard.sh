# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What there is of an instance's guard, in one call that only reads. Arguments: the table, the Docker network, the file of the
# rules, the other files. One line for each finding, and what is not there has none:
#   network BASE64                      the Docker network, as the engine describes it
#   nft                                 the command is installed
#   table | loaded                      the kernel has the table; it is the one that the file gives
#   file PATH MODE:OWNER:GROUP:SHA1
#   unit NAME NeedDaemonReload=... UnitFileState=...
#   active NAME
#   stale nftables.service              its drop-in is not taken up yet
set -u
# The engine that Ansible's modules ask, whatever context root has chosen
export DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}"
table=$1 network=$2 rules=$3
shift 2

if described=$(timeout 20 docker network inspect --format '{{json .}}' "$network" 2>/dev/null); then
  echo "network $(printf %s "$described" | base64 -w 0)"
fi

if command -v nft >/dev/null; then
  echo nft
  if found=$(nft --stateless list table inet "$table" 2>/dev/null); then
    # nft words its own way, and each version another: the file is put into an empty network namespace and listed there
    wanted=$(unshare --net sh -c 'nft --file "$1" && nft --stateless list table inet "$2"' - "$rules" "$table" 2>/dev/null)
    if [ "$found" = "$wanted" ]; then echo loaded; else echo table; fi
  fi
fi

for file in "$@"; do
  [ -f "$file" ] || continue
  sum=$(sha1sum "$file")
  echo "file $file $(stat -c %a:%U:%G "$file"):${sum%% *}"
  case $file in
    *.service)
      unit=${file##*/}
      echo "unit $unit $(systemctl show --property=NeedDaemonReload,UnitFileState "$unit" | sort | paste -s -d ' ')"
      if systemctl --quiet is-active "$unit"; then echo "active $unit"; fi ;;
    */nftables.service.d/*)
      if systemctl show --property=NeedDaemonReload nftables.service | grep -q yes; then echo "stale nftables.service"; fi ;;
  esac
done
