# SPDX-License-Identifier: GPL-2.0-or-later
#
# The one entry. All output goes to build/; "make help" lists the targets.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

# KERNEL is a line ("6.1"), a release under /lib/modules, a build directory, or
# "debug": the kernel that scripts/debug-kernel builds.
KERNEL ?= $(or $(shell scripts/kernel-release 6.1 2>/dev/null),$(shell uname -r))
ifeq ($(KERNEL),debug)
override KERNEL := $(shell scripts/debug-kernel)/devel
endif
SAN ?=
V ?=

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' '$(1)' '$(2)')

all: module user

# --- the module --------------------------------------------------------------

ifneq ($(wildcard $(KERNEL)/Makefile),)
KDIR := $(abspath $(KERNEL))
RELEASE := $(shell cat $(KDIR)/include/config/kernel.release)
else
RELEASE := $(shell scripts/kernel-release $(KERNEL) 2>/dev/null || echo $(KERNEL))
KDIR := /lib/modules/$(RELEASE)/build
endif
KMOD := build/kmod-$(RELEASE)
WERROR := -Werror

# Kernels before 6.13 build beside the sources, so each gets a directory of
# links: two kernels can coexist, and the source tree stays clean. BTF for
# modules would need pahole and a vmlinux, and nothing here reads it.
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR)/$(KMOD) W=1 KCFLAGS=$(WERROR) \
	CONFIG_DEBUG_INFO_BTF_MODULES= --no-print-directory

module: kmod-links
	$(Q)+$(KBUILD) modules

