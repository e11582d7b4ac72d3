# SPDX-License-Identifier: Apache-2.0
# make live-capture: every call that moves bytes, against what the probe reports of it (root). T=name picks cases.
CAPTURE_URING := $(shell $(PKG_CONFIG) --exists liburing && echo yes)
CAPTURE_SRC := $(filter-out $(if $(CAPTURE_URING),,%/cases_uring.c),$(wildcard tests/capture/*.c))

$(BUILD)/tests/capture/capture: $(CAPTURE_SRC) $(wildcard tests/capture/*.h) $(BUILD)/libspandrel.a
	$(call msg,TEST,tests/capture)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -Itests -o $@ $(CAPTURE_SRC) $(BUILD)/libspandrel.a \
		$(LDLIBS) $(if $(CAPTURE_URING),-luring,-DNO_LIBURING) -lpthread

LIVE_NEEDS += $(BUILD)/tests/capture/capture
LIVE_TESTS += '$(BUILD)/tests/capture/capture'

live-capture: $(BUILD)/tests/capture/capture
	$(Q)$< $(if $(T),"$(T)")

.PHONY: live-capture
