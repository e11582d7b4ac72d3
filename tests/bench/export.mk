# SPDX-License-Identifier: Apache-2.0
# What a span costs in each encoder.
bench-export: $(BUILD)/tests/bench/export_bench
	$(Q)$<

.PHONY: bench-export
