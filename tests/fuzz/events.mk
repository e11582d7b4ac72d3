# SPDX-License-Identifier: Apache-2.0
# The fuzz target of conn/ and of event_valid(): what fuzz.mk does for protocols. Seeds in tests/fuzz/seeds/events.
FUZZ_EVENTS_SRC := $(wildcard user/base/*.c user/conn/*.c user/proto/*.c) user/probe/event.c
FUZZ_EVENTS_IN = tests/fuzz/seeds/events $(wildcard tests/fuzz/found/events)

$(BUILD)/fuzz/conn/events: tests/fuzz/fuzz_events.c tests/fuzz/fuzz_main.c $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

CHECK_NEEDS += $(BUILD)/fuzz/conn/events
CHECK_TESTS += '$(BUILD)/fuzz/conn/events $(FUZZ_EVENTS_IN)'

build/fuzz/events-san: tests/fuzz/fuzz_events.c tests/fuzz/fuzz_main.c $(FUZZ_EVENTS_SRC) $(wildcard user/*/*.h)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(if $(FUZZ_ENGINE), \
		$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer$(comma)address$(comma)undefined -o $@ $< $(FUZZ_EVENTS_SRC), \
		$(CC) $(FUZZ_FLAGS) -fsanitize=address$(comma)undefined -o $@ $< tests/fuzz/fuzz_main.c $(FUZZ_EVENTS_SRC))

fuzz-events: build/fuzz/events-san
	$(Q)mkdir -p build/fuzz/found build/fuzz/work-events; echo "# fuzz events for $(FUZZ_SECONDS) s"; \
	build/fuzz/events-san $(if $(FUZZ_ENGINE),build/fuzz/work-events -artifact_prefix=build/fuzz/found/ -timeout=10 -rss_limit_mb=1024 -print_final_stats=1) \
		-max_total_time=$(FUZZ_SECONDS) $(FUZZ_EVENTS_IN) >build/fuzz/events.log 2>&1 || { tail -40 build/fuzz/events.log; exit 1; }; \
	grep -E 'stat::number_of_executed|^ok' build/fuzz/events.log || true

fuzz: fuzz-events

.PHONY: fuzz-events
