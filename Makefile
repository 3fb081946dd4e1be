# `make` alone lists what there is.
.DEFAULT_GOAL := help

# Who takes part in `make run-doctor` and `make run-patient`.
ID ?= P1
DOCTOR ?= D1
# Their data directories: below here, away from real ones.
RUN ?= run
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug
# With a benchmark cargo builds the programs, too, into target/release: they are to
# stay what `make build` has made.
BENCH := cargo bench --locked --features postgres --bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 16

build: ## both programs, optimised, with PostgreSQL, in target/release
	cargo build --locked --release --bins --features postgres

demo: ## a doctor and three patients, from the first key to the last message
	cargo run --locked --example demo

run-doctor: ## the doctor's server (DOCTOR=D1)
	@cargo build --locked --bins
	@$(BIN)/doctor --data $(RUN)/doctor --id $(DOCTOR) --plain-keys

run-patient: $(RUN)/$(ID)@$(DOCTOR).enrolled ## a patient, in another terminal (ID=P1 DOCTOR=D1)
	@$(BIN)/patient --data $(RUN)/patient --id $(ID) --doctor-id $(DOCTOR)

$(RUN)/$(ID)@$(DOCTOR).enrolled:
	@cargo build --locked --bins
	@$(BIN)/doctor --data $(RUN)/doctor --id $(DOCTOR) list >/dev/null || { \
	    echo "start the doctor first, with 'make run-doctor' in another terminal" >&2; \
	    exit 1; }
	@ticket=$$($(BIN)/doctor --data $(RUN)/doctor --id $(DOCTOR) enrol $(ID) 2>/dev/null) && \
	printf '%s\n' "$$ticket" | $(BIN)/patient --data $(RUN)/patient --plain-keys enrol -
	@touch '$@'

test: ## all tests that need no other program
	cargo test --locked
	@echo "skipped: the tests with a PostgreSQL server; 'make test-postgres' runs them"

test-postgres: ## the tests with a PostgreSQL server (needs Debian's postgresql)
	cargo clippy --locked --all-targets --features postgres -- -D warnings
	scripts/postgres-server cargo test --locked --features postgres --lib store::
	scripts/postgres-server cargo test --locked --features postgres --test programs -- postgres:: revoke_doctor::
	scripts/postgres-server cargo test --locked --features postgres --test clinic
	scripts/postgres-server cargo test --locked --features postgres --test released_postgres
	scripts/postgres-server cargo test --locked --features postgres --test doctor_server nodes
	scripts/postgres-server cargo test --locked --features postgres --test clinic_faults -- \
	    --test-threads 4

soak: ## kill doctor and patients 500 times, account for every message (minutes)
	TELEMED_SOAK_CYCLES=$(or $(CYCLES),500) cargo test --locked --test kill_anywhere -- --nocapture

bench: ## measure everything that needs no peer; docs/performance.md has figures
	$(BENCH) exponentiation
	$(BENCH) protocol
	$(BENCH) sealing
	$(BENCH) safe_primes
	$(BENCH) store
	$(BENCH) flood
	python3 benches/startup.py

bench-openssl: ## measure sealing and safe primes beside OpenSSL (ten minutes)
	python3 benches/openssl.py sealing
	python3 benches/openssl.py primes

bench-peers: build ## measure handshakes and broadcasts beside OpenSSL, Mosquitto and NATS
	cargo build --locked --release --features postgres --example load
	python3 benches/peers.py handshakes
	python3 benches/peers.py broadcasts

load: build ## a server with many patients: handshakes, broadcasts, memory (N=1000)
	cargo run --locked --release --features postgres --example load -- --patients $(or $(N),1000)

bench-clinic: build ## 1, 2 and 4 nodes on one PostgreSQL server (needs Debian's postgresql)
	cargo build --locked --release --features postgres --example load
	scripts/postgres-server scripts/load-clinic $(or $(N),1000)
	scripts/postgres-server $(BENCH) clinic_store

bench-constant-time: ## whether durations tell secrets apart (takes minutes)
	$(BENCH) constant_time

bench-gmp: ## measure exponentiation beside GMP (needs m4, takes minutes)
	cargo bench --locked --bench exponentiation --features gmp --target-dir $(TARGET)/gmp

check: ## formatting, lints, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --example constant_time --features check-constant-time -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

check-gmp: ## lints and tests with GMP as oracle (needs m4, takes minutes)
	cargo clippy --locked --all-targets --features gmp -- -D warnings
	cargo test --locked --features gmp

check-constant-time: ## branches and indices that depend on secrets (needs valgrind)
	cargo build --locked --example constant_time --features check-constant-time
	python3 scripts/check_ifma.py $(BIN)/examples/constant_time
	valgrind --error-limit=no --log-file=$(BIN)/constant_time.log $(BIN)/examples/constant_time || \
	    { echo "$(BIN)/constant_time.log says where" >&2; exit 1; }

.PHONY: help build demo run-doctor run-patient test test-postgres soak bench bench-clinic bench-openssl \
    bench-peers bench-constant-time bench-gmp load check check-gmp check-constant-time
