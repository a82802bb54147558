# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the internet would serve, all over TLS: an image registry (registry.lab.test:5000), a model registry
# (models.lab.test:5443) and apt repositories (apt.lab.test), whose packages are made here: apt/build.py says how to add one.
ARG BASE
ARG TRIXIE
FROM ${TRIXIE} AS trixie

FROM ${BASE} AS apt
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT}
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends gpg gpg-agent gpgconf >/dev/null
COPY --from=trixie /var/cache/apt/archives/docker* /var/cache/apt/archives/containerd* /var/cache/apt/archives/runc* /srv/debs/trixie/
COPY apt /usr/lib/alab/apt
RUN python3 /usr/lib/alab/apt/build.py --root /srv/apt \
    --debs bookworm=/var/cache/apt/archives --debs trixie=/srv/debs/trixie

FROM ${BASE}
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT}
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
        docker-registry nginx python3-aiohttp >/dev/null \
    && rm /etc/nginx/sites-enabled/default
COPY files/registry.yml /etc/docker/registry/config.yml
COPY files/docker-registry.conf /etc/systemd/system/docker-registry.service.d/alab.conf
COPY files/alab-models.service /etc/systemd/system/
COPY files/apt.nginx /etc/nginx/sites-enabled/apt
COPY lab /usr/lib/alab/lab
# The published store is part of the image: a fresh services container serves the same models each time.
RUN cd /usr/lib/alab && for file in lab/models/*.gguf; do \
        python3 -m lab.standin publish --store /srv/models \
            --name "library/$(basename "$file" .gguf):latest" --gguf "$file" || exit 1; \
    done && systemctl enable alab-models.service docker-registry.service nginx.service
COPY --from=apt /srv/apt /srv/apt
