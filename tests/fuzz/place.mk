# SPDX-License-Identifier: Apache-2.0
# The fuzz target of the places for probes in functions. Seeds in tests/fuzz/seeds/place: functions as libraries have them.
$(BUILD)/fuzz/place/place: tests/fuzz/fuzz_place.c tests/fuzz/fuzz_main.c $(BUILD)/libspandrel.a
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -o $@ $(filter %.c,$^) $(BUILD)/libspandrel.a $(LDLIBS)

CHECK_NEEDS += $(BUILD)/fuzz/place/place
CHECK_TESTS += '$(BUILD)/fuzz/place/place tests/fuzz/seeds/place'

fuzz-place:
	$(Q)$(MAKE) --no-print-directory SAN=1 build/san/fuzz/place/place
	$(Q)echo "# fuzz place for $(FUZZ_SECONDS) s"; build/san/fuzz/place/place -max_total_time=$(FUZZ_SECONDS) tests/fuzz/seeds/place

fuzz: fuzz-place

.PHONY: fuzz-place
