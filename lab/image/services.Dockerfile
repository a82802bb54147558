# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the internet would serve: an image registry (registry.lab.test:5000) and a model registry (models.lab.test:5443),
# both over TLS. An apt repository would be a third unit here.
ARG BASE
FROM ${BASE}
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT}
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
        docker-registry python3-aiohttp >/dev/null
COPY files/registry.yml /etc/docker/registry/config.yml
COPY files/docker-registry.conf /etc/systemd/system/docker-registry.service.d/alab.conf
COPY files/alab-models.service /etc/systemd/system/
COPY lab /usr/lib/alab/lab
# The published store is part of the image: a fresh services container serves the same models each time.
RUN cd /usr/lib/alab && for file in lab/models/*.gguf; do \
        python3 -m lab.standin publish --store /srv/models \
            --name "library/$(basename "$file" .gguf):latest" --gguf "$file" || exit 1; \
    done && systemctl enable alab-models.service docker-registry.service
