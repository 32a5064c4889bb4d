# Everything a developer runs. What is missing on the machine is installed; nothing is left running.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test api-test bench conform lint build fuzz autobahn example-clients sqlx-prepare clean-local tools-nextest tools-deny tools-sqlx tools-fuzz

# Any cargo-nextest does; the others are pinned since what they accept and write changes with the version.
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2
SQLX_VERSION := 0.9.0
FUZZ_VERSION := 0.13.2

# Never a database of somebody's, since migrations are applied.
PREPARE := env -u DATABASE_URL deploy/services run -- sh -c \
  'cargo sqlx migrate run --source migrations && cargo sqlx prepare --workspace "$$@" -- --all-targets' -

FUZZ_SECONDS ?= 30
SECONDS ?= 600
SEED ?=
NEXTEST_ARGS ?=
ADDR ?= 127.0.0.1:8099
CONFORM_ARGS ?=

help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: ## run the whole system and watch a rollout (DEMO_EXIT=1: end after the show)
	@deploy/demo/run

test: tools-nextest ## run all tests (NEXTEST_ARGS: what to add for nextest)
	@SQLX_OFFLINE=true cargo build --workspace --bins --tests
	@examples=$$(deploy/lib/example-clients); SQLX_OFFLINE=true TEST_EXAMPLE_CLIENTS=$$examples \
	  deploy/services run --nginx -- cargo nextest run --workspace $(NEXTEST_ARGS)

bench: ## measure an edge against the limit of this machine (SCENARIO=fanout: one of them; RUNS)
	@deploy/bench

chaos: ## break everything for SECONDS (600) and see that nothing is lost (SEED: repeat a schedule of faults)
	@SQLX_OFFLINE=true cargo build --workspace --bins
	@SQLX_OFFLINE=true CHAOS_SECONDS=$(SECONDS) CHAOS_SEED=$(SEED) deploy/services run -- \
	  cargo test -p liveevents-loadtest --test chaos for_a_long_time -- --ignored --nocapture

lint: tools-deny tools-sqlx ## check format, lints, examples in docs, dependencies, SQL against the migrations, shell scripts
	cargo fmt --all --check
	SQLX_OFFLINE=true cargo clippy --workspace --all-targets -- -D warnings
	SQLX_OFFLINE=true cargo test --quiet --doc --workspace
	cargo deny check bans licenses sources
	$(PREPARE) --check
	deploy/lib/lint-shell

api-test: ## ask every operation of a running origin whether it does as the OpenAPI document says
	@deploy/lib/api-test

conform: ## try a game server's client on the protocol: it has to connect to ADDR (CONFORM_ARGS: --level Watch, --json FILE, ...)
	@SQLX_OFFLINE=true cargo run --quiet -p liveevents-loadtest -- conform --listen $(ADDR) $(CONFORM_ARGS)

build: ## build the release binaries
	SQLX_OFFLINE=true cargo build --release --workspace

example-clients: tools-nextest ## run examples/clients against the whole system and every rule of make conform
	@SQLX_OFFLINE=true cargo build --workspace --bins
	@examples=$$(deploy/lib/example-clients); SQLX_OFFLINE=true TEST_EXAMPLE_CLIENTS=$$examples \
	  deploy/services run -- cargo nextest run -p liveevents-loadtest --test example_clients --run-ignored all

fuzz: tools-fuzz ## run every fuzz target for FUZZ_SECONDS (30)
	@cd protocol; for target in $$(cargo fuzz list); do \
	  mkdir -p "fuzz/corpus/$$target"; \
	  cargo fuzz run --sanitizer none "$$target" "fuzz/corpus/$$target" golden/v1 -- -max_total_time=$(FUZZ_SECONDS); \
	done

autobahn: ## run the Autobahn test suite for WebSocket servers against the edge's framing
	@deploy/lib/autobahn

sqlx-prepare: tools-sqlx ## write .sqlx anew after a change of SQL or migrations
	$(PREPARE)

clean-local: ## stop services started by hand and remove .local
	@deploy/services clean

tools-nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)

tools-deny:
	@cargo deny --version 2>/dev/null | grep -qwF $(DENY_VERSION) || cargo install --locked cargo-deny --version $(DENY_VERSION)

tools-sqlx:
	@cargo sqlx --version 2>/dev/null | grep -qwF $(SQLX_VERSION) || \
	  cargo install --locked sqlx-cli --version $(SQLX_VERSION) --no-default-features --features postgres,rustls

tools-fuzz:
	@deploy/services ensure g++
	@cargo fuzz --version 2>/dev/null | grep -qwF $(FUZZ_VERSION) || cargo install --locked cargo-fuzz --version $(FUZZ_VERSION)
