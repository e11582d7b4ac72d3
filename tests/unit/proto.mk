# SPDX-License-Identifier: Apache-2.0
# protobuf-c, made from the messages as opentelemetry-proto has them, reads what our own encoder wrote.
# Newer protoc-c says that it is deprecated; both take the same options.
PROTOC_C ?= $(shell command -v protoc || echo protoc-c)

$(BUILD)/gen/otlp.pb-c.h $(BUILD)/gen/otlp.pb-c.c &: tests/unit/otlp.proto
	$(call msg,PROTOC,$<)mkdir -p $(@D) && $(PROTOC_C) --c_out=$(BUILD)/gen -Itests/unit $<

$(O)/gen/otlp.pb-c.o: $(BUILD)/gen/otlp.pb-c.c
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) -std=gnu11 $(CFLAGS) $(SANFLAGS) -I$(BUILD)/gen -c -o $@ $<

$(BUILD)/tests/unit/test_otlp: $(O)/gen/otlp.pb-c.o
$(BUILD)/tests/unit/test_otlp: LDLIBS += $(O)/gen/otlp.pb-c.o $(shell $(PKG_CONFIG) --libs libprotobuf-c)
