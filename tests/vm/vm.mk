# SPDX-License-Identifier: Apache-2.0
# make test-vm: stock kernels in QEMU, each way into them. KERNELS="5.10 6.1 6.12 newest rt arm64", WAYS="fentry socktp kprobe"; KEEP=1 keeps
# what the guests wrote. make readme-vm writes the table into README.md.
VM := tests/vm/matrix.py

LIVE_NEEDS += $(BUILD)/tests/capture/capture
# GUESTS=n: so many at a time.
# make test: what can be told in minutes; the calls one by one, and PREEMPT_RT, are for test-vm
LIVE_TESTS += 'env CAPTURE=0 "KERNELS=$(or $(KERNELS),5.10 6.1 6.12 newest arm64)" /usr/bin/python3 $(VM)'

test-vm: $(BUILD)/spandrel $(BUILD)/tests/capture/capture $(BUILD)/tests/budget/cost
	$(Q)/usr/bin/python3 $(VM)

readme-vm: $(BUILD)/spandrel $(BUILD)/tests/capture/capture $(BUILD)/tests/budget/cost
	$(Q)/usr/bin/python3 $(VM) --readme README.md



# The same for arm64, cross-built by clang with a sysroot of packages, which is the guest's root too.
ARM64_ROOT = $(shell /usr/bin/python3 tests/vm/arm64.py root)
LLVM_AR := $(firstword $(shell command -v llvm-ar $(wildcard /usr/bin/llvm-ar-* /usr/lib/llvm-*/bin/llvm-ar)))

arm64:
	$(Q)root=$(ARM64_ROOT) && [ -n "$$root" ] && lib=$$root/usr/lib/aarch64-linux-gnu && \
	$(MAKE) --no-print-directory ARCH=arm64 BUILD=build/arm64 AR="$(LLVM_AR)" \
		CC="$(CLANG) --target=aarch64-linux-gnu --sysroot=$$root -fuse-ld=lld -Wno-unused-command-line-argument" \
		PKG_CONFIG="env PKG_CONFIG_LIBDIR=$$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$$root pkg-config" \
		build/arm64/spandrel build/arm64/tests/capture/capture build/arm64/tests/budget/cost

.PHONY: test-vm readme-vm arm64
