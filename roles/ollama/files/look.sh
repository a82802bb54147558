# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything the role ollama wants to know of a host's files and mounts besides facts, in one call that only reads. Arguments:
#   STORE    directory of the models, or the name of its Docker volume
#   MOUNT    mount point of their disk, or empty
#   NAME     of the instance's container
#   HOST     address and
#   PORT     port at which it is declared to answer
#   PATH...  files and directories that matter
#   --       then the arguments of look_guard.sh, which is given in the variable GUARD
# One line for each finding:
#   dir MODE:UID:GID PATH           file MODE:UID:GID:SHA256 PATH
#   store PATH                      where the store lies on this host, which for a volume only the engine knows
#   mounted PATH                    a file system is mounted there
#   enabled PATH, active PATH       the state of a unit whose file is at that path
#   entry NAME                      what lies in the store, beside each other
#   identity MODE:UID:GID:SHA256    the private key of the server
#   key TEXT                        its public key
#   migrated PATH                   from where its models were taken over
#   owner UID:GID NAME              of what the server has to be able to write in its store
#   link NAME                       where a symbolic link is in the place of that
#   model BYTES WEIGHTS MANIFEST    a model: all of its files, the digest of its weights, its manifest below the store's manifests
#   shape WEIGHTS NUMBERS TRAINED   what their context costs, see shapes.py, which is given in the variable SHAPES
#   route TEXT                      an IPv4 route of the host
#   container BASE64                the container, as the engine describes it; missing also where this script cannot ask the engine
#   beside NAME                     a container of the instance that is there during an upgrade only
#   version TEXT                    of the server that answers at this address
#   guard LINE                      what look_guard.sh says
set -u

# Without root some of this cannot be read, and would look as if it were not there
[ "$(id -u)" = 0 ] || { echo "it runs as $(id -un)" >&2; exit 1; }

# The engine that Ansible's modules ask, whatever context root has chosen
export DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}"

# A line from elsewhere ends a line of ours, and never begins one: Python ends a line at each of these signs
plain() { LC_ALL=C tr '\001-\037\177' '?' | LC_ALL=C sed 's/\xc2\x85/?/g; s/\xe2\x80[\xa8\xa9]/?/g'; }

store=$1
mount=$2
name=$3
host=$4
port=$5
shift 5
case $store in
  /*) ;;
  *) store=$(docker volume inspect --format '{{.Mountpoint}}' "$store" 2>/dev/null) ;;
esac

look_at() {
  path=$1
  if [ -d "$path" ]; then
    stat -L -c 'dir %a:%u:%g %n' "$path"
  elif [ -f "$path" ]; then
    sum=$(sha256sum <"$path")
    echo "file $(stat -L -c %a:%u:%g "$path"):${sum%% *} $path"
    case $path in *.service)
      systemctl is-enabled --quiet "${path##*/}" && echo "enabled $path"
      systemctl is-active --quiet "${path##*/}" && echo "active $path" ;;
    esac
  fi
}
look_at "$store"
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  look_at "$1"
  shift
done
if [ $# -gt 1 ]; then
  shift
  /bin/sh -c "${GUARD:-}" look "$@" | sed 's/^/guard /'
fi

# Ansible's own modules need requests. Of the system's Python one file tells whether it is there, which costs nothing
python=$(tr '\0' '\n' <"/proc/$PPID/cmdline" | head -n 1)
case $python in
  /usr/bin/python3 | /usr/bin/python3.[0-9]*) if [ -e /usr/lib/python3/dist-packages/requests/__init__.py ]; then python=/bin/true; fi ;;
esac
if "$python" -I -c 'import requests' 2>/dev/null && container=$(timeout 20 docker container inspect --format '{{json .}}' "$name" 2>/dev/null); then
  echo "container $(printf %s "$container" | base64 -w 0)"
  timeout 20 docker ps --all --filter "label=alchemorsel.instance=$name" --format 'beside {{.Names}}' 2>/dev/null |
    grep -xF -e "beside $name-canary" -e "beside $name-next" -e "beside $name-old"
  version=$(timeout 10 python3 -I -c '
import http.client, json, sys
server = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
server.request("GET", "/api/version")
answer = server.getresponse()
print(json.loads(answer.read(4096))["version"] if answer.status == 200 else "")' "$host" "$port" 2>/dev/null)
  if [ -n "$version" ]; then echo "version $(printf %s "$version" | plain)"; fi
fi

for path in "$store" "$mount"; do
  if [ -n "$path" ] && mountpoint -q "$path"; then echo "mounted $path"; fi
done
ip -4 route show 2>/dev/null | sed 's/^/route /'

[ -d "$store" ] || exit 0
echo "store $store"
cd "$store" || exit 1

# What follows the server could write, and a link leads no further than it could read
tell() { printf '%s %s\n' "$1" "$(printf %s "$2" | plain)"; }
uid=$(stat -c %u .)
gid=$(stat -c %g .)
as_server() { setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@" 2>/dev/null; }
for entry in * .[!.]* ..?*; do
  if [ -e "$entry" ] || [ -L "$entry" ]; then tell entry "$entry"; fi
done
for name in models models/blobs models/manifests .ollama .ollama/id_ed25519 .ollama/id_ed25519.pub; do
  if [ -L "$name" ]; then echo "link $name"; elif [ -e "$name" ]; then echo "owner $(stat -c %u:%g "$name") $name"; fi
done
migrated=$(as_server head -n 1 .alchemorsel-migrated)
if [ -n "$migrated" ]; then tell migrated "$migrated"; fi
sum=$(as_server sha256sum .ollama/id_ed25519)
if [ -n "$sum" ]; then echo "identity $(as_server stat -L -c %a:%u:%g .ollama/id_ed25519):${sum%% *}"; fi
key=$(as_server head -n 1 .ollama/id_ed25519.pub)
if [ -n "$key" ]; then tell key "$key"; fi
cd models/manifests 2>/dev/null || exit 0
models=$(find . -mindepth 4 -maxdepth 4 -type f -exec env LC_ALL=C awk '
  function tell() { gsub(/[^ -~]/, "?", name); if (name != "") printf "model %.0f %s %s\n", total, weights, name }
  FNR == 1 { tell(); name = substr(FILENAME, 3); total = 0; weights = "-" }
  {
    rest = $0
    while (match(rest, /"size" *: *[0-9]+/)) {
      number = substr(rest, RSTART, RLENGTH)
      sub(/^[^0-9]*/, "", number)
      total += number
      rest = substr(rest, RSTART + RLENGTH)
    }
    if (match($0, /image\.model" *, *"digest" *: *"sha256:[0-9a-f]+/)) {
      weights = substr($0, RSTART, RLENGTH)
      sub(/^.*sha256:/, "", weights)
    }
  }
  END { tell() }' {} +)
[ -n "$models" ] || exit 0
printf '%s\n' "$models"
# Without Python, or by one that cannot, contexts are not counted
printf '%s\n' "$models" | as_server python3 -I -c "${SHAPES:-}" ../blobs 2>/dev/null
exit 0
