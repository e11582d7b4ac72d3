# SPDX-License-Identifier: Apache-2.0
# make replay: every recording here gives the spans beside it, whole or damaged (no root). make replay-spans makes the spans
# anew after a wanted change; make replay-record makes the recordings anew (root; T=grpc: one of them), after a change of the format.
REPLAY := tests/replay/run.py $(BUILD)/spandrel
CHECK_TESTS += '$(REPLAY)'

replay: $(BUILD)/spandrel
	$(Q)$(REPLAY)

replay-spans: $(BUILD)/spandrel
	$(Q)$(REPLAY) --write

replay-record: $(BUILD)/spandrel
	$(Q)unshare --mount --uts tests/replay/record.py $(abspath $(BUILD)/spandrel) $(T)
	$(Q)$(REPLAY) --write

.PHONY: replay replay-spans replay-record
