# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything the role nvidia_container_toolkit wants to know of a host besides its GPUs, in one call that only reads.
# One line for each finding:
#   package NAME VERSION WANT     an installed package of the toolkit, and what dpkg is told about it (install, hold)
#   unit NAME ENABLED ACTIVE      a unit that describes the CDI devices, or starts containers that have some
#   file PATH MODE:OWNER:GROUP:SHA1
#   stale PATH                    a source of apt with nothing but NVIDIA's toolkit; the role brings its own
#   mixed PATH                    one that names it beside other repositories
#   legacy NAME                   a running container that got GPUs from a hook behind the engine's back, not by CDI
set -u

# Without root some of this cannot be read, and would look as if it were not there
[ "$(id -u)" = 0 ] || { echo "it runs as $(id -un)" >&2; exit 1; }

# The packages of one version; nvidia-docker2 and nvidia-container-runtime have their own versions and stay as they are
dpkg-query --show --showformat '${db:Status-Status} ${Package} ${Version} ${db:Status-Want}\n' \
  'nvidia-container-toolkit*' 'libnvidia-container*' 2>/dev/null | sed -n 's/^installed /package /p'

for unit in nvidia-cdi-refresh.service nvidia-cdi-refresh.path alchemorsel-cdi-containers.service; do
  echo "unit $unit $(systemctl is-enabled "$unit" 2>/dev/null || true) $(systemctl is-active "$unit" 2>/dev/null || true)" | tr -s ' '
done

for path in /etc/systemd/system/docker.service.d/nvidia-cdi-refresh.conf \
  /etc/systemd/system/nvidia-cdi-refresh.service.d/alchemorsel.conf /etc/systemd/system/alchemorsel-cdi-containers.service; do
  if [ -f "$path" ]; then
    sum=$(sha1sum "$path")
    echo "file $path $(stat -L -c %a:%U:%G "$path"):${sum%% *}"
  fi
done

# Lines that name repositories, in both formats of apt; a key's lines are indented
for path in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  case $path in *'*'* | */nvidia-container-toolkit.sources) continue ;; esac
  repositories=$(grep -E '^(deb|deb-src)[[:space:]]|^URIs:' "$path")
  ours=$(printf '%s\n' "$repositories" | grep -cE '/(libnvidia-container|nvidia-container-runtime|nvidia-docker)/')
  [ "$ours" = 0 ] && continue
  if [ "$ours" = "$(printf '%s\n' "$repositories" | grep -c .)" ]; then echo "stale $path"; else echo "mixed $path"; fi
done

# `--gpus` and Compose ask for a capability without naming CDI; `--runtime nvidia` names the runtime
command -v docker >/dev/null || exit 0
containers=$(docker ps --quiet 2>/dev/null)
[ -n "$containers" ] || exit 0
docker inspect --type container --format \
  '{{.Name}} runtime:{{.HostConfig.Runtime}}{{range .HostConfig.DeviceRequests}} {{.Driver}}:{{range .Capabilities}}{{.}}{{end}}{{end}}' \
  $containers 2>/dev/null |
  sed -nE -e '/ runtime:nvidia-cdi( |$)/d' -e 's|^/([^ ]+) runtime:[^ ]*nvidia.*|legacy \1|p' -e t \
    -e 's|^/([^ ]+) .* (nvidia)?:[^ ]*\[.*gpu.*|legacy \1|p'
exit 0
