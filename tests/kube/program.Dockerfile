# SPDX-License-Identifier: Apache-2.0
# A program in a container of its own, for the tests to trace.
ARG BASE
FROM $BASE
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 >/dev/null
COPY tests/live/apps/web.py /web.py
ENTRYPOINT ["/usr/bin/python3", "/web.py"]
