# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A neighbour on the segment, in a network namespace of its own with an interface of its own, asks a host for the API in all ways.
# Arguments: the host's address, its container's address, the address on which it publishes, and the neighbour's two own addresses
# with their length; then the names of the ways that should be open. Says for each way: its name and the HTTP status, or 000.
set -eu
host=$1 container=$2 published=$3 allowed=$4 other=$5
shift 5
open=" $* "

if ! ip netns list | grep -q '^neighbour'; then
  ip netns add neighbour
  ip link add neighbour0 link eth0 type macvlan mode bridge
  ip link set neighbour0 netns neighbour
  ip -n neighbour address add "$allowed" dev neighbour0
  ip -n neighbour address add "$other" dev neighbour0
  # 127.0.0.1 is nobody's here, so that it can be sent to somebody
  ip netns exec neighbour sysctl -q -w net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.neighbour0.rp_filter=0
  ip -n neighbour link set neighbour0 up
fi
ip -n neighbour route replace "$container" via "$host"
ip -n neighbour route replace 127.0.0.1 via "$host"

# A way that is closed is an answer, too: curl fails, and has printed 000. One that should be open is asked again, since 000 may
# also come from a machine that is busy.
ask() {
  tries=1 status=000
  case $open in *" $1 "*) tries=10 ;; esac
  while [ "$status" = 000 ] && [ "$tries" -gt 0 ]; do
    status=$(ip netns exec neighbour curl --silent --noproxy '*' --max-time 2 --output /dev/null --write-out '%{http_code}' \
      --interface "${2%/*}" "http://$3/api/version") || true
    tries=$((tries - 1))
    if [ "$status" = 000 ] && [ "$tries" -gt 0 ]; then sleep 1; fi
  done
  echo "$1 $status"
}
ask container "$allowed" "$container:11434"
ask loopback "$allowed" 127.0.0.1:11435
ask allowed "$allowed" "$published:11435"
ask other "$other" "$published:11435"
