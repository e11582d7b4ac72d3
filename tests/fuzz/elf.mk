# SPDX-License-Identifier: Apache-2.0
# The fuzz target of what is read of files that processes map: what fuzz.mk does for protocols. Seeds in tests/fuzz/seeds/elf.
FUZZ_ELF_SRC := $(wildcard user/base/*.c) $(addprefix user/probe/,elf.c tls_look.c tls_rows.c tls_sites.c go_bin.c go_table.c go_sites.c disasm.c) $(wildcard user/probe/place_*.c)
FUZZ_ELF_IN = tests/fuzz/seeds/elf $(wildcard tests/fuzz/found/elf)
FUZZ_ELF_LIBS = $(shell $(PKG_CONFIG) --cflags capstone)

$(BUILD)/fuzz/probe/elf: tests/fuzz/fuzz_elf.c tests/fuzz/fuzz_main.c $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

CHECK_NEEDS += $(BUILD)/fuzz/probe/elf
CHECK_TESTS += '$(BUILD)/fuzz/probe/elf $(FUZZ_ELF_IN)'

build/fuzz/elf-san: tests/fuzz/fuzz_elf.c tests/fuzz/fuzz_main.c $(FUZZ_ELF_SRC) $(wildcard user/*/*.h)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(if $(FUZZ_ENGINE), \
		$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer$(comma)address$(comma)undefined -o $@ $< $(FUZZ_ELF_SRC) $(FUZZ_ELF_LIBS), \
		$(CC) $(FUZZ_FLAGS) -fsanitize=address$(comma)undefined -o $@ $< tests/fuzz/fuzz_main.c $(FUZZ_ELF_SRC) $(FUZZ_ELF_LIBS))

fuzz-elf: build/fuzz/elf-san
	$(Q)mkdir -p build/fuzz/found build/fuzz/work-elf; echo "# fuzz elf for $(FUZZ_SECONDS) s"; \
	build/fuzz/elf-san $(if $(FUZZ_ENGINE),build/fuzz/work-elf -artifact_prefix=build/fuzz/found/ -timeout=10 -rss_limit_mb=1024 -print_final_stats=1) \
		-max_total_time=$(FUZZ_SECONDS) $(FUZZ_ELF_IN) >build/fuzz/elf.log 2>&1 || { tail -40 build/fuzz/elf.log; exit 1; }; \
	grep -E 'stat::number_of_executed|^ok' build/fuzz/elf.log || true

fuzz: fuzz-elf

.PHONY: fuzz-elf
