# SPDX-License-Identifier: Apache-2.0
# `make corpus CORPORA=DIR`: the HPACK corpus, if it is there.
CORPORA ?= ../shared/corpora
HPACK_CORPUS = tests/hpack/check.py $(CORPORA)/hpack-test-case.tar.xz $(BUILD)/tests/hpack/hpack_story

CHECK_NEEDS += $(BUILD)/tests/hpack/hpack_story
CHECK_TESTS += '$(HPACK_CORPUS)'

corpus: corpus-hpack
corpus-hpack: $(BUILD)/tests/hpack/hpack_story
	$(Q)$(HPACK_CORPUS)

.PHONY: corpus corpus-hpack
