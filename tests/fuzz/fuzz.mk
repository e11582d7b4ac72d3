# SPDX-License-Identifier: Apache-2.0
# `make fuzz`: every target for FUZZ_SECONDS under ASan and UBSan, from the samples of tests/corpus. With clang's libFuzzer
# where that links, else with tests/fuzz/fuzz_main.c. What libFuzzer finds is left in build/fuzz/found. A protocol's row
# is a target of its own, by the name of its samples' folder.
FUZZ_SECONDS ?= 30
FUZZ_PROTOS := $(sort $(notdir $(patsubst %/,%,$(wildcard tests/corpus/*/))))
FUZZ_ENGINE = $(shell printf 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p && n ? 0 : 0; }' | \
	$(CLANG) -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null && echo libfuzzer)
FUZZ_SRC := $(wildcard user/base/*.c user/proto/*.c)
FUZZ_FLAGS := -std=gnu11 $(WARN) -O1 -g -Iinclude -Iuser -Itests -D_GNU_SOURCE -fno-omit-frame-pointer -fno-sanitize-recover=all

# Without sanitizers and by any compiler, over the samples and what was found once: a regression test.
$(BUILD)/fuzz/plain/%: tests/fuzz/fuzz_proto.c tests/fuzz/fuzz_main.c tests/conversation.h $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -Itests -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

FUZZ_INPUTS = tests/corpus/$(1) $(wildcard tests/fuzz/found/$(1))
CHECK_NEEDS += $(FUZZ_PROTOS:%=$(BUILD)/fuzz/plain/%)
CHECK_TESTS += $(foreach p,$(FUZZ_PROTOS),'$(BUILD)/fuzz/plain/$(p) $(call FUZZ_INPUTS,$(p))')

build/fuzz/%: tests/fuzz/fuzz_proto.c tests/fuzz/fuzz_main.c tests/conversation.h $(FUZZ_SRC) $(wildcard user/base/*.h user/proto/*.h)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(if $(FUZZ_ENGINE), \
		$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer$(comma)address$(comma)undefined -o $@ $< $(FUZZ_SRC) -lz, \
		$(CC) $(FUZZ_FLAGS) -fsanitize=address$(comma)undefined -o $@ $< tests/fuzz/fuzz_main.c $(FUZZ_SRC) -lz)

fuzz: $(FUZZ_PROTOS:%=build/fuzz/%)
	$(Q)set -e; mkdir -p build/fuzz/found; for p in $(FUZZ_PROTOS); do \
		work=build/fuzz/work-$$p; mkdir -p $$work; echo "# fuzz $$p for $(FUZZ_SECONDS) s"; \
		build/fuzz/$$p $(if $(FUZZ_ENGINE),$$work -artifact_prefix=build/fuzz/found/ -timeout=10 -rss_limit_mb=1024 -print_final_stats=1) \
			-max_total_time=$(FUZZ_SECONDS) tests/corpus/$$p $$(ls -d tests/fuzz/found/$$p 2>/dev/null) \
			>build/fuzz/$$p.log 2>&1 || { tail -40 build/fuzz/$$p.log; exit 1; }; \
		grep -E 'stat::number_of_executed|^ok' build/fuzz/$$p.log || true; done

.PHONY: fuzz
