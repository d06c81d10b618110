# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make              build/synmoatd, build/synmoatctl; with XDP=0 without the XDP tier, and what it takes
#   sudo make demo    installs what is missing, builds, shows a flood without and with synmoatd
#   sudo make check   installs what is missing, builds, runs all tests
#   make check-unit   the tests that need no root
#   sudo make check-long   what takes too long for check: tests/long, a soak of SOAK_S seconds (1800) first of all; fuzz
#   sudo make bench   the speed ratios of README.md, measured again
#   sudo make check-vm   boots a Debian in qemu and tests the package in it; part of check
#   make coverage     how much of the core the unit tests run through; part of check
#   sudo make coverage-all   the same of the whole program, with all tests; part of check-long
#   sudo make fuzz    the fuzz targets, FUZZ_S seconds each (1200); part of check, shorter: tests/fuzz/README.md
#   make fuzz-coverage   which lines of the source their corpus and finds have run
#   make lint         clang-tidy, cppcheck, shellcheck, mandoc
#   make deb          build/deb/synmoat_VERSION_ARCH.deb
#   sudo make check-package   its tests, in a chroot; part of check
#   make dist         build/synmoat-VERSION.tar.gz
#   sudo make install, uninstall   honour PREFIX and DESTDIR

BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=

CC      ?= cc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
# What tests/e2e/hardened.sh finds in the programs. Checked string functions take an optimizer, and no sanitizer beside them.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
HARDENING ?= -fPIE -fstack-protector-strong -fstack-clash-protection $(HARDENING_$(MACHINE)) \
	$(if $(findstring -fsanitize,$(CFLAGS)),,$(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3))
HARDENING_x86_64  := -fcf-protection=full
HARDENING_aarch64 := -mbranch-protection=standard
# Said by hand: the C library's start files, which a shadow stack does not mind, do not say so in Debian 12.
LINKED_x86_64 := ,-z,shstk
# The same programs wherever the tree is.
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Idaemon $(WARN) $(CPPFLAGS) $(HARDENING) -ffile-prefix-map=$(CURDIR)=. -pthread $(CFLAGS)
ALL_LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now,-z,noexecstack$(LINKED_$(MACHINE)) $(LDFLAGS)
LIBS    := -lnetfilter_queue -lnftnl -lmnl -lconfig -ljansson -lsystemd -lmicrohttpd -lm

# XDP=0: without the program in the kernel's receive path, and what it takes to build it.
XDP     ?= 1
ifneq ($(XDP),0)
LIBS    += -lbpf
XDP_OTHERWISE := daemon/edge/xdp_without.c
else
XDP_OTHERWISE := daemon/edge/xdp.c daemon/edge/xdp_lists.c
endif

# What Debian calls what we need: to build, and to test.
BUILD_PACKAGES := gcc libc6-dev make pkg-config libmnl-dev libnetfilter-queue-dev libnftnl-dev libconfig-dev libjansson-dev libsystemd-dev check libmicrohttpd-dev libbpf-dev clang llvm bpftool
TEST_PACKAGES  := nginx-light curl wrk iperf3 nftables iproute2 conntrack tcpdump python3 jq valgrind libc6-dbg procps ethtool util-linux nmap mandoc conntrackd keepalived systemd strace tmux socat prometheus openssh-server openssh-client gcovr
# What tests/demo.sh and tests/lib.sh run in it.
DEMO_PACKAGES  := nginx-light curl nftables iproute2 jq procps

