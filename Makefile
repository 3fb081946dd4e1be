# `make` alone lists what there is.
.DEFAULT_GOAL := help
ID ?= P1
DOCTOR ?= D1

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 16

build: ## both programs, optimised, in target/release
	cargo build --locked --release

demo: ## a doctor and three patients, from the first key to the last message
	cargo run --locked --example demo

run-doctor: ## the doctor's server (DOCTOR=D1)
	cargo run --locked --bin doctor -- --id $(DOCTOR)

run-patient: ## a patient, in another terminal (ID=P1 DOCTOR=D1)
	cargo run --locked --bin patient -- --id $(ID) --doctor-id $(DOCTOR)

test: ## all tests
	cargo test --locked

check: ## formatting, lints, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

check-gmp: ## lints and tests with GMP as oracle (needs m4, takes minutes)
	cargo clippy --locked --all-targets --features gmp -- -D warnings
	cargo test --locked --features gmp

.PHONY: help build demo run-doctor run-patient test check check-gmp
