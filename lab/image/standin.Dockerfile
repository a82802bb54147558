# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The stand-in as an image with the face of the official one: /bin/ollama serve, root, no volume, no health check.
ARG BASE
FROM ${BASE} AS system
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT}
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends python3-aiohttp >/dev/null \
    && rm -rf /var/cache/apt /var/lib/apt/lists /usr/share/doc /usr/share/man /usr/share/locale /usr/share/i18n \
        /usr/lib/systemd /usr/lib/udev /var/log/* /var/lib/dpkg/info
COPY lab /usr/lib/ollama/lab
COPY files/ollama /usr/bin/ollama
RUN chmod 0755 /usr/bin/ollama && python3 -m compileall -q /usr/lib/ollama

FROM scratch
COPY --from=system / /
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT} alchemorsel.lab.server=stand-in
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_VISIBLE_DEVICES=all OLLAMA_HOST=0.0.0.0:11434
EXPOSE 11434
ENTRYPOINT ["/bin/ollama"]
CMD ["serve"]
ARG VERSION
LABEL alchemorsel.lab.version=${VERSION}
ENV STANDIN_VERSION=${VERSION}
