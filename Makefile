# shardmerge: one entry for everything. `make help` lists the targets.
SHELL := /bin/bash
MODE ?= release
B ?= build/$(MODE)
CC_release = gcc
CC_debug = gcc
CC_asan = clang
CC_tsan = clang
CC := $(CC_$(MODE))
PKGS := libmariadb sqlite3 libpcre2-8 yaml-0.1 zlib libzstd jansson
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wformat=2
WERROR ?= -Werror
CFLAGS_release = -O2 -g
CFLAGS_debug = -O0 -g3
CFLAGS_asan = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread -fno-omit-frame-pointer
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.0.0)
CPPFLAGS = -D_GNU_SOURCE -DSHARDMERGE_VERSION='"$(VERSION)"' -Isrc $(shell pkg-config --cflags $(PKGS))
CFLAGS = -std=gnu17 -pthread $(WARN) $(WERROR) $(CFLAGS_$(MODE))
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm -pthread

# Folders from the bottom up; a folder's archive may use those before it. `make deps` holds the exact table.
FOLDERS := base model db config decode ddl track route source merge apply store pipeline ops
SRCS_of = $(wildcard src/$(1)/*.c)
OBJS_of = $(patsubst src/%.c,$(B)/%.o,$(call SRCS_of,$(1)))
ARCHIVES := $(foreach f,$(FOLDERS),$(B)/lib$(f).a)

.DEFAULT_GOAL := all
.PHONY: all help
all: $(B)/shardmerge ## build the program (MODE=release|debug|asan|tsan)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## ?/\1\t/' | expand -t 16

define ARCHIVE
$(B)/lib$(1).a: $(call OBJS_of,$(1))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call ARCHIVE,$(f))))

# The state database's migrations are compiled in.
MIGRATIONS := $(sort $(wildcard state/[0-9]*.sql))
$(B)/gen/migrations.c: $(MIGRATIONS) tools/embed_sql.sh
	@mkdir -p $(@D)
	@tools/embed_sql.sh $(MIGRATIONS) >$@.tmp && mv $@.tmp $@
$(B)/gen/%.o: $(B)/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/libstore.a: $(B)/gen/migrations.o

$(B)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/shardmerge: $(B)/main.o $(ARCHIVES)
	$(CC) $(CFLAGS) $(B)/main.o -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS) -o $@

# Unit tests mirror src/: tests/unit/<folder>/test_<file>.c, each a program that links the real objects.
UNIT_SRCS := $(wildcard tests/unit/*/test_*.c)
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRCS))
CHECK_LIBS = $(shell pkg-config --libs check)

# Archives up to and including the test's folder.
upto = $(if $(filter $(1),$(firstword $(2))),$(firstword $(2)),$(firstword $(2)) $(call upto,$(1),$(wordlist 2,99,$(2))))
.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(foreach f,$$(call upto,$$(firstword $$(subst /, ,$$*)),$(FOLDERS)),$(B)/lib$$(f).a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) -Wno-missing-prototypes -MMD -MP $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) $(CHECK_LIBS) -o $@

.PHONY: unit unit-build
unit-build: $(UNIT_BINS)
unit: $(UNIT_BINS) ## build and run all unit tests (DIR=folder for one folder)
	@status=0; for t in $(if $(DIR),$(filter $(B)/unit/$(DIR)/%,$(UNIT_BINS)),$(UNIT_BINS)); do echo "== $$t"; $$t || status=1; done; exit $$status

-include $(wildcard $(B)/*/*.d $(B)/*.d $(B)/unit/*/*.d)
