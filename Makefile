# mod_session_rs. `make help` lists the targets; each installs what it lacks on Debian (tools/deps).

CARGO  ?= cargo
APXS   ?= apxs
PORT   ?= 8080
PREFIX ?= /usr/local
SECONDS ?= 600
export APXS PORT

# Where httpd looks for modules and headers.
LIBEXECDIR = $(shell $(APXS) -q LIBEXECDIR)
INCLUDEDIR = $(shell $(APXS) -q INCLUDEDIR)
MANDIR     = $(PREFIX)/share/man
DATADIR    = $(PREFIX)/share/mod_session_rs

# What `make install` installs.
BUILT = build

target := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := build
.PHONY: build run test test-all test-package check bench bench-parts bench-check bench-baseline fuzz install uninstall deb clean deps help
.NOTPARALLEL:

build: deps-build ## build build/mod_session.so and build/htsession (the default)
	$(CARGO) build --release
	@install -d build
	@install -m 755 $(target)/release/libmod_session_rs.so build/mod_session.so
	@install -m 755 $(target)/release/htsession build/htsession

run: deps-run build build/mod_visits.so ## run the demo on 127.0.0.1:8080; another port: make run PORT=9000
	@exec apache-conf/demo/run

# apxs puts its objects beside the source, hence the copy.
build/mod_visits.so: apache-conf/demo/mod_visits.c c_shim/session_api.h
	@install -d build/demo
	@cp apache-conf/demo/mod_visits.c build/demo
	@$(APXS) -c -I c_shim build/demo/mod_visits.c >build/demo/log 2>&1 || { cat build/demo/log; exit 1; }
	@install -m 755 build/demo/.libs/mod_visits.so $@

test: deps-test ## run all tests: cargo test --features faults
	$(CARGO) test --features faults

test-all: deps-test ## all tests, with every store on every MPM, which writes docs/conformance.md
	MSRS_CONFORMANCE_TABLE=docs/conformance.md $(CARGO) test --features faults

test-package: deps-test-package deb ## install, use, upgrade and purge the package on a fresh Debian of its own, as root
	@tools/test-package build/*.deb

check: deps-check ## check format and lints
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/rust/mod_rustapi/Cargo.toml
	$(CARGO) clippy --all-targets --features faults -- -D warnings
	$(CARGO) clippy --lib --no-default-features -- -D warnings

bench: deps-bench ## what a session costs beside other modules and bare C; writes docs/benchmarks.md and docs/benchmarks.svg, in a quarter of an hour
	$(CARGO) bench --bench peers

bench-parts: deps-bench-parts ## each part by itself, without httpd; leases that many want (writes docs/contention.md)
	$(CARGO) bench --bench parts
	$(CARGO) bench --bench contention

bench-check: deps-bench-check ## instructions of a fixed script, which may not be 5 % more than in the baseline
	$(CARGO) bench --bench check

bench-baseline: deps-bench-check ## write that baseline anew
	$(CARGO) bench --bench check -- --write

fuzz: deps-fuzz ## look for inputs that break the parsers, SECONDS=600 for each kind; what is new goes to target/fuzz
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	@for kind in $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))); do \
	    echo "== $$kind, $(SECONDS) s"; \
	    install -d $(target)/fuzz/$$kind; \
	    $(CARGO) +nightly fuzz run $$kind $(target)/fuzz/$$kind fuzz/corpus/$$kind -- \
	        -max_total_time=$(SECONDS) -max_len=1024 -print_final_stats=1 || exit 1; \
	done

install: ## install the module, htsession, session_api.h and man pages; DESTDIR, PREFIX and APXS count
	$(if $(LIBEXECDIR),,$(error $(APXS) not found: make deps))
	@{ test -f $(BUILT)/mod_session.so && test -f $(BUILT)/htsession; } || $(MAKE) build
	install -d "$(DESTDIR)$(LIBEXECDIR)" "$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(DATADIR)" \
	    "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man8"
	install -m 644 $(BUILT)/mod_session.so "$(DESTDIR)$(LIBEXECDIR)/mod_session_rs.so"
	install -m 644 c_shim/session_api.h "$(DESTDIR)$(INCLUDEDIR)/session_api.h"
	install -m 755 $(BUILT)/htsession "$(DESTDIR)$(PREFIX)/bin/htsession"
	install -m 644 man/htsession.1 "$(DESTDIR)$(MANDIR)/man1/htsession.1"
	install -m 644 man/mod_session_rs.8 "$(DESTDIR)$(MANDIR)/man8/mod_session_rs.8"
	install -m 644 apache-conf/*.conf "$(DESTDIR)$(DATADIR)"
	sed 's|^LoadModule session_module .*|LoadModule session_module $(LIBEXECDIR)/mod_session_rs.so|' \
	    apache-conf/session-rs.load >"$(DESTDIR)$(DATADIR)/session-rs.load"
	@echo "Next: $(DATADIR)/session-rs.load says how to load it."

uninstall: ## remove what install installed, with the same DESTDIR, PREFIX and APXS
	$(if $(LIBEXECDIR),,$(error $(APXS) not found: make deps))
	rm -f "$(DESTDIR)$(LIBEXECDIR)/mod_session_rs.so" "$(DESTDIR)$(INCLUDEDIR)/session_api.h" "$(DESTDIR)$(PREFIX)/bin/htsession" \
	    "$(DESTDIR)$(MANDIR)/man1/htsession.1" "$(DESTDIR)$(MANDIR)/man8/mod_session_rs.8"
	rm -f $(foreach file,session-rs.load $(notdir $(wildcard apache-conf/*.conf)),"$(DESTDIR)$(DATADIR)/$(file)")
	[ ! -d "$(DESTDIR)$(DATADIR)" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(DATADIR)"

deb: deps-deb ## build the Debian package, build/libapache2-mod-session-rs_VERSION_ARCHITECTURE.deb
	@tools/deb

clean: ## remove everything built
	$(CARGO) clean
	rm -rf build

deps: deps-run deps-test deps-check ## install what run, test and check need

deps-%:
	@tools/deps $*

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
