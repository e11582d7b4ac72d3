# SPDX-License-Identifier: Apache-2.0
# Fuzz targets of what comes back from back ends and the API server and of what goes to them: plain over the seeds in `make check`, with sanitizers
# and by chance in `make fuzz`. Seeds in tests/fuzz/seeds/NAME.
FUZZ_EXPORT := answer redact kube kubeconfig

$(BUILD)/fuzz/export/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz_main.c $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

CHECK_NEEDS += $(FUZZ_EXPORT:%=$(BUILD)/fuzz/export/%)
CHECK_TESTS += $(foreach t,$(FUZZ_EXPORT),'$(BUILD)/fuzz/export/$(t) tests/fuzz/seeds/$(t)')

fuzz-export:
	$(Q)$(MAKE) --no-print-directory SAN=1 $(FUZZ_EXPORT:%=build/san/fuzz/export/%)
	$(Q)set -e; for t in $(FUZZ_EXPORT); do echo "# fuzz $$t for $(FUZZ_SECONDS) s"; \
		build/san/fuzz/export/$$t -max_total_time=$(FUZZ_SECONDS) tests/fuzz/seeds/$$t; done

fuzz: fuzz-export

.PHONY: fuzz-export