kmod-links:
	@test -e $(KDIR)/Makefile || { \
		echo 'no headers of kernel $(RELEASE) ($(KDIR)): run scripts/setup, or say KERNEL=…' >&2; \
		exit 1; }
	@mkdir -p $(KMOD)/kmod
	@find $(KMOD) -xtype l -delete
	@ln -sfn $(CURDIR)/Kbuild $(CURDIR)/uapi $(KMOD)/
	@ln -sf $(addprefix $(CURDIR)/,$(wildcard kmod/*.[ch])) $(KMOD)/kmod/

module_install: module
	install -D -m 644 $(KMOD)/moat.ko $(DESTDIR)/lib/modules/$(RELEASE)/updates/moat.ko
	$(if $(DESTDIR),,depmod $(RELEASE))

# --- user space --------------------------------------------------------------

# With SAN=1 everything here is built a second time, for AddressSanitizer and
# UBSan, under build/san.
B := build$(if $(SAN),/san)

PACKAGES := libgcrypt libnl-3.0 libnl-genl-3.0 libnl-route-3.0 libconfig jansson \
	libevent libseccomp libcap-ng gnutls
TEST_PACKAGES := cmocka

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
HARDENING := -fPIE -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
comma := ,
SANITIZE := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -Idaemon -Iuapi $(shell pkg-config --cflags $(PACKAGES))
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARNINGS) $(HARDENING) $(SANITIZE) $(CPPFLAGS)
ALL_LDFLAGS = $(LDFLAGS) -pie -Wl,-z,relro,-z,now $(SANITIZE)
LIBS := $(shell pkg-config --libs $(PACKAGES)) -lpthread
TEST_LIBS = $(shell pkg-config --libs $(TEST_PACKAGES))

core_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard daemon/wire/*.c daemon/ike/*.c))
priv_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard daemon/priv/*.c))
io_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard daemon/io/*.c))
moatd_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard daemon/moatd.c))
moat_objects := $(patsubst %.c,$(B)/obj/%.o,$(wildcard daemon/cli/*.c))
programs := $(if $(moatd_objects),$(B)/moatd) $(if $(moat_objects),$(B)/moat)

user: $(programs)

# $(call remember,file,text): keep text in file, touching it only when it
# changed, so that what depends on it is made again when flags or lists change.
remember = $(shell mkdir -p $(dir $(1)); printf '%s\n' '$(2)' | cmp -s - $(1) || \
	printf '%s\n' '$(2)' >$(1))
$(call remember,$(B)/obj/flags,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS))
$(call remember,$(B)/obj/core,$(core_objects))
$(call remember,$(B)/obj/priv,$(priv_objects))
$(call remember,$(B)/obj/programs,$(io_objects) $(moatd_objects) $(moat_objects))

$(B)/obj/%.o: %.c $(B)/obj/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

archive = rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(B)/libmoatcore.a: $(core_objects) $(B)/obj/core
	$(call say,AR,$@)
	$(Q)$(archive)
$(B)/libmoatpriv.a: $(priv_objects) $(B)/obj/priv
	$(call say,AR,$@)
	$(Q)$(archive)

link = $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^)
$(B)/moatd: $(moatd_objects) $(io_objects) $(B)/libmoatpriv.a $(B)/libmoatcore.a $(B)/obj/programs
	$(call say,LD,$@)
	$(Q)$(link) $(LIBS)
$(B)/moat: $(moat_objects) $(B)/libmoatpriv.a $(B)/libmoatcore.a $(B)/obj/programs
	$(call say,LD,$@)
	$(Q)$(link) $(LIBS)

install: user module_install
	install -D -m 755 build/moatd $(DESTDIR)/usr/sbin/moatd
	install -D -m 755 build/moat $(DESTDIR)/usr/bin/moat
	install -d -m 755 $(DESTDIR)/etc/moat

# --- tests of user space -----------------------------------------------------

# selftests/unit, exchange and fuzz: each *_test.c is one cmocka program,
# what else lies in its folder is linked into all of that folder. What lies in
# io is in the programs and in no archive; tests of it name its objects below.
test_sources := $(wildcard $(patsubst %,selftests/%/*_test.c,unit exchange fuzz))
tests := $(patsubst selftests/%.c,$(B)/tests/%,$(test_sources))
helpers = $(patsubst %.c,$(B)/obj/%.o,$(filter-out %_test.c %_fuzzer.c,$(wildcard selftests/$(1)/*.c)))
$(filter $(B)/tests/unit/%,$(tests)): $(call helpers,unit)
$(B)/tests/unit/failure_test: $(B)/obj/daemon/io/failure.o
$(B)/tests/unit/queue_test: $(patsubst %,$(B)/obj/daemon/io/%.o,worker channel x509)
$(B)/tests/unit/totals_test: $(B)/obj/daemon/io/totals.o
$(B)/tests/unit/x509_test: $(B)/obj/daemon/io/x509.o
# It runs the programs.
$(B)/tests/unit/cli_test: | $(programs)
# The simulation checks certificates as the daemon does.
simulation := $(call helpers,exchange) $(B)/obj/daemon/io/x509.o
$(filter $(B)/tests/exchange/%,$(tests)): $(simulation)
# The fuzzer of the core needs the simulation.
$(filter $(B)/tests/fuzz/%,$(tests)): $(call helpers,fuzz) $(simulation)

$(tests): $(B)/tests/%: $(B)/obj/selftests/%.o $(B)/libmoatpriv.a $(B)/libmoatcore.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(link) $(TEST_LIBS) $(LIBS)

tests: $(tests)

# The vectors and other files of tests are found from the top of the tree.
unit: $(tests)
	$(Q)status=0; for t in $(tests); do $$t || status=1; done; exit $$status

# Looks for what the seeded fuzzer of "make check" cannot reach, guided by
# coverage, for TIME seconds; what it finds lies in build/fuzz.
TIME ?= 60
FUZZ_SOURCES := $(wildcard daemon/wire/*.c) $(patsubst %,daemon/ike/%.c, \
	alg algstring dhprime dh crypt keys mismatch ikeproposal saproposal) \
	selftests/fuzz/codec.c selftests/fuzz/codec_fuzzer.c
fuzz: $(B)/tests/fuzz/codec_test
	@command -v clang >/dev/null || { \
		echo 'make fuzz needs clang with libFuzzer: apt-get install clang libclang-rt-14-dev' >&2; \
		exit 1; }
	@mkdir -p build/fuzz/corpus
	$(Q)$< --corpus build/fuzz/corpus
	$(call say,CLANG,build/fuzz/codec_fuzzer)
	$(Q)clang -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(CPPFLAGS) -o build/fuzz/codec_fuzzer $(FUZZ_SOURCES) \
		$(shell pkg-config --libs libgcrypt)
	cd build/fuzz && ./codec_fuzzer -max_total_time=$(TIME) -max_len=4096 \
		-print_final_stats=1 corpus

# --- lint --------------------------------------------------------------------

# The kernel's own tools for patches and tests, of which Debian packages only
# the whole source.
LINUX_SOURCE := /usr/src/linux-source-6.1.tar.xz
LINUX := build/linux-6.1
linux-source: $(LINUX)/.unpacked
$(LINUX)/.unpacked: $(LINUX_SOURCE)
	@rm -rf $(LINUX) && mkdir -p $(LINUX)
	$(Q)tar -C $(LINUX) --strip-components=1 -xf $< --wildcards \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
		'*/scripts/const_structs.checkpatch' '*/testing/selftests/kselftest*' \
		'*/testing/selftests/lib.mk' '*/testing/selftests/run_kselftest.sh'
	@touch $@
$(LINUX_SOURCE):
	@echo 'no $@: run scripts/setup' >&2; exit 1

# Compiled once more for the analyzer's sake alone.
analyze: $(patsubst %.c,build/lint/%.o,$(wildcard daemon/*.c daemon/*/*.c))
build/lint/%.o: %.c $(B)/obj/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fanalyzer -MMD -MP -c -o $@ $<

lint:
	@scripts/lint

# --- shown and proved in a guest ----------------------------------------------

build/tests/interop/flow: selftests/interop/flow.c $(B)/obj/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $<

kselftest: linux-source build/tests/interop/flow
	$(Q)$(MAKE) -C selftests --no-print-directory install \
		KSFT_SRC=$(CURDIR)/$(LINUX)/tools/testing/selftests \
		INSTALL_PATH=$(CURDIR)/build/kselftest

check:
	@scripts/check-runner

# What runs in guests, on a kernel that checks itself: one at a time for each CPU here.
check-debug:
	@scripts/debug-kernel >/dev/null
	@MOAT_JOBS=$${MOAT_JOBS:-$$(nproc)} scripts/check-runner debug-kernel debug-packet \
		debug-moatd debug-soak debug-faults debug-proof

# Pairwise over all algorithms and groups too, in two guests at once.
interop:
	@scripts/check-runner interop-1 interop-2

# The long runs; the first of them for MOAT_SOAK_SECONDS.
soak:
	@scripts/check-runner soak soak-life soak-restart soak-algorithms

mutants:
	@scripts/mutants

# Costs in instructions, which the emulator counts.
build/bench/%: selftests/bench/%.c uapi/linux/moat.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS)

bench: all build/bench/policies
	@selftests/bench/run

demo: all
	@scripts/demo-vm --kernel $(RELEASE)

# --- the rest ----------------------------------------------------------------

clean:
	rm -rf build/san build/obj build/tests build/lint build/kselftest \
		build/kmod-* build/*.a build/moatd build/moat

distclean:
	rm -rf build

help:
	@echo 'make            moat.ko, moatd and moat, under build/'
	@echo '                KERNEL= a line (6.1), a release, a build directory, or debug; SAN=1 sanitizers; V=1'
	@echo 'make demo       the main job, shown in a guest'
	@echo 'make check      all tests; closes with "N passed, N failed"'
	@echo 'make check-debug  the kernel tests under KASAN, lockdep, kmemleak; builds that kernel once'
	@echo 'make interop    strongSwan and libreswan, pairwise over all there is'
	@echo 'make soak       what takes long: all comes and goes under traffic, 10 minutes;'
	@echo '                50 rekeys under traffic; every algorithm in every mode'
	@echo 'make mutants    each listed one-line fault turns a test red'
	@echo 'make unit       unit and exchange tests of user space'
	@echo 'make fuzz       the codec, guided by coverage, for TIME= seconds'
	@echo 'make bench      costs in instructions, to build/bench/results.json'
	@echo 'make lint       style, static analysis, licences, purity'
	@echo 'make install    programs and module (DESTDIR=…)'
	@echo 'make clean      all but downloads and guest images; distclean: these too'


.PHONY: all demo bench check check-debug interop soak mutants fuzz kselftest linux-source analyze lint module kmod-links module_install user install tests unit clean distclean help

-include $(shell find $(B)/obj build/lint -name '*.d' 2>/dev/null)
