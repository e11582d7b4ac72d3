# SPDX-License-Identifier: Apache-2.0
# `make corpus CORPORA=DIR`: the llhttp corpus, if it is there.
CORPORA ?= ../shared/corpora
LLHTTP = tests/llhttp/check.py $(CORPORA)/llhttp-test.tar.xz $(BUILD)/tests/llhttp/llhttp_block tests/llhttp/differences

CHECK_NEEDS += $(BUILD)/tests/llhttp/llhttp_block
CHECK_TESTS += '$(LLHTTP)'

corpus: $(BUILD)/tests/llhttp/llhttp_block
	$(Q)$(LLHTTP)

.PHONY: corpus
