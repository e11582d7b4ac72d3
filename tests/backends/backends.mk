# SPDX-License-Identifier: Apache-2.0
# The real back ends that the live tests send to, in a cache outside the tree. What cannot be had here is said, and its
# cases say why they skip.
BACKENDS := grpc_sink collector jaeger zipkin

backends:
	$(Q)for b in $(BACKENDS); do tests/backends/build.sh $$b >/dev/null || echo "back ends: no $$b"; done

LIVE_NEEDS += backends

.PHONY: backends
