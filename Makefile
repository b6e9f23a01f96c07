# Needs Rust, make and Python 3, nothing else. `make help` says what there is.

PYTHON ?= python3
CARGO ?= cargo
# Arguments for the program that a target runs: `make demo ARGS="--rate 20"`, `make test ARGS=tidy`.
ARGS ?=
# The one bench to run; all of them without it.
BENCH ?=

# Clippy for one set of features: every warning is an error.
clippy = $(CARGO) clippy --locked --all-targets $(1) -- -D warnings

.DEFAULT_GOAL := help
.PHONY: help demo test check components bench soak ci-tools

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build and run the whole system: NATS, the services, a gentle load, the dashboard
	@$(PYTHON) tools/demo.py $(ARGS)

test: ## Run every test, with a real nats-server where one is needed
	@$(PYTHON) tools/test.py $(ARGS)

check: components ## Check formatting, lints and docs, for each set of features
	$(CARGO) fmt --check
	$(call clippy,--all-features)
	$(call clippy,--no-default-features)
	$(call clippy,--no-default-features --features probes)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --all-features

components:
	@for part in fmt clippy; do \
	  $(CARGO) $$part --version >/dev/null 2>&1 || \
	  { echo "cargo $$part is missing: run \`rustup component add rustfmt clippy\`" >&2; exit 1; }; \
	done

bench: ## Measure against the bars: make bench [BENCH=name]
	@$(PYTHON) tools/nats_server.py $(CARGO) bench --locked --bench bench -- $(BENCH)

soak: ## Run the mesh under load while services are killed: make soak [ARGS="--minutes 30 --seed 7"]
	@$(PYTHON) tools/nats_server.py $(CARGO) bench --locked --bench bench -- soak $(ARGS)

ci-tools: ## Install what only some tests need (as root, with apt)
	@$(PYTHON) tools/ci_tools.py
