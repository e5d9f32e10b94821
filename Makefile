# shardmerge: one entry for everything. `make help` lists the targets.
SHELL := /bin/bash
MODE ?= release
B ?= build/$(MODE)
CC_release = gcc
CC_debug = gcc
CC_asan = clang
CC_tsan = clang
CC_fuzz = clang
CC := $(CC_$(MODE))
PKGS := libmariadb sqlite3 libpcre2-8 yaml-0.1 zlib libzstd jansson
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wformat=2
WERROR ?= -Werror
CFLAGS_release = -O2 -g
CFLAGS_debug = -O0 -g3
CFLAGS_asan = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_fuzz = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.0.0)
CPPFLAGS = -D_GNU_SOURCE -DSHARDMERGE_VERSION='"$(VERSION)"' -Isrc $(shell pkg-config --cflags $(PKGS))
CFLAGS = -std=gnu17 -pthread $(WARN) $(WERROR) $(CFLAGS_$(MODE))
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm -pthread

# Folders from the bottom up; a folder's archive may use those before it. `make deps` holds the exact table.
FOLDERS := base model db config decode ddl route track lock source merge apply load store pipeline ops
SRCS_of = $(wildcard src/$(1)/*.c)
OBJS_of = $(patsubst src/%.c,$(B)/%.o,$(call SRCS_of,$(1)))
ARCHIVES := $(foreach f,$(FOLDERS),$(B)/lib$(f).a)

.DEFAULT_GOAL := all
.PHONY: all debug asan tsan help
all: $(B)/shardmerge ## build the program (MODE=release|debug|asan|tsan)
debug: ## build without optimisation, into build/debug
	$(MAKE) MODE=debug B=build/debug all
asan: ## build with clang's address and undefined-behaviour sanitizers, into build/asan
	$(MAKE) MODE=asan B=build/asan all
tsan: ## build with clang's thread sanitizer, into build/tsan
	$(MAKE) MODE=tsan B=build/tsan all

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## ?/\1\t/' | expand -t 16

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

# The DDL grammar: Lemon and re2c. What they write is not held to the warnings of our own code.
$(B)/gen/ddl_grammar.c: src/ddl/grammar.y
	@mkdir -p $(B)/gen/lemon
	@cp $< $(B)/gen/lemon/ddl_grammar.y && lemon -q -d$(B)/gen/lemon $(B)/gen/lemon/ddl_grammar.y
	@mv $(B)/gen/lemon/ddl_grammar.h $(B)/gen/ddl_grammar.h && mv $(B)/gen/lemon/ddl_grammar.c $@
$(B)/gen/ddl_token.c: src/ddl/token.re $(B)/gen/ddl_grammar.c
	@re2c -W -i --no-generation-date -o $@ $<
$(B)/gen/ddl_grammar.o $(B)/gen/ddl_token.o: CFLAGS += -w -I$(B)/gen
$(B)/libddl.a: $(B)/gen/ddl_grammar.o $(B)/gen/ddl_token.o

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
unit: $(UNIT_BINS) ## build and run all unit tests (DIR=folder for one folder; MODE=asan, MODE=tsan)
	@tools/run_unit.sh $(if $(DIR),$(filter $(B)/unit/$(DIR)/%,$(UNIT_BINS)),$(UNIT_BINS))

# The lock manager's explorer: every interleaving of small programs of rows and DDL, with kills, against its promises.
EXPLORE_ARGS ?= long
EXPLORE_LIBS = $(foreach f,$(call upto,lock,$(FOLDERS)),$(B)/lib$(f).a)
EXPLORE_OBJS = $(patsubst tests/%.c,$(B)/%.o,$(wildcard tests/explore/*.c))
.PHONY: explore explore-short
$(B)/explore/%.o: tests/explore/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/explore -Itests/unit $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/explore/explore: $(EXPLORE_OBJS) $(EXPLORE_LIBS)
	$(CC) $(CFLAGS) $(EXPLORE_OBJS) -Wl,--start-group $(EXPLORE_LIBS) -Wl,--end-group $(LDLIBS) -o $@
explore: $(B)/explore/explore ## the lock manager in every interleaving of small programs (EXPLORE_ARGS=short|long|"walk 100000"|"iBi iRi")
	$< $(EXPLORE_ARGS)
explore-short: $(B)/explore/explore ## the same within seconds, each rule of the lock broken in turn, and random walks
	$< short
	$< rules
	$< walk 1000 1

# Everything that needs servers: they are started by the harness on free ports.
PYTHON ?= /usr/bin/python3
E2E_JOBS ?= 4
JOBS ?= $(shell nproc)
PYTEST_ARGS ?=
.PHONY: e2e demo bench bench-stream bench-load
HARNESS_TOOLS = $(patsubst tests/%.c,$(B)/%,$(wildcard tests/harness/*.c))
e2e: $(B)/shardmerge $(HARNESS_TOOLS) ## end-to-end tests on real servers (PYTEST_ARGS="-k name", E2E_JOBS=1 for one process)
	SHARDMERGE_BIN=$(abspath $(B)/shardmerge) SHARDMERGE_TOOLS=$(abspath $(B)/harness) $(PYTHON) -m pytest tests/e2e -q -ra $(if $(filter-out 1,$(E2E_JOBS)),-n $(E2E_JOBS) --dist loadfile) $(PYTEST_ARGS)
demo: ## two MariaDB shards, one merged table, live; killed in the middle, resumed, proved
	@$(MAKE) --no-print-directory deps-install
	@$(MAKE) --no-print-directory all
	SHARDMERGE_BIN=$(abspath $(B)/shardmerge) $(PYTHON) tests/harness/demo.py
.PHONY: demo-keys
demo-keys: ## two MariaDB shards that both count from 1, merged under key strategies
	@$(MAKE) --no-print-directory deps-install
	@$(MAKE) --no-print-directory all
	SHARDMERGE_BIN=$(abspath $(B)/shardmerge) $(PYTHON) tests/harness/demo_keys.py
bench: bench-stream bench-load ## shardmerge against its peers: the stream, then the copy of existing rows
bench-stream: $(B)/shardmerge ## the stream against a native multi-source replica, in one run
	SHARDMERGE_BIN=$(abspath $(B)/shardmerge) $(PYTHON) tests/harness/bench_stream.py $(BENCH_ARGS)
bench-load: $(B)/shardmerge $(B)/bench/bench_insert ## the copy against mydumper and myloader, in one run
	SHARDMERGE_BIN=$(abspath $(B)/shardmerge) SHARDMERGE_BENCH_INSERT=$(abspath $(B)/bench/bench_insert) $(PYTHON) tests/harness/bench_load.py

# Programs beside the tests: benchmarks of one stage, what end-to-end tests ask of the real objects, fuzzers (clang's
# libFuzzer).
TOOL_LIBS = -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)
.PHONY: bench-decode fuzz fuzz-build fuzz-replay
$(B)/bench/%: tests/bench/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $< $(TOOL_LIBS) -o $@
$(B)/harness/%: tests/harness/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $< $(TOOL_LIBS) -o $@
$(B)/fuzz/%: tests/fuzz/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer -MMD -MP $< $(TOOL_LIBS) -o $@
bench-decode: $(B)/bench/bench_decode ## decoding of binlogs against libmariadb and mariadb-binlog, in one run
	SHARDMERGE_BENCH_DECODE=$(abspath $<) $(PYTHON) tests/harness/bench_decode.py
FUZZ_SECONDS ?= 20
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# No allocation beyond what an input of at most 64 KiB justifies; a zstd frame's window is up to 128 MiB.
FUZZ_LIMITS = -max_len=65536 -rss_limit_mb=1024 -timeout=20 -malloc_limit_mb=$(if $(filter payload,$(1)),160,64)
fuzz-build: $(FUZZERS:%=$(B)/fuzz/fuzz_%)
fuzz: ## run every fuzzer of tests/fuzz for FUZZ_SECONDS, with clang's sanitizers, in build/fuzz
	@$(MAKE) --no-print-directory MODE=fuzz B=build/fuzz fuzz-build
	@python3 tools/make_fuzz_corpus.py build/fuzz/seeds
	@set -e; $(foreach f,$(FUZZERS),echo "== $(f)"; \
		python3 tools/fuzz_corpus.py unpack tests/fuzz/corpus/$(f).pack build/fuzz/corpus/$(f); \
		build/fuzz/fuzz/fuzz_$(f) $(call FUZZ_LIMITS,$(f)) -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=build/fuzz/$(f)- build/fuzz/corpus/$(f) build/fuzz/seeds/$(f);)
$(B)/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $< tests/fuzz/replay.c $(TOOL_LIBS) -o $@
fuzz-replay: $(FUZZERS:%=$(B)/replay/fuzz_%) ## run every fuzzer once over its corpus and over all fixtures (MODE=asan)
	@rm -rf $(B)/replay/seeds && python3 tools/make_fuzz_corpus.py $(B)/replay/seeds >/dev/null
	@set -e; for f in $(FUZZERS); do echo -n "replay $$f: "; \
		python3 tools/fuzz_corpus.py pack $(B)/replay/seeds/$$f $(B)/replay/$$f.pack 100000000 >/dev/null; \
		$(B)/replay/fuzz_$$f tests/fuzz/corpus/$$f.pack $(B)/replay/$$f.pack; done

# Gates.
C_FILES = $(wildcard src/*.c src/*/*.[ch] tests/unit/*.h tests/unit/*/*.[ch] tests/bench/*.[ch] tests/fuzz/*.[ch] tests/explore/*.[ch] \
	tests/harness/*.[ch])
TIDY_FILES = $(wildcard src/*.c src/*/*.c)
.PHONY: deps-install deps fmt fmt-check lint docs docs-check test accept
deps-install: ## install packages and the MySQL tree that building and testing need (Debian 12)
	@tools/deps_install.sh
