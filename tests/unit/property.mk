# SPDX-License-Identifier: Apache-2.0
# `make property`: what must hold for every protocol on every sample conversation.
$(BUILD)/tests/unit/test_proto_properties: LDLIBS += \
	$(foreach f,malloc calloc arena_alloc arena_zalloc arena_copy,-Wl$(comma)--wrap=$(f))

property: $(BUILD)/tests/unit/test_proto_properties
	$(Q)$<

.PHONY: property
