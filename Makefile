# `make` lists the targets. `make test` is all that has to be green; it needs cargo (with rustfmt and clippy) and go.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo check lint test bless bench figures kills refusals crds image deny cluster-bin chart-bin cluster-up cluster-down require-rust require-go

CARGO ?= cargo

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: require-rust ## Build the operator and command line, optimised: target/release/jobrequest
	$(CARGO) build --release

demo: ## Show it at work on a cluster of its own
	./examples/demo.sh

check: lint chart-bin ## Format, lints, and all tests that need no cluster (a minute)
	$(CARGO) test --lib --bins --test it --test pod_memory

lint: require-rust ## Check format and lints
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --all-targets -- -D warnings

bless: require-rust cluster-bin ## Write all generated files and expected outputs anew; read the difference
	BLESS=1 $(CARGO) test --test it
	BLESS=1 $(CARGO) test --test cluster -- gitops::

test: require-rust require-go ## Check format and lints, then run every test (forty minutes the first time, then ten)
	@tests/run.sh

bench: require-rust ## Measure validate, compile and plan, optimised, and print what they take
	$(CARGO) bench --bench figures

figures: build cluster-bin ## Measure memory and writes with 10,000 finished JobRequests (ten minutes)
	JOBREQUEST_PROGRAM=$(CURDIR)/target/release/jobrequest $(CARGO) test --test cluster -- --ignored --nocapture scale::

kills: require-rust cluster-bin ## Kill the operator at each of its writes in every way (ten minutes); make test takes one way each
	$(CARGO) test --test cluster -- --ignored --nocapture campaign::

refusals: require-rust cluster-bin ## Refuse every call of the operator in every way (a quarter of an hour); make test takes a sample
	$(CARGO) test --test cluster -- --ignored --nocapture refusals::

crds: require-rust ## Write the CRDs into crds/
	BLESS=1 $(CARGO) test -q --test it crds::committed_files_are_current

image: require-rust ## Build the image, without a container engine: target/jobrequest-image.tar
	@.image/build.sh

deny: require-rust ## Check the dependencies: advisories, licenses, duplicates, sources
	@command -v cargo-deny >/dev/null || { echo "make: cargo-deny is missing: cargo install --locked cargo-deny (it reads .deny.toml)" >&2; exit 1; }
	$(CARGO) deny check

cluster-bin: require-go ## Build the programs of the test cluster: .cluster/bin
	@tests/cluster/control-plane/build.sh
	@tests/cluster/tools/build.sh

chart-bin: require-go
	@tests/cluster/tools/build.sh helm3 helm4 kubeconform

cluster-up: cluster-bin ## Start a cluster with simulated nodes: .cluster/kubeconfig
	@tests/cluster/cluster.sh up

cluster-down: ## Stop it, and remove what it left
	@tests/cluster/cluster.sh down

require-rust:
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing: install Rust 1.91 or newer (https://rustup.rs)" >&2; exit 1; }

require-go:
	@command -v go >/dev/null || { echo "make: go is missing: install Go 1.26 or newer (https://go.dev/dl/); it builds the test cluster" >&2; exit 1; }
