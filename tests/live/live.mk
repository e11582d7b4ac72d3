# SPDX-License-Identifier: Apache-2.0
# make live: the whole product against real programs (root). T=name runs the cases whose name begins so, e.g. T=http
# or T=link_chain. LIST=1 lists them. BACKEND=way: on this way in. KEEP=1 keeps the working directories.
# RIGHTS=least: the tracer as a user with the least capabilities. LIVE_JOBS=n: so many cases at a time (1: as listed).
LIVE_PYTHON ?= /usr/bin/python3

# the programs that call by gRPC, made once and kept outside the tree; a case that lacks its program says why
LIVE_NEEDS += live-programs
live-programs:
	$(Q)for l in python go web java node rust; do nice tests/live/apps/grpc/build $$l >/dev/null || echo "  no gRPC programs: $$l"; done
	$(Q)nice $(LIVE_PYTHON) tests/live/cases_52_tls_go.py || true
	$(Q)nice $(LIVE_PYTHON) tests/live/cases_54_tls_runtimes.py || true

LIVE_TESTS += 'env SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py'

live: $(BUILD)/spandrel live-programs
	$(Q)$(if $(BACKEND),BACKEND=$(BACKEND)) $(if $(RIGHTS),RIGHTS=$(RIGHTS)) SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py $(if $(LIST),--list) $(if $(KEEP),--keep) $(T)

# the back end away for two minutes under 2,000 requests a second
drill: $(BUILD)/spandrel
	$(Q)OUTAGE_SECONDS=120 SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py outage_drill

.PHONY: live live-programs drill

# ten minutes of a cluster in which nothing happens to this node's pods: what the API server is asked for
drill-kube: $(BUILD)/spandrel kube
	$(Q)QUIET_SECONDS=600 SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py kube_quiet

.PHONY: drill-kube
