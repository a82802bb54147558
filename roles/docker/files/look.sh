# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything the role docker wants to know of a host besides facts, in one call that only reads. One line for each finding:
#   package NAME VERSION    an installed package that matters
#   hold NAME               such a one is held
#   broken NAME STATE       any package that dpkg left half done
#   stale PROGRAM           the running engine's program, which was replaced on disk
#   masked UNIT             a unit that systemd may not start
#   source FILE             a file of apt's that names docker.com's repository (or the one given as argument)
#   path PATH               a file that matters and is there
#   json NAME MODE BASE64   the file /etc/docker/NAME
#   ca REGISTRY MODE:OWNER:GROUP:SHA1
set -u

# Without root some of this cannot be read, and would look as if it were not there
[ "$(id -u)" = 0 ] || { echo "it runs as $(id -un)" >&2; exit 1; }

# All packages in one question, because what dpkg left half done is in the way of any of them
dpkg-query --show --showformat '${Package} ${db:Status-Want} ${db:Status-Eflag} ${db:Status-Status} ${Version}\n' | awk -v names='
  docker.io docker-ce moby-engine docker-cli docker-ce-cli docker-ce-rootless-extras containerd containerd.io runc
  moby-cli moby-containerd moby-runc podman-docker docker-compose docker-compose-v2 docker-doc
  apparmor iptables ca-certificates python3-requests python3-debian kubelet' '
  BEGIN { split(names, list); for (number in list) matters[list[number]] }
  $3 != "ok" || $4 ~ /^(half-|unpacked)/ { print "broken", $1, $4 }
  !($1 in matters) { next }
  $4 == "installed" { print "package", $1, $5 }
  $2 == "hold" { print "hold", $1 }'
if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ]; then echo "broken dpkg interrupted"; fi

# A running engine whose program the package manager has replaced
program=$(readlink "/proc/$(cat /run/docker.pid 2>/dev/null)/exe")
case $program in *' (deleted)') echo "stale ${program% (deleted)}" ;; esac
if [ "$(readlink /etc/systemd/system/docker.service)" = /dev/null ]; then echo "masked docker.service"; fi
grep -lsF -- "${1:-download.docker.com}" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources |
  sed 's/^/source /'

for path in /run/docker.sock /usr/lib/systemd/system/docker.service /lib/systemd/system/docker.service /etc/systemd/system/docker.service \
  /snap/bin/docker /usr/bin/dockerd /usr/sbin/dockerd /usr/local/bin/dockerd /usr/local/bin/k3s \
  /var/lib/kubelet/config.yaml /var/lib/docker/swarm/docker-state.json; do
  if [ -e "$path" ]; then echo "path $path"; fi
done

cd /etc/docker 2>/dev/null || exit 0
for file in daemon.json daemon.json.running; do
  if [ -f "$file" ]; then echo "json $file $(stat -L -c 0%a "$file") $(base64 -w 0 "$file")"; fi
done
for file in certs.d/*/ca.crt; do
  if [ -f "$file" ]; then
    registry=${file#certs.d/}
    sum=$(sha1sum "$file")
    echo "ca ${registry%/ca.crt} $(stat -L -c %a:%U:%G "$file"):${sum%% *}"
  fi
done
