# SPDX-License-Identifier: Apache-2.0
# make drill-sample: what is kept of traces of which everything is known (no root). DRILL_N (100,000) traces; `make check`
# takes fewer.
DRILL_N ?= 100000
DRILL := tests/sample/drill.py $(BUILD)/tests/sample/drill $(BUILD)/spandrel

CHECK_NEEDS += $(BUILD)/tests/sample/drill
CHECK_TESTS += '$(DRILL) 10000'
LIVE_NEEDS += $(BUILD)/tests/sample/drill
LIVE_TESTS += '$(DRILL) $(DRILL_N)'

drill-sample: $(BUILD)/spandrel $(BUILD)/tests/sample/drill
	$(Q)$(DRILL) $(DRILL_N)

.PHONY: drill-sample
