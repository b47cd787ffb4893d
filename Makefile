# `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check crds role goldens bench functions build version sbom stage image images archive chart sums

# One static file: the image needs nothing else. It is compiled for size, but linked for speed, and what runs need stands together.
LINK := -C opt-level=3 -C link-arg=-Wl,-T,$(CURDIR)/src/functions.ld
BUILD := cargo rustc --release --locked --bin istio-operator -- -C target-feature=+crt-static -C relocation-model=static $(LINK)
# Most tests wait for a control plane rather than for the processor.
THREADS := 7
CRD := crds/istiooperators.install.istio.io.yaml
ROLES := config/rbac

# What is shipped, and by what it is named.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
REVISION := $(shell git rev-parse HEAD 2>/dev/null)
ARCH := $(shell uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
# The same commit gives the same bytes: nothing has another date than this one.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
endif
ISO := +%Y-%m-%dT%H:%M:%SZ
CREATED := $(shell date -u -d @$(SOURCE_DATE_EPOCH) $(ISO) 2>/dev/null || date -u -r $(SOURCE_DATE_EPOCH) $(ISO))
export CREATED SOURCE_DATE_EPOCH
DIST := target/dist
# Given, it is taken as it is; else it is built.
ifeq ($(origin BINARY),undefined)
BINARY := target/release/istio-operator
BUILT := build
endif
# Where the image is published; what is shipped names it so.
REPOSITORY ?= istio-operator
IMAGE := $(REPOSITORY):$(VERSION)
NAME_IMAGE = sed -i -E 's,^( *(image|repository): )istio-operator(:|$$),\1$(REPOSITORY)\3,'
# A docker without its engine does not count.
BUILDER = $(shell if docker info >/dev/null 2>&1; then echo docker; else command -v podman || command -v buildah; fi)
CA_BUNDLE := /etc/ssl/certs/ca-certificates.crt
# The rights that all have.
SETTLE := chmod -R u=rwX,go=rX
TAR := tar --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner
COMPRESS := gzip -n -9
IMAGE_ARGS = $(if $(PACKAGES),--build-arg PACKAGES=packages) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
  --build-arg CREATED=$(CREATED) --build-arg SOURCE=$(SOURCE)

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: ## a local control plane, the operator, and config/samples/demo.yaml until it is HEALTHY
	@echo "== building the operator and the demo"
	cargo build --locked --bin istio-operator --example demo
	@cargo run --locked --quiet --example demo

test: ## the tests that take seconds, with a real control plane
	RUST_TEST_THREADS=$(THREADS) cargo test --locked --workspace

# Those that write goldens do not count.
test-all: ## all tests, the long ones too: kills, time that passes, whole documents, upgrades of releases
	RUST_TEST_THREADS=$(THREADS) cargo test --locked --workspace -- --include-ignored --skip are_written_where

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

bench: build ## speed and memory of manifest generate, install, the operator and the chart engine
	cargo bench --locked --profile dev --bench bench
	cargo bench --locked -p helm-template --features cli --bench render

functions: ## write src/functions.ld: the functions that runs need, for the linker; with valgrind
	CARGO_TARGET_DIR=target/functions CARGO_PROFILE_RELEASE_STRIP=false $(BUILD)
	ISTIO_OPERATOR=$(CURDIR)/target/functions/release/istio-operator cargo bench --locked --profile dev --bench bench -- functions

build: ## the release binary
	$(BUILD)
	@ls -l target/release/istio-operator

version: # of what is made
	@echo $(VERSION)

SBOM := $(DIST)/istio-operator-$(VERSION)-linux-$(ARCH).cdx.json
sbom: ## DIST/istio-operator-VERSION-linux-ARCH.cdx.json: what the binary is made of (CycloneDX)
	@mkdir -p $(DIST)
	cargo run --locked --quiet -p sbom $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu > $(SBOM).new && mv $(SBOM).new $(SBOM)

stage: $(BUILT)
	@rm -rf $(DIST)/image/$(ARCH) $(DIST)/image/packages && mkdir -p $(DIST)/image/$(ARCH)/etc/ssl/certs $(DIST)/image/$(ARCH)/licenses
	@mkdir -p $(DIST)/image/no-packages $(DIST)/image/packages
	cp $(BINARY) $(DIST)/image/$(ARCH)/istio-operator
	cp $(CA_BUNDLE) $(DIST)/image/$(ARCH)/etc/ssl/certs/ca-certificates.crt
	cp LICENSE NOTICE $(DIST)/image/$(ARCH)/licenses
	$(if $(PACKAGES),cp -RL $(PACKAGES)/. $(DIST)/image/packages)
	@$(SETTLE) $(DIST)/image && chmod a+x $(DIST)/image/$(ARCH)/istio-operator
	@find $(DIST)/image -exec touch -h -d @$(SOURCE_DATE_EPOCH) {} +

image: stage ## the image IMAGE, with docker, podman or buildah; PACKAGES=FOLDER bakes in release packages, a folder for each version
	@test -n "$(BUILDER)" || { echo "neither docker (with its engine), podman nor buildah is here"; exit 1; }
	$(BUILDER) build --platform linux/$(ARCH) -f Dockerfile -t $(IMAGE) \
	  $(if $(filter docker,$(BUILDER)),,--format oci --timestamp $(SOURCE_DATE_EPOCH)) \
	  --build-arg TARGETARCH=$(ARCH) $(IMAGE_ARGS) $(DIST)/image

PLATFORMS := linux/amd64,linux/arm64
images: ## the image IMAGE for PLATFORMS, each laid out by `make stage ARCH=…` before, pushed with docker's buildx
	docker buildx build --platform $(PLATFORMS) -f Dockerfile --provenance=false $(IMAGE_ARGS) \
	  --output type=image,name=$(IMAGE),push=true,rewrite-timestamp=true --metadata-file $(DIST)/image.json $(DIST)/image

# What is in it: as in Istio's own archives.
ARCHIVE := istio-operator-$(VERSION)
archive: $(BUILT) ## DIST/istio-operator-VERSION-linux-ARCH.tar.gz, which names the image at REPOSITORY
	@rm -rf $(DIST)/$(ARCHIVE) && mkdir -p $(addprefix $(DIST)/$(ARCHIVE)/,bin manifests samples tools/prometheus)
	cp LICENSE README.md $(DIST)/$(ARCHIVE)
	cp $(BINARY) $(DIST)/$(ARCHIVE)/bin/istio-operator
	cp -RL charts profiles config crds $(DIST)/$(ARCHIVE)/manifests
	mv $(DIST)/$(ARCHIVE)/manifests/config/helm/istio-operator $(DIST)/$(ARCHIVE)/manifests/charts
	@rmdir $(DIST)/$(ARCHIVE)/manifests/config/helm
	$(NAME_IMAGE) $(addprefix $(DIST)/$(ARCHIVE)/manifests/,config/operator/deployment.yaml charts/istio-operator/values.yaml)
	cp -R config/samples/. $(DIST)/$(ARCHIVE)/samples
	cp config/prometheus/rules.yaml $(DIST)/$(ARCHIVE)/tools/prometheus
	@printf '%s\n' "version: $(VERSION)" "revision: $(REVISION)" "created: $(CREATED)" "architecture: $(ARCH)" \
	  "builtInRelease: $$(sed -n 's/^ *tag: //p' profiles/default.yaml | head -n 1)" > $(DIST)/$(ARCHIVE)/manifest.yaml
	@$(SETTLE) $(DIST)/$(ARCHIVE) && chmod a+x $(DIST)/$(ARCHIVE)/bin/istio-operator
	$(TAR) -C $(DIST) -cf - $(ARCHIVE) | $(COMPRESS) > $(DIST)/$(ARCHIVE)-linux-$(ARCH).tar.gz
	@rm -rf $(DIST)/$(ARCHIVE)

chart: ## DIST/istio-operator-chart-VERSION.tgz: the Helm chart, with files in place of links, and the image at REPOSITORY
	@rm -rf $(DIST)/istio-operator && mkdir -p $(DIST)
	cp -RL config/helm/istio-operator $(DIST)/istio-operator
	$(NAME_IMAGE) $(DIST)/istio-operator/values.yaml
	@$(SETTLE) $(DIST)/istio-operator
	$(TAR) -C $(DIST) -cf - istio-operator | $(COMPRESS) > $(DIST)/istio-operator-chart-$(VERSION).tgz
	@rm -rf $(DIST)/istio-operator

sums: ## DIST/SHA256SUMS: the checksums of all that is there to download
	cd $(DIST) && sha256sum *.tar.gz *.tgz *.cdx.json > SHA256SUMS
