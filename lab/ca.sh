#!/usr/bin/env bash
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lab/ca.sh DIRECTORY: the lab's own certificate authority and the services' certificate, made where missing or about
# to expire (within a week). Prints "made" or "kept". ca.crt is for the hosts, services.crt and .key for the services; expired.crt is
# one of theirs that nobody may trust any more.
set -euo pipefail
umask 077
dir=${1:?usage: lab/ca.sh DIRECTORY}
week=604800
if [[ -f $dir/expired.crt ]] &&
  openssl x509 -in "$dir/services.crt" -noout -checkend $week >/dev/null 2>&1 &&
  openssl verify -CAfile "$dir/ca.crt" "$dir/services.crt" >/dev/null 2>&1; then
  echo kept
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=Lab CA" \
  -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=services.lab.test" \
  -keyout "$work/services.key" -out "$work/services.csr" 2>/dev/null
cat >"$work/extensions" <<EXT
subjectAltName=DNS:registry.lab.test,DNS:models.lab.test,DNS:apt.lab.test,DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth
EXT
openssl x509 -req -in "$work/services.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 90 \
  -extfile "$work/extensions" -out "$work/services.crt" 2>/dev/null
mkdir -p "$dir"
# Another one of the same key and names that ended yesterday, for what has to be refused
openssl x509 -req -in "$work/services.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days -1 \
  -extfile "$work/extensions" -out "$work/expired.crt" 2>/dev/null
mkdir -p "$dir"
# The directory is mounted into the services container: only its content changes. The CA's key isn't kept.
cp "$work/ca.crt" "$work/services.crt" "$work/services.key" "$work/expired.crt" "$dir/"
chmod 0755 "$dir"
chmod 0644 "$dir/ca.crt" "$dir/services.crt" "$dir/expired.crt"
echo made
