# SPDX-License-Identifier: Apache-2.0
# Fuzz targets of trace/, host/, HPACK and the spool: what fuzz.mk does for protocols. Seeds in tests/fuzz/seeds/NAME.
FUZZ_TRACE := context cause host rule hpack spool
FUZZ_TRACE_SRC := $(wildcard user/base/*.c user/trace/*.c user/proto/*.c user/host/*.c user/export/spool*.c) \
	user/export/otlp_decode.c user/conn/exchange.c

$(BUILD)/fuzz/trace/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz_main.c $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

FUZZ_TRACE_INPUTS = tests/fuzz/seeds/$(1) $(wildcard tests/fuzz/found/$(1))
CHECK_NEEDS += $(FUZZ_TRACE:%=$(BUILD)/fuzz/trace/%)
CHECK_TESTS += $(foreach t,$(FUZZ_TRACE),'$(BUILD)/fuzz/trace/$(t) $(call FUZZ_TRACE_INPUTS,$(t))')

build/fuzz/san/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz_main.c $(FUZZ_TRACE_SRC) $(wildcard user/base/*.h user/trace/*.h)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(if $(FUZZ_ENGINE), \
		$(CLANG) $(FUZZ_FLAGS) -DVERSION='"$(VERSION)"' -fsanitize=fuzzer$(comma)address$(comma)undefined -o $@ $< $(FUZZ_TRACE_SRC) $(LDLIBS), \
		$(CC) $(FUZZ_FLAGS) -DVERSION='"$(VERSION)"' -fsanitize=address$(comma)undefined -o $@ $< tests/fuzz/fuzz_main.c $(FUZZ_TRACE_SRC) $(LDLIBS))

fuzz-trace: $(FUZZ_TRACE:%=build/fuzz/san/%)
	$(Q)set -e; mkdir -p build/fuzz/found; for t in $(FUZZ_TRACE); do \
		work=build/fuzz/work-$$t; mkdir -p $$work; echo "# fuzz $$t for $(FUZZ_SECONDS) s"; \
		build/fuzz/san/$$t $(if $(FUZZ_ENGINE),$$work -artifact_prefix=build/fuzz/found/ -timeout=10 -rss_limit_mb=1024 -print_final_stats=1) \
			-max_total_time=$(FUZZ_SECONDS) tests/fuzz/seeds/$$t $$(ls -d tests/fuzz/found/$$t 2>/dev/null) \
			>build/fuzz/$$t.log 2>&1 || { tail -40 build/fuzz/$$t.log; exit 1; }; \
		grep -E 'stat::number_of_executed|^ok' build/fuzz/$$t.log || true; done

fuzz: fuzz-trace

.PHONY: fuzz-trace
