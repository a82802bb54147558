# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A host of the lab: systemd as PID 1, user `ops` with sudo, no Docker Engine. What the roles install from the
# distribution lies in apt's cache already, so that an installation is quick and the roles still do it themselves.
ARG BASE
FROM ${BASE}
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT}
# The second is for systemd 257 (Debian 13) on a machine with cgroup v1.
ENV container=docker SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
# Where the base image has them: docker-clean would empty apt's cache, policy-rc.d keep a service from starting.
# Hosts are thrown away: dpkg needs no fsync.
RUN rm -f /etc/apt/apt.conf.d/docker-clean /etc/apt/apt.conf.d/docker-gzip-indexes /usr/sbin/policy-rc.d \
    && echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/alab \
    && echo 'Acquire::Languages "none";' >/etc/apt/apt.conf.d/alab \
    && apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
        systemd systemd-sysv dbus python3 python3-apt ca-certificates iproute2 iptables sudo procps curl >/dev/null \
    && apt-get -qq -y install --download-only docker.io python3-requests python3-debian nftables >/dev/null
RUN useradd --uid 1500 --create-home --shell /bin/bash ops \
    && echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops && chmod 0440 /etc/sudoers.d/ops \
    && systemctl mask getty.target console-getty.service systemd-modules-load.service \
    && systemctl set-default multi-user.target && : >/etc/machine-id
COPY files/alab-init /usr/local/sbin/
COPY files/alab-ca.service /etc/systemd/system/
RUN chmod 0755 /usr/local/sbin/alab-init && systemctl enable alab-ca.service
STOPSIGNAL SIGRTMIN+3
CMD ["/usr/local/sbin/alab-init"]
