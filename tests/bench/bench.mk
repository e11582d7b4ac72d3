# SPDX-License-Identifier: Apache-2.0
# make bench: what tracing costs, as ratios of interleaved rounds (root). Prints a Markdown table; never fails on timing.
# ROUNDS (default 5) and SECONDS (default 4) of each side of a round.
bench: $(BUILD)/spandrel $(BUILD)/bench/sink $(BUILD)/tests/budget/cost
	$(Q)SPANDREL_BIN=$(abspath $(BUILD)/spandrel) SINK_BIN=$(abspath $(BUILD)/bench/sink) \
		COST_BIN=$(abspath $(BUILD)/tests/budget/cost) /usr/bin/python3 tests/bench/bench.py \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(T)

$(BUILD)/bench/sink: tests/bench/sink.c
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -o $@ $<

.PHONY: bench
