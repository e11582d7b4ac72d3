# SPDX-License-Identifier: Apache-2.0
# make help lists the targets. V=1 shows commands, SAN=1 builds with ASan and UBSan (into build/san).

CC ?= cc
CLANG ?= clang
BPFTOOL ?= $(shell tests/tools/find-bpftool 2>/dev/null || echo bpftool)
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
VERSION := 0.1.0

comma := ,
BUILD := build$(if $(SAN),/san)
O := $(BUILD)/obj

ifeq ($(V),1)
Q :=
msg :=
else
Q := @
msg = @printf '  %-8s %s\n' $(1) $(2);
endif

LIBS := libbpf libelf libcurl zlib yajl yaml-0.1 libmicrohttpd
# Capstone is loaded when it is needed (user/probe/disasm.h)
HEADERS := capstone
WARN := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla
CFLAGS ?= -O2 -g
CFLAGS_ALL = -std=gnu11 $(WARN) $(CFLAGS) $(SANFLAGS) -Iinclude -Iuser -I$(BUILD)/gen -D_GNU_SOURCE \
	-DVERSION='"$(VERSION)"' -fno-strict-aliasing $(shell $(PKG_CONFIG) --cflags $(LIBS) $(HEADERS))
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
LDLIBS = $(shell $(PKG_CONFIG) --libs $(LIBS)) -lm

USER_SRC := $(sort $(wildcard user/*.c user/*/*.c))
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o)
LIB_OBJ := $(filter-out $(O)/user/main.o,$(USER_OBJ))
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.c=$(O)/%.o)
SKEL := $(BUILD)/gen/spandrel.skel.h

all: $(BUILD)/spandrel

-include tests/tests.mk

$(BUILD)/spandrel: $(O)/user/main.o $(BUILD)/libspandrel.a
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libspandrel.a: $(LIB_OBJ)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(O)/%.o: %.c
	$(call msg,CC,$<)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# generated before anything that may include it
$(filter $(O)/user/probe/%,$(USER_OBJ)): | $(if $(BPF_SRC),$(SKEL))

$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/*.h vmlinux/*.h)
	$(call msg,CLANG,$<)mkdir -p $(@D) && $(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -D__bpf__ \
		-D__TARGET_ARCH_$(ARCH) -Iinclude -Ibpf -Ivmlinux -c -o $@ $<

$(BUILD)/gen/spandrel.bpf.o: $(BPF_OBJ)
	$(call msg,LINKBPF,$@)mkdir -p $(@D) && $(BPFTOOL) gen object $@ $^

$(SKEL): $(BUILD)/gen/spandrel.bpf.o
	$(call msg,SKEL,$@)$(BPFTOOL) gen skeleton $< name spandrel_bpf > $@

# the demo starts real programs and traces just those (root)
demo: $(BUILD)/spandrel
	$(Q)deploy/demo/demo.py $(BUILD)/spandrel

install: $(BUILD)/spandrel
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/bin/spandrel
	install -D -m 644 deploy/spandrel.8 $(DESTDIR)$(PREFIX)/share/man/man8/spandrel.8
	install -D -m 644 deploy/spandrel.conf $(DESTDIR)$(PREFIX)/share/doc/spandrel/spandrel.conf
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' deploy/spandrel.service > $(DESTDIR)$(UNITDIR)/spandrel.service
	chmod 644 $(DESTDIR)$(UNITDIR)/spandrel.service

clean:
	rm -rf build

help:
	@echo 'make          build/spandrel'
	@echo 'make deps     install what build, run and tests need (apt; root or sudo)'
	@echo 'make demo     trace a small chain of services and show the traces (root)'
	@echo 'make test     everything this machine can run (root)'
	@echo 'make check    no root, no BPF, seconds: unit, property, corpus, replay, layers, README (CORPORA=DIR)'
	@echo 'make unit     the unit tests alone (T=name: one of them)'
	@echo 'make live     the live tests alone (root; T=name: those whose name begins so)'
	@echo 'make test-vm  stock kernels in QEMU, each way into them (root; KERNELS=…, WAYS=…)'
	@echo 'make budget   what the programs and maps cost the kernel, against the committed table (root)'
	@echo 'make drill    the back end away for two minutes under load: nothing may be lost (root)'
	@echo 'make drill-sample what sampling keeps of 100,000 traces of which everything is known'
	@echo 'make drill-kube ten minutes of a quiet cluster: what the agent asks of the API server (root)'
	@echo 'make fuzz     fuzz the parsers for a while'
	@echo 'make backends build the real back ends that live tests send to, once, into ~/.cache/spandrel'
	@echo 'make kube     build a real API server, etcd and tools for deploy/, once, into ~/.cache/spandrel'
	@echo 'make bench    what tracing costs (root)'
	@echo 'make readme   the tables of README.md and the man page anew from the program; make readme-vm: that of kernels (root)'
	@echo 'make install  the program, its man page, unit file and an example of a configuration: PREFIX (/usr/local), UNITDIR, DESTDIR'
	@echo 'make clean'
	@echo 'V=1 shows commands, SAN=1 builds with ASan and UBSan into build/san, CC=clang BUILD=build/clang works too'

.PHONY: all demo install clean help
.DELETE_ON_ERROR:
.SECONDARY:

-include $(USER_OBJ:.o=.d)
