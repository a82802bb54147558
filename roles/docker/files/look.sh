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
#   service ENABLED ACTIVE  docker.service, in systemctl's words
#   source FILE             a file of apt's that names the repository of docker.com
#   path PATH               a file that matters and is there
#   json NAME MODE BASE64   the file /etc/docker/NAME
#   ca REGISTRY MODE:OWNER:GROUP:SHA1
#   dockerd COMMAND LINE    of the running engine
#   info BASE64             what the engine says of itself; missing where Ansible has to ask it, because this script cannot
#   running JSON            the names of a running container, with commas between them
#   sum PATH MODE:OWNER:GROUP:SHA1    a file that belongs to this role
#   root, disk, ftype, held           see plugins/module_utils/_engine_storage.py
#   gpu CONTAINER RUNTIME DRIVERS     its GPUs come by the legacy hook
#   nvidia ADDRESS          a GPU of NVIDIA on the PCI bus
# Arguments: the data-root that is asked for; "unit" where the engine's unit may have to change; the address of docker.com's repository.
set -u

# Without root some of this cannot be read, and would look as if it were not there
[ "$(id -u)" = 0 ] || { echo "it runs as $(id -un)" >&2; exit 1; }

# The engine that Ansible's modules ask, whatever context root has chosen
export DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}"

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
for device in /sys/bus/pci/devices/*; do
  if grep -qsx 0x10de "$device/vendor" && grep -qs ^0x03 "$device/class"; then echo "nvidia ${device##*/}"; fi
done
if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ]; then echo "broken dpkg interrupted"; fi

# A running engine whose program the package manager has replaced
program=$(readlink "/proc/$(cat /run/docker.pid 2>/dev/null)/exe")
case $program in *' (deleted)') echo "stale ${program% (deleted)}" ;; esac
if [ "$(readlink /etc/systemd/system/docker.service)" = /dev/null ]; then echo "masked docker.service"; fi
echo "service $(systemctl is-enabled docker.service 2>/dev/null) $(systemctl is-active docker.service 2>/dev/null)"
grep -lsF -- "${3:-download.docker.com}" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources |
  sed 's/^/source /'

for path in /run/docker.sock /usr/lib/systemd/system/docker.service /lib/systemd/system/docker.service /etc/systemd/system/docker.service \
  /snap/bin/docker /usr/bin/dockerd /usr/sbin/dockerd /usr/local/bin/dockerd /usr/local/bin/k3s \
  /var/lib/kubelet/config.yaml /var/lib/docker/swarm/docker-state.json; do
  if [ -e "$path" ]; then echo "path $path"; fi
done

# Configuration of the engine: what its command line says, what this role has put beside it
if pid=$(cat /run/docker.pid 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
  echo "dockerd $(tr '\0\n' '  ' <"/proc/$pid/cmdline")"
fi
# Ansible's own modules need requests. Of the system's Python one file tells whether it is there, which costs nothing
python=$(tr '\0' '\n' <"/proc/$PPID/cmdline" | head -n 1)
case $python in
  /usr/bin/python3 | /usr/bin/python3.[0-9]*) if [ -e /usr/lib/python3/dist-packages/requests/__init__.py ]; then python=/bin/true; fi ;;
esac
if [ -S /run/docker.sock ] && command -v docker >/dev/null && "$python" -I -c 'import requests' 2>/dev/null &&
  info=$(timeout 20 docker info --format '{{json .}}' 2>/dev/null) &&
  running=$(timeout 20 docker ps --format 'running {{json .Names}}' 2>/dev/null); then
  # Without an engine older clients end well, too, and tell an empty version
  case $info in *'"ServerVersion":"'[!\"]*)
    echo "info $(printf %s "$info" | base64 -w 0)"
    if [ -n "$running" ]; then printf '%s\n' "$running"; fi ;;
  esac
fi
for file in /etc/docker/alchemorsel-proxy.env /etc/systemd/system/docker.service.d/alchemorsel-*.conf; do
  if [ -f "$file" ]; then
    sum=$(sha1sum "$file")
    echo "sum $file $(stat -c %a:%U:%G "$file"):${sum%% *}"
  fi
done
if [ "${2:-}" = unit ] && command -v docker >/dev/null; then
  timeout 20 docker ps --quiet | xargs -r timeout 20 docker inspect --format \
    'gpu {{.Name}} {{.HostConfig.Runtime}}{{range .HostConfig.DeviceRequests}} {{or .Driver "nvidia"}}{{end}}' |
    grep -E '^gpu [^ ]+ ([^ ]+ )*nvidia(-legacy)?( |$)'
fi

# Storage: a directory that is not there yet lies where its nearest parent does
disk() {
  path=$2
  while [ ! -e "$path" ]; do path=$(dirname "$path"); done
  line=$(df --output=fstype,avail,target "$path" 2>/dev/null | sed -n 2p)
  echo "disk $1 $line"
  case $line in
    xfs*) xfs_info "$path" 2>/dev/null | sed -n "s/.*ftype=\([01]\).*/ftype $1 \1/p" ;;
  esac
}
count() { find "$@" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
root=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null | head -n 1)
root=${root:-/var/lib/docker}
echo "root $root"
disk now "$root"
disk containerd /var/lib/containerd
if [ -n "${1:-}" ]; then
  disk wanted "$1"
  echo "held $(count "$root/containers") $(count "$root"/image/*/imagedb/content/sha256) $(count "$root/volumes" -type d)"
fi

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
