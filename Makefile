# `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help demo test check crds role goldens bench build

# One static file: the image needs nothing else.
BUILD := cargo rustc --release --locked --bin istio-operator -- -C target-feature=+crt-static -C relocation-model=static
# Most tests wait for a control plane rather than for the processor.
THREADS := 6
CRD := crds/istiooperators.install.istio.io.yaml
ROLES := config/rbac

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

demo: ## a local control plane, the operator, and config/samples/demo.yaml until it is HEALTHY
	@echo "== building the operator and the demo"
	cargo build --locked --bin istio-operator --example demo
	@cargo run --locked --quiet --example demo

test: check ## everything: the checks, then all tests, with a real control plane
	@echo "== tests"
	RUST_TEST_THREADS=$(THREADS) cargo test --locked --workspace

check: ## formatting, lints, generated files, documentation, dependencies
	@echo "== format"
	cargo fmt --all --check
	@echo "== lints"
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@echo "== generated CRD and role"
	cargo test --locked --workspace --quiet --test cli -- is_the_committed_one
	@echo "== documentation"
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	@echo "== dependencies"
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed; skipped"; fi

crds: ## write the CRD from the Rust types
	cargo run --locked --quiet -- crd > $(CRD).new && mv $(CRD).new $(CRD)

role: ## write the ClusterRoles: the operator's own, and one for each line of releases in RELEASES=FOLDER (and the built-in one)
	cargo run --locked --quiet -- role > $(ROLES)/role.yaml.new && mv $(ROLES)/role.yaml.new $(ROLES)/role.yaml
	@for package in 1.17.8 $(wildcard $(RELEASES)/*); do \
	  line=$$(basename $$package | cut -d. -f1,2); file=$(ROLES)/releases/$$line.yaml; echo $$file; \
	  cargo run --locked --quiet -- role -d $$package > $$file.new && mv $$file.new $$file || exit 1; \
	done

goldens: ## write what tests/parity and tests/crds expect, where it is what RECORDED=FOLDER has of release 1.17.8
	@test -d "$(RECORDED)" || { echo "usage: make goldens RECORDED=FOLDER (CONTRIBUTING.md, Goldens)"; exit 1; }
	RECORDED="$(abspath $(RECORDED))" cargo test --locked --quiet --no-fail-fast --test parity --test crds -- --ignored --show-output

bench: build ## speed and memory of manifest generate, of the idle operator, and of the chart engine
	cargo bench --locked --profile dev --bench bench
	cargo bench --locked -p helm-template --features cli --bench render

build: ## the release binary
	$(BUILD)
	@ls -l target/release/istio-operator
