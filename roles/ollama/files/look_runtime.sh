# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The names of running containers that have GPUs by the NVIDIA runtime's hook, and not by CDI.
docker ps --quiet \
  | xargs -r docker inspect --format '{{.Name}} runtime={{.HostConfig.Runtime}}{{range .HostConfig.DeviceRequests}} {{.Driver}}:{{.Capabilities}}{{end}}' \
  | sed -n -E '/ runtime=nvidia(-legacy)?( |$)| (nvidia)?:\[\[[^]]*gpu/ s|^/([^ ]*) .*|\1|p'
