# SPDX-License-Identifier: Apache-2.0
# make test-vm: stock kernels in QEMU, each way into them. KERNELS="5.10 6.1 6.12 newest", WAYS="fentry socktp kprobe"; KEEP=1 keeps
# what the guests wrote. make readme-vm writes the table into README.md.
VM := tests/vm/matrix.py

LIVE_NEEDS += $(BUILD)/tests/capture/capture
LIVE_TESTS += '/usr/bin/python3 $(VM)'

test-vm: $(BUILD)/spandrel $(BUILD)/tests/capture/capture $(BUILD)/tests/budget/cost
	$(Q)/usr/bin/python3 $(VM)

readme-vm: $(BUILD)/spandrel $(BUILD)/tests/capture/capture $(BUILD)/tests/budget/cost
	$(Q)/usr/bin/python3 $(VM) --readme README.md

.PHONY: test-vm readme-vm
