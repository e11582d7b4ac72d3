# SPDX-License-Identifier: Apache-2.0
# make bench: what tracing costs, as ratios of interleaved rounds (root). Prints a Markdown table; never fails on timing.
# ROUNDS (default 5) and SECONDS (default 4) of each side of a round.
BENCH_CALLS := $(BUILD)/bench/calls $(BUILD)/bench/calls.bpf.o $(BUILD)/bench/tls_probe
bench: $(BUILD)/spandrel $(BUILD)/bench/sink $(BUILD)/tests/budget/cost $(BENCH_CALLS) $(BUILD)/tests/sample/drill
	$(Q)SPANDREL_BIN=$(abspath $(BUILD)/spandrel) SINK_BIN=$(abspath $(BUILD)/bench/sink) \
		COST_BIN=$(abspath $(BUILD)/tests/budget/cost) CALLS_BIN=$(abspath $(BUILD)/bench/calls) \
		TLS_PROBE_BIN=$(abspath $(BUILD)/bench/tls_probe) DRILL_BIN=$(abspath $(BUILD)/tests/sample/drill) /usr/bin/python3 tests/bench/bench.py \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(T)

$(BUILD)/bench/sink: tests/bench/sink.c
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -o $@ $<

$(BUILD)/bench/calls: tests/bench/calls.c
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $< $(LDLIBS)

$(BUILD)/bench/calls.bpf.o: tests/bench/calls.bpf.c
	$(call msg,CLANG,$<)mkdir -p $(@D) && $(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Werror -D__bpf__ -D__TARGET_ARCH_$(ARCH) \
		-Ivmlinux -c -o $@ $<

$(BUILD)/bench/tls_probe: tests/bench/tls_probe.c tests/lib_kit.h $(BUILD)/libspandrel.a
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -Itests -o $@ $< $(BUILD)/libspandrel.a $(LDLIBS)

.PHONY: bench
