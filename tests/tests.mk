# SPDX-License-Identifier: Apache-2.0
# Tests: unit programs link against the archive. `make unit` builds and runs them all; `make unit T=stream` one.
# A folder's own .mk file adds to CHECK_TESTS (no root, no BPF, seconds) or LIVE_TESTS command lines that print TAP, each
# in single quotes, and what they need to CHECK_NEEDS or LIVE_NEEDS.
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
RUN_TESTS := tests/tools/run-tests $(if $(filter 1,$(V)),-v)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libspandrel.a
	$(call msg,TEST,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -Itests -MMD -MP -o $@ $< $(BUILD)/libspandrel.a $(LDLIBS)

unit: $(if $(T),$(BUILD)/tests/unit/test_$(T),$(UNIT_BIN))
	$(Q)set -e; for t in $^; do echo "# $$t"; $$t; done

CHECK_TESTS := tests/tools/check-layers 'tests/tools/check-help $(BUILD)/spandrel' \
	'tests/tools/check-install $(BUILD)/spandrel $(VERSION)' $(UNIT_BIN)
CHECK_NEEDS := $(BUILD)/spandrel $(UNIT_BIN)
LIVE_TESTS :=
LIVE_NEEDS := $(BUILD)/spandrel

# Each folder of tests may bring its own targets.
-include $(wildcard tests/*/*.mk)

check: $(CHECK_NEEDS)
	$(Q)$(RUN_TESTS) $(CHECK_TESTS)

test: $(CHECK_NEEDS) $(LIVE_NEEDS)
	$(Q)$(RUN_TESTS) $(CHECK_TESTS) $(LIVE_TESTS)

# the tables of README.md and of the man page that are made from the program
readme: $(BUILD)/spandrel
	$(Q)tests/tools/check-help --write $<

deps:
	$(Q)tests/tools/deps.sh

# `make -j deps test`: nothing is built before it can be
ifneq ($(filter deps,$(MAKECMDGOALS)),)
$(USER_OBJ) $(BPF_OBJ) $(BUILD)/gen/otlp.pb-c.h: | deps
endif

.PHONY: unit check test readme deps
-include $(UNIT_BIN:=.d)