deps: ## check the direction of #include between folders
	@python3 tools/deps.py
fmt: ## format all C files
	clang-format -i $(C_FILES)
fmt-check:
	@clang-format --dry-run -Werror $(C_FILES) && echo "fmt: $(words $(C_FILES)) files are formatted"
lint: ## clang-tidy over src/ (TIDY_FILES=… for some)
	@mkdir -p $(B)
	@printf '%s\n' -std=gnu17 -I$(CURDIR)/src $(CPPFLAGS) >$(B)/compile_flags.txt
	@printf '%s\n' $(TIDY_FILES) | xargs -P 2 -n 4 clang-tidy --quiet --warnings-as-errors='*' -p $(B)
PAGES := commands configuration errors log-events
docs: $(B)/shardmerge $(B)/explore/explore ## make docs/reference/ anew from the program
	@mkdir -p docs/reference
	@for page in $(PAGES); do $(B)/shardmerge docs $$page >docs/reference/$$page.md || exit 1; done
	@$(B)/explore/explore outcomes >docs/reference/ddl-outcomes.md
docs-check: $(B)/shardmerge $(B)/explore/explore
	@$(B)/explore/explore outcomes | diff -u docs/reference/ddl-outcomes.md - || { echo "docs/reference/ddl-outcomes.md is old: make docs"; exit 1; }
	@for page in $(PAGES); do \
		$(B)/shardmerge docs $$page | diff -u docs/reference/$$page.md - || { echo "docs/reference/$$page.md is old: make docs"; exit 1; }; \
	done
