# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make              build/synmoatd, build/synmoatctl
#   sudo make demo    installs what is missing, builds, shows a flood without and with synmoatd
#   sudo make check   installs what is missing, builds, runs all tests
#   make check-unit   the tests that need no root
#   sudo make bench   the speed ratios of README.md, measured again
#   make lint         clang-tidy, cppcheck, shellcheck, mandoc

BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=

CC      ?= cc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Idaemon $(WARN) -fstack-protector-strong -pthread $(CFLAGS)
ALL_LDFLAGS := -pthread -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS    := -lnetfilter_queue -lnftnl -lmnl -lconfig -ljansson -lm

# What Debian calls what we need: to build, and to test.
BUILD_PACKAGES := gcc libc6-dev make pkg-config libmnl-dev libnetfilter-queue-dev libnftnl-dev libconfig-dev libjansson-dev check
TEST_PACKAGES  := nginx-light curl wrk iperf3 nftables iproute2 conntrack tcpdump python3 jq valgrind libc6-dbg procps ethtool util-linux nmap mandoc conntrackd keepalived

CORE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/core/*.c))
EDGE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/edge/*.c))
FACE   := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/face/*.c))
TOP    := $(patsubst daemon/%.c,$(BUILD)/%.o,$(wildcard daemon/*.c))
UNITS  := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
TOOLS  := $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(filter-out %/netlink_faults.c,$(wildcard tests/tools/*.c))) \
	$(BUILD)/tests/netlink_faults.so
FACE_UNITS := $(addprefix $(BUILD)/unit/,test_config test_report test_control test_command test_secret_file)

.PHONY: all tools units asan check check-unit check-net demo bench deps lint install clean
.DEFAULT_GOAL := all

all: $(BUILD)/synmoatd $(BUILD)/synmoatctl
tools: $(TOOLS)
units: $(UNITS)

$(BUILD)/synmoatd: $(TOP) $(CORE) $(EDGE) $(FACE)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

$(BUILD)/synmoatctl: $(BUILD)/ctl/synmoatctl.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS)

$(BUILD)/%.o: daemon/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/ctl/%.o: ctl/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $<

# To be preloaded: no sanitizer of its own, the program under test may have one.
$(BUILD)/tests/%.so: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -shared -fPIC -o $@ $< -ldl

# The core's tests link the core and Check, nothing else: that is the proof that it is pure.
UNIT_LIBS := -lcheck -lsubunit -lm -lrt
$(FACE_UNITS): $(BUILD)/unit/%: tests/unit/%.c $(FACE) $(CORE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS) -lconfig -ljansson
# Not of the core, but as pure.
$(BUILD)/unit/test_registry: $(BUILD)/registry.o
$(filter-out $(FACE_UNITS),$(UNITS)): $(BUILD)/unit/%: tests/unit/%.c $(CORE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(UNIT_LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# The whole daemon once more, with the sanitizers, in a directory of its own.
asan:
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" all units

check-unit: units
	@tests/units $(BUILD)/unit

deps:
	@tests/deps $(BUILD_PACKAGES) $(TEST_PACKAGES)

# deps runs before anything is compiled, so the rest is a make of its own.
check: deps
	@$(MAKE) --no-print-directory all tools units
	@$(MAKE) --no-print-directory asan
	@tests/all $(BUILD)

demo: deps
	@$(MAKE) --no-print-directory all tools
	@tests/demo.sh

bench: deps
	@$(MAKE) --no-print-directory all tools
	@tests/bench/run

lint:
	clang-tidy --quiet daemon/*.c daemon/core/*.c daemon/edge/*.c daemon/face/*.c ctl/*.c -- $(filter-out -Werror,$(ALL_CFLAGS))
	cppcheck --quiet --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -Iinclude -Idaemon daemon ctl
	shellcheck conf/keepalived/synmoat-notify
	shellcheck -x tests/*.sh tests/e2e/*.sh tests/run tests/all tests/units tests/deps tests/bench/run
	mandoc -Tlint -Wwarning man/*

install: all
	install -D -m 0755 $(BUILD)/synmoatd $(DESTDIR)$(PREFIX)/sbin/synmoatd
	install -D -m 0755 $(BUILD)/synmoatctl $(DESTDIR)$(PREFIX)/bin/synmoatctl
	install -D -m 0644 systemd/synmoat.service $(DESTDIR)$(PREFIX)/lib/systemd/system/synmoat.service
	test -e $(DESTDIR)/etc/synmoat/synmoat.conf || install -D -m 0644 conf/synmoat.conf $(DESTDIR)/etc/synmoat/synmoat.conf
	install -D -m 0644 man/synmoatd.8 $(DESTDIR)$(PREFIX)/share/man/man8/synmoatd.8
	install -D -m 0644 man/synmoat.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/synmoat.conf.5
	install -D -m 0644 man/synmoat.7 $(DESTDIR)$(PREFIX)/share/man/man7/synmoat.7
	install -D -m 0644 conf/conntrackd.conf $(DESTDIR)$(PREFIX)/share/doc/synmoat/examples/conntrackd.conf
	install -D -m 0644 conf/keepalived/keepalived.conf $(DESTDIR)$(PREFIX)/share/doc/synmoat/examples/keepalived.conf
	install -D -m 0755 conf/keepalived/synmoat-notify $(DESTDIR)$(PREFIX)/share/doc/synmoat/examples/synmoat-notify
	install -D -m 0644 man/synmoatctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/synmoatctl.1

clean:
	rm -rf $(BUILD)
