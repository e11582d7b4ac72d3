# SPDX-License-Identifier: Apache-2.0
# Tests: unit programs link against the archive. `make unit` builds and runs them all; `make unit T=stream` one.
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libspandrel.a
	$(call msg,TEST,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -Itests -MMD -MP -o $@ $< $(BUILD)/libspandrel.a $(LDLIBS)

unit: $(if $(T),$(BUILD)/tests/unit/test_$(T),$(UNIT_BIN))
	$(Q)set -e; for t in $^; do echo "# $$t"; $$t; done

.PHONY: unit
-include $(UNIT_BIN:=.d)

# Each folder of tests may bring its own targets.
-include $(wildcard tests/*/*.mk)
