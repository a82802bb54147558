# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything the role docker wants to know of a host besides facts, in one call that only reads. One line for each finding:
#   package NAME VERSION    an installed package that matters
#   path PATH               a file that matters and is there
#   json NAME MODE BASE64   the file /etc/docker/NAME
#   ca REGISTRY MODE:OWNER:GROUP:SHA1
set -u

# Without root some of this cannot be read, and would look as if it were not there
[ "$(id -u)" = 0 ] || { echo "it runs as $(id -un)" >&2; exit 1; }

dpkg-query --show --showformat '${db:Status-Status} ${Package} ${Version}\n' \
  docker.io docker-ce moby-engine docker-cli podman-docker docker-compose docker-compose-v2 docker-doc containerd containerd.io runc \
  apparmor iptables ca-certificates python3-requests python3-debian kubelet 2>/dev/null | sed -n 's/^installed /package /p'

for path in /run/docker.sock /snap/bin/docker /usr/bin/dockerd /usr/sbin/dockerd /usr/local/bin/dockerd /usr/local/bin/k3s \
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
