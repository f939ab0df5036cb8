# Kraliki Voice. `make demo` shows the product, `make test` runs every test. See README.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Seeds of each family of faults in `make soak`.
SOAK_SEEDS := 2000
# One selection of packages for all test runs, so that nothing is built twice.
TESTED := --workspace --exclude kraliki-benches --locked
.PHONY: help setup console build demo test soak fuzz quality bench fmt lint clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install the Debian packages that are missing
	@scripts/setup

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	npm --prefix web ci --no-audit --no-fund
	@touch $@

web/build/index.html: web/node_modules/.package-lock.json $(shell find web/src web/static web/messages web/*.ts web/*.js -type f 2>/dev/null)
	npm --prefix web run build
	@touch $@

console: web/build/index.html ## build the web console

build: setup console ## target/release/kraliki with the console inside
	cargo build --release --locked

demo: setup console ## the whole product with a simulated carrier and simulated agents (ARGS="--agents 20")
	cargo run --locked -- demo $(ARGS)

test: setup console ## every test, the ones with SIPp and Chromium included
	npm --prefix web run check
	npm --prefix web test
	cargo test $(TESTED) --no-run
	cargo test $(TESTED) --quiet --lib --bins --test allocations --test memory
	cargo test $(TESTED) --test system -- --test-threads=2 --skip interop --skip peers --skip crash --skip answers --skip sample_by_sample --skip quality::speech
	cargo test $(TESTED) --test system -- --test-threads=1 interop peers crash answers sample_by_sample quality::speech

soak: setup console ## the long tests: thousands of seeds for each family of faults, a year under every law, real crashes, half an hour of calls
	cargo build --release --locked --package kraliki --package kraliki-benches
	@set -e; for family in r1 r2 r3 r10 r11 r12 r13 r14 r15 nonsense restless all; do \
		echo "faults $$family"; \
		target/release/kraliki simulate --faults $$family --seeds 0..$(SOAK_SEEDS) --for 15m; \
	done
	@set -e; dir=$$(mktemp -d); target/release/kraliki simulate --year $$dir/year.db; \
		scripts/check-compliance $$dir/year.db; rm -r $$dir
	KRALIKI_SOAK=1 cargo test $(TESTED) --test system -- --test-threads=1 crash
	target/release/kraliki-benches --soak

fuzz: ## random bytes against all that reads bytes from the network, for two minutes (FUZZ_SECONDS=15 for each of 8 targets)
	@scripts/fuzz

quality: setup console ## how speech is heard over bad networks, as a table (several minutes; QUALITY_TABLE=opus for one codec)
	QUALITY_TABLE=$(or $(QUALITY_TABLE),1) cargo test $(TESTED) --test system -- --test-threads=1 --nocapture quality::speech

bench: setup console ## benchmarks beside their peers (ONLY=name for one); results in target/bench/results.json
	@scripts/setup --bench
	cargo build --release --locked --package kraliki --package kraliki-benches --features kraliki-benches/peers
	target/release/kraliki-benches $(if $(ONLY),--only $(ONLY))

fmt: ## format everything
	cargo fmt --all

lint: console ## format and clippy, whose warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

clean: ## remove what was built
	cargo clean
	rm -rf web/build web/.svelte-kit web/node_modules