test: ## install what is needed, build, run every check and every test
	$(MAKE) deps-install
	$(MAKE) -j$(JOBS) all
	$(MAKE) deps
	$(MAKE) fmt-check
	$(MAKE) docs-check
	$(MAKE) -j$(JOBS) unit
	$(MAKE) -j$(JOBS) MODE=asan B=build/asan unit
	$(MAKE) -j$(JOBS) explore-short
	$(MAKE) -j$(JOBS) MODE=asan B=build/asan fuzz-replay
	$(MAKE) e2e
accept: ## take the present output as the golden files' new content, and show what changed
	SHARDMERGE_ACCEPT=1 $(MAKE) unit
	$(MAKE) docs
	@git --no-pager diff --stat -- fixtures docs/reference rules

# FHS: program, examples and documents; a task's state lives where its task file says.
DESTDIR ?=
PREFIX ?= /usr/local
.PHONY: install clean
install: $(B)/shardmerge ## install under PREFIX (default /usr/local), into DESTDIR
	install -D -m 0755 $(B)/shardmerge $(DESTDIR)$(PREFIX)/bin/shardmerge
	@set -e; for f in README.md LICENSE $(wildcard docs/*.md docs/*/*.md); do \
		install -D -m 0644 $$f $(DESTDIR)$(PREFIX)/share/doc/shardmerge/$${f#docs/}; done
	@set -e; for f in $$(git ls-files rules 2>/dev/null || find rules -type f); do \
		install -D -m 0644 $$f $(DESTDIR)$(PREFIX)/share/shardmerge/$$f; done
clean: ## remove everything that was built
	rm -rf build

-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/unit/*/*.d)
