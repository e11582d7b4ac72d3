# SPDX-License-Identifier: Apache-2.0
# make live: the whole product against real programs (root). T=name runs the cases whose name begins so, e.g. T=http
# or T=link_chain. LIST=1 lists them. KEEP=1 keeps the working directories.
LIVE_PYTHON ?= /usr/bin/python3

LIVE_TESTS += 'env SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py'

live: $(BUILD)/spandrel
	$(Q)SPANDREL_BIN=$(abspath $(BUILD)/spandrel) $(LIVE_PYTHON) tests/live/run.py $(if $(LIST),--list) $(if $(KEEP),--keep) $(T)

.PHONY: live
