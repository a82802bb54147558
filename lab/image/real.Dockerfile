# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A real Ollama binary (LAB_OLLAMA_BINARY) with its libraries, in an image with the face of the official one.
ARG BASE
FROM ${BASE}
ARG CHECKOUT
LABEL alchemorsel.lab.checkout=${CHECKOUT} alchemorsel.lab.server=real
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
        libstdc++6 libgomp1 libopenblas0 libvulkan1 >/dev/null
COPY ollama /usr/
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_VISIBLE_DEVICES=all OLLAMA_HOST=0.0.0.0:11434
EXPOSE 11434
ENTRYPOINT ["/bin/ollama"]
CMD ["serve"]