CORE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/core/*.c))
EDGE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(filter-out $(XDP_OTHERWISE),$(wildcard daemon/edge/*.c)))
FACE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/face/*.c))
CTL    := $(patsubst ctl/%.c,$(BUILD)/ctl/%.o,$(wildcard ctl/*.c))
TOP    := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/*.c))
UNITS  := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
XDP_TOOLS := $(addprefix tests/tools/,torrent.c xdpend.c xdp_program.c)
TOOLS  := $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(filter-out %/netlink_faults.c %/clock_shift.c %.bpf.c $(XDP_TOOLS),$(wildcard tests/tools/*.c))) \
	$(BUILD)/tests/netlink_faults.so $(BUILD)/tests/clock_shift.so $(if $(filter-out 0,$(XDP)),$(BUILD)/tests/xdp_program)
FACE_UNITS := $(addprefix $(BUILD)/unit/,test_config test_config_keys test_config_services test_report test_control test_control_peers test_command test_secret_file test_metrics test_event test_config_show)

.PHONY: all tools units asan check check-unit check-net demo bench deps lint install uninstall dist deb check-package clean
.DEFAULT_GOAL := all

all: $(BUILD)/synmoatd $(BUILD)/synmoatctl
tools: $(TOOLS)
units: $(UNITS)

# Made anew when what was built was built otherwise.
$(BUILD)/built-with: FORCE
	@mkdir -p $(@D)
	@echo 'XDP=$(XDP)' | cmp -s - $@ || echo 'XDP=$(XDP)' >$@
.PHONY: FORCE

$(BUILD)/synmoatd: $(TOP) $(CORE) $(EDGE) $(FACE) $(BUILD)/built-with
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(ALL_LDFLAGS) $(LIBS)

$(BUILD)/synmoatctl: $(CTL)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) -ljansson -lm

$(BUILD)/%.o: daemon/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# ---- the program in the kernel, whose object is an array in a header (a skeleton of libbpf's)

CLANG      ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL    ?= bpftool
# Debian has the kernel's headers of its architecture in a directory of their own. All in one function, as far as it goes:
# what is passed by address would be kept in memory.
BPF_CFLAGS = -O2 -g -ffile-prefix-map=$(CURDIR)=. -target bpf -mcpu=v3 -ffreestanding -mllvm -inline-threshold=10000 -Wall -Wextra -Iinclude -Idaemon \
	-idirafter /usr/include/$(shell $(CC) -print-multiarch)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<
	$(LLVM_STRIP) -g $@

# Once more, without the kernel's conntrack.
$(BUILD)/bpf/%_bare.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DXDP_CONNTRACK=0 -MMD -MP -c -o $@ $<
	$(LLVM_STRIP) -g $@

$(BUILD)/bpf/%_xdp.skel.h: $(BUILD)/bpf/%.bpf.o
	{ echo '// NOLINTBEGIN'; $(BPFTOOL) gen skeleton $< name $*_xdp && echo '// NOLINTEND'; } >$@.new
	mv $@.new $@

.PRECIOUS: $(BUILD)/bpf/%.bpf.o

ifneq ($(XDP),0)
XDP_SKELETONS := $(BUILD)/bpf/synmoat_xdp.skel.h $(BUILD)/bpf/synmoat_bare_xdp.skel.h
$(BUILD)/edge/xdp.o: $(XDP_SKELETONS)
$(BUILD)/edge/xdp.o: ALL_CFLAGS += -isystem $(BUILD)/bpf
endif

$(BUILD)/ctl/%.o: ctl/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $<
$(BUILD)/tests/malformed $(BUILD)/tests/synflood $(BUILD)/tests/torrent: tests/tools/frames.h

# To be preloaded: no sanitizer of its own, the program under test may have one.
$(BUILD)/tests/%.so: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -shared -fPIC -o $@ $< -ldl

# ---- tools of the tests that are, or load, BPF programs: clang, bpftool, libbpf-dev
ifneq ($(XDP),0)
tools: $(XDP_TOOLS:tests/tools/%.c=$(BUILD)/tests/%)
endif

# linux/types.h wants asm/types.h, which Debian keeps with the architecture. -g: the skeleton's names are from BTF.
$(BUILD)/tests/%.bpf.o: tests/tools/%.bpf.c tests/tools/%.h
	@mkdir -p $(@D)
	$(CLANG) -O2 -g -target bpf -mcpu=v3 $(WARN) -Wno-missing-prototypes -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<

$(BUILD)/tests/%.skel.h: $(BUILD)/tests/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $* >$@.part
	@mv $@.part $@

$(BUILD)/tests/torrent: tests/tools/torrent.c tests/tools/torrent.h $(BUILD)/tests/torrent.skel.h
	$(CC) $(ALL_CFLAGS) -I$(BUILD)/tests -Itests/tools -o $@ $< -lbpf

$(BUILD)/tests/xdpend: tests/tools/xdpend.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< -lbpf

# The core's tests link the core and Check, nothing else: that is the proof that it is pure.
UNIT_LIBS := -lcheck -lsubunit -lm -lrt
$(FACE_UNITS): $(BUILD)/unit/%: tests/unit/%.c $(FACE) $(CORE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS) -lconfig -ljansson
# What synmoatctl shows on a screen, without the terminal and the socket.
SCREEN := $(addprefix $(BUILD)/ctl/,view.o screen.o pen.o)
$(BUILD)/unit/test_screen: tests/unit/test_screen.c $(SCREEN)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ictl -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS) -ljansson
# Not of the core, but as pure.
$(BUILD)/unit/test_registry: $(BUILD)/registry.o
# Long: all cookies there are.
$(BUILD)/tests/guesses: tests/tools/guesses.c $(BUILD)/core/cookie.o
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^
# It runs the program in the kernel beside the core.
$(BUILD)/tests/xdp_program: tests/tools/xdp_program.c $(BUILD)/edge/xdp.o $(BUILD)/edge/vault.o $(BUILD)/edge/xdp_lists.o $(CORE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS) -lbpf
# It takes the place of the core's calloc().
$(BUILD)/unit/test_no_memory: ALL_LDFLAGS += -Wl,--wrap=calloc
# Of the edge, and linked with nothing else of it.
$(BUILD)/unit/test_journal: $(BUILD)/edge/journal.o
$(BUILD)/unit/test_proc_text: $(BUILD)/edge/proc_text.o
$(BUILD)/unit/test_answer: UNIT_LIBS += -lmnl
$(filter-out $(FACE_UNITS) $(BUILD)/unit/test_screen,$(UNITS)): $(BUILD)/unit/%: tests/unit/%.c $(CORE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS)

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -type f -name '*.d' -print 2>/dev/null)

# The whole daemon once more, with the sanitizers, in a directory of its own.
asan:
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" all units

# ---- fuzz targets: tests/fuzz/README.md

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out $(if $(filter 0,$(XDP)),%/fuzz_xdp.c),$(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS      := $(addprefix $(BUILD)/fuzz_,$(FUZZ_TARGETS))
FUZZ_FLAGS   := -O2 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link
FUZZ_S       ?= 1200
FUZZ_JOBS    ?= $(shell nproc)
# The runtime of clang's sanitizers is a package of its own.
TEST_PACKAGES += libclang-rt-dev

.PHONY: fuzzers fuzzers-here fuzz fuzz-coverage
# All of the daemon that they need once more, in a directory of its own, as asan has it.
fuzzers:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(CLANG) fuzzers-here \
		CFLAGS="$(FUZZ_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all"
fuzzers-here: $(FUZZERS)

# The kernel's answers come from the fuzzer instead of a socket: tests/fuzz/netlink.h.
$(BUILD)/fuzz_netlink: FUZZ_LINK = -Wl,$(subst $() ,$(comma),$(addprefix --wrap=,mnl_socket_open2 mnl_socket_bind \
	mnl_socket_close mnl_socket_get_fd mnl_socket_get_portid mnl_socket_setsockopt mnl_socket_sendto mnl_socket_recvfrom \
	recv recvmmsg nftnl_rule_nlmsg_parse nftnl_set_elems_nlmsg_parse))
comma := ,
# Of an archive they get what they need, and no more is looked at after each input.
$(BUILD)/fuzzed.a: $(FACE) $(EDGE) $(CORE)
	rm -f $@
	$(AR) rcs $@ $^
$(FUZZERS): $(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard tests/fuzz/*.h) $(BUILD)/fuzzed.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $(filter %.c %.a,$^) $(ALL_LDFLAGS) $(FUZZ_LINK) $(LIBS)

fuzz: deps
	@$(MAKE) --no-print-directory fuzzers
	@FUZZ_S=$(FUZZ_S) FUZZ_JOBS=$(FUZZ_JOBS) tests/fuzz/run $(BUILD)/fuzz

# Line by line in $(BUILD)/fuzz/coverage.
fuzz-coverage: deps
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz/coverage CC=$(CLANG) fuzzers-here \
		CFLAGS="$(FUZZ_FLAGS) -fprofile-instr-generate -fcoverage-mapping"
	@tests/fuzz/run --coverage $(BUILD)/fuzz

check-unit: units
	@tests/units $(BUILD)/unit

# Once more, to count what the tests run through. Several shards count at once.
.PHONY: coverage-build coverage coverage-all
coverage-build:
	$(MAKE) BUILD=$(BUILD)/coverage CFLAGS="-O0 -g --coverage -fprofile-update=atomic" all units

coverage: deps
	@$(MAKE) --no-print-directory coverage-build >/dev/null
	@tests/coverage $(BUILD)/coverage

coverage-all: deps
	@$(MAKE) --no-print-directory coverage-build tools >/dev/null
	@tests/coverage --all $(BUILD)/coverage

deps:
	@tests/deps $(BUILD_PACKAGES) $(TEST_PACKAGES) $(VM_PACKAGES)

# deps runs before anything is compiled, so the rest is a make of its own, on all CPUs unless -j says otherwise.
AT_ONCE = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
check: deps
	@$(MAKE) --no-print-directory $(AT_ONCE) all tools units
	@$(MAKE) --no-print-directory $(AT_ONCE) asan
	@$(MAKE) --no-print-directory $(AT_ONCE) coverage-build
	@$(MAKE) --no-print-directory $(AT_ONCE) fuzzers
	@$(MAKE) --no-print-directory $(AT_ONCE) BUILD=$(BUILD)/no-xdp XDP=0 CLANG=false BPFTOOL=false all units
	@tests/vm/image >/dev/null || : # check-vm tells why there is none
	@tests/all $(BUILD)

# Targets that check-long makes, too, each a test that passes or fails: LONG_TARGETS += NAME.
LONG_TARGETS += fuzz
SOAK_S ?= 1800

.PHONY: check-long
check-long: deps
	@$(MAKE) --no-print-directory all tools units
	@SOAK_S=$(SOAK_S) LONG_TARGETS="$(LONG_TARGETS)" LIMIT_S=$${LIMIT_S:-$$(($(SOAK_S) + 14400))} tests/run tests/long/*.sh

# To boot a Debian, where one of amd64 can be built.
VM_PACKAGES = $(if $(filter amd64,$(shell dpkg --print-architecture 2>/dev/null)),mmdebstrap qemu-system-x86 e2fsprogs)

.PHONY: check-vm
check-vm: deps
	@$(MAKE) --no-print-directory tools
	@DEB_BUILD_OPTIONS=nocheck $(MAKE) --no-print-directory deb >$(BUILD)/deb.log 2>&1 || tail -n 20 $(BUILD)/deb.log
	@tests/vm/image >/dev/null || :
	@LIMIT_S=900 tests/run tests/vm/check-vm

demo:
	@tests/deps $(BUILD_PACKAGES) $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory all tools
	@tests/demo.sh

bench: deps
	@$(MAKE) --no-print-directory all tools
	@code=0; tests/bench/run || code=1; tests/bench/flooded || code=1; exit $$code

lint: $(XDP_SKELETONS)
	clang-tidy --quiet daemon/*.c daemon/core/*.c daemon/edge/*.c daemon/face/*.c ctl/*.c -- $(filter-out -Werror,$(ALL_CFLAGS)) -isystem $(BUILD)/bpf
	clang-tidy --quiet bpf/*.c -- $(BPF_CFLAGS)
	cppcheck --quiet --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -Iinclude -Idaemon daemon ctl
	shellcheck conf/keepalived/synmoat-notify conf/prometheus/synmoat-textfile conf/alert/synmoat-alert ctl/synmoatctl.bash debian/postinst debian/postrm
	shellcheck -x tests/*.sh tests/e2e/*.sh tests/long/*.sh tests/run tests/all tests/units tests/coverage tests/deps tests/fuzz/run tests/bench/run tests/bench/flooded tests/bench/*.sh tests/vm/*
	mandoc -Tlint -Wwarning man/*

# ---- installing and packing

PACKAGE_PACKAGES := debhelper dpkg-dev fakeroot git lintian mmdebstrap nftables
TEST_PACKAGES  += $(PACKAGE_PACKAGES)

VERSION  := $(shell sed -n 's/^\#define SYNMOAT_VERSION "\(.*\)"/\1/p' include/synmoat/version.h)
EXAMPLES := $(shell find conf -type f ! -path conf/synmoat.conf ! -name '.*' ! -name '*~' | LC_ALL=C sort)

# FROM:TO:MODE, TO below PREFIX. What does not exist is not installed. Paths of ours in units follow PREFIX.
INSTALLED := $(BUILD)/synmoatd:sbin/synmoatd:0755 $(BUILD)/synmoatctl:bin/synmoatctl:0755 \
	systemd/synmoat.service:lib/systemd/system/synmoat.service:0644 \
	systemd/fast.conf:lib/systemd/system/synmoat.service.d/fast.conf:0644 \
	$(patsubst %,%:lib/sysusers.d/synmoat.conf:0644,$(wildcard systemd/sysusers.conf)) \
	$(foreach file,$(notdir $(wildcard systemd/*.catalog)),systemd/$(file):lib/systemd/catalog/$(file):0644) \
	$(patsubst %,%:share/bash-completion/completions/synmoatctl:0644,$(wildcard ctl/synmoatctl.bash)) \
	$(foreach page,$(notdir $(wildcard man/*.[1-8])),man/$(page):share/man/man$(patsubst .%,%,$(suffix $(page)))/$(page):0644) \
	README.md:share/doc/synmoat/README.md:0644 \
	SECURITY.md:share/doc/synmoat/SECURITY.md:0644 \
	$(foreach file,$(EXAMPLES),$(file):$(file:conf/%=share/doc/synmoat/examples/%):$(if $(shell test -x $(file) && echo x),0755,0644))

# An edited configuration is neither overwritten nor removed.
install: all
	@set -e; for entry in $(INSTALLED); do \
		from=$${entry%%:*} mode=$${entry##*:}; to=$${entry#*:}; to=$(DESTDIR)$(PREFIX)/$${to%:*}; \
		echo "install $$to"; install -D -m $$mode $$from $$to; \
		case $$to in *.service) sed -i -E 's|/usr/(s?bin/synmoat)|$(PREFIX)/\1|g' $$to ;; esac; \
	done
	@test -e $(DESTDIR)/etc/synmoat/synmoat.conf || install -D -m 0644 conf/synmoat.conf $(DESTDIR)/etc/synmoat/synmoat.conf

uninstall:
	@for entry in $(INSTALLED); do to=$${entry#*:}; rm -f $(DESTDIR)$(PREFIX)/$${to%:*}; done
	@if cmp -s conf/synmoat.conf $(DESTDIR)/etc/synmoat/synmoat.conf; then rm $(DESTDIR)/etc/synmoat/synmoat.conf; fi
	@for own in $(DESTDIR)$(PREFIX)/share/doc/synmoat $(DESTDIR)$(PREFIX)/lib/systemd/system/synmoat.service.d $(DESTDIR)/etc/synmoat; do \
		[ ! -d $$own ] || find $$own -depth -type d -empty -delete; \
	done

# What is committed; the same commit makes the same file.
dist:
	@[ -e .git ] || { echo "make dist packs what git has committed: this is no git tree" >&2; exit 1; }
	@mkdir -p $(BUILD)
	@git -c safe.directory=$(CURDIR) diff --quiet HEAD || echo "make dist: changes that are not committed are left out" >&2
	git -c safe.directory=$(CURDIR) archive --format=tar --prefix=synmoat-$(VERSION)/ -o $(BUILD)/synmoat-$(VERSION).tar HEAD
	gzip -9nf $(BUILD)/synmoat-$(VERSION).tar

# Built in a copy of the tree as it stands, so that no trace of it stays here. -b: no source package, "make dist" is that.
deb:
	@tests/deps $(BUILD_PACKAGES) debhelper dpkg-dev fakeroot
	@rm -rf $(BUILD)/deb
	@mkdir -p $(BUILD)/deb/src
	tar -c --exclude-vcs --exclude=./$(BUILD) . | tar -x -C $(BUILD)/deb/src
	cd $(BUILD)/deb/src && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage -b --no-sign
	@rm -rf $(BUILD)/deb/src
	@ls $(BUILD)/deb/*.deb

check-package:
	@tests/deps $(BUILD_PACKAGES) $(PACKAGE_PACKAGES)
	@tests/run tests/package.sh

clean:
	rm -rf $(BUILD)
