# SPDX-License-Identifier: Apache-2.0
# make budget: verified instructions and map memory of the tracer as it runs, against tests/budget/limits (root).
COST_BIN := $(BUILD)/tests/budget/cost
BUDGET = env SPANDREL_BIN=$(abspath $(BUILD)/spandrel) COST_BIN=$(abspath $(COST_BIN)) /usr/bin/python3 tests/budget/budget.py

$(COST_BIN): tests/budget/cost.c
	$(call msg,TEST,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $< $(LDLIBS)

LIVE_NEEDS += $(COST_BIN)
LIVE_TESTS += '$(BUDGET)'

budget: $(BUILD)/spandrel $(COST_BIN)
	$(Q)$(BUDGET) $(BACKEND)

.PHONY: budget
