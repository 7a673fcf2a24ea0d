# What one does with a checkout. A plain `make` lists it.

.DEFAULT_GOAL := help
# Each target is a line of cargo, which uses all cores itself: side by side they would only wait for each other.
.NOTPARALLEL:
.PHONY: help setup demo test test-web test-homeassistant test-recipes torture lint audit bench bench-micro bench-peers fuzz build aarch64 install deb dist test-deb

PYTHON ?= python3
CARGO ?= cargo
FUZZ_SECONDS ?= 60
TORTURE_KILLS ?= 200
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
# Where `install` puts things: the daemon and the unit look for them under /usr, whatever DESTDIR is.
DESTDIR ?=

# libjpeg's SIMD code needs nasm. Deferred on purpose: a recipe expands this when it runs, and sees a nasm that `setup`
# has just installed.
FEATURES = $(if $(shell command -v nasm 2>/dev/null),,--no-default-features)
RUN = $(CARGO) run --release --locked $(FEATURES) --

help: ## Show this
	@echo 'Usage: make TARGET'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target what; do \
		printf '  %-18s %s\n' "$$target" "$$what"; done

setup: ## Fetch ONNX Runtime and the model (every target below that needs them does it by itself)
	@$(PYTHON) -B tools/setup

demo: setup ## Show it at work: broker, cameras and daemon in one process [ARGS="--seconds 20"]
	@$(RUN) demo $(ARGS)

test: setup ## Run all tests
	$(PYTHON) -B -m unittest discover --start-directory tools
	$(PYTHON) -B -m unittest discover --start-directory cross
	$(PYTHON) -B -m unittest discover --start-directory bench/peers
	$(CARGO) test --locked $(FEATURES)

test-web: setup ## Test the page in Chromium and the API against its description [ARGS="-k Review"]
	@$(PYTHON) -B tools/setup web
	@# The program as the other tests have it: alone, it would be built anew with other features of the same packages.
	$(CARGO) test --locked $(FEATURES) --no-run --test it
	$(PYTHON) -B -m unittest discover --start-directory tests/web $(ARGS)

test-homeassistant: setup ## Test discovery with Home Assistant itself, its core and its validators [ARGS="-k update"]
	@$(PYTHON) -B tools/setup homeassistant
	$(CARGO) test --locked $(FEATURES) --no-run --test it
	@# What its packages warn of among themselves is left out.
	tools/.python-next/python -B -W ignore -m unittest discover --start-directory tests/homeassistant $(ARGS)

test-recipes: setup ## Try what docs/ shows: Mosquitto, Node-RED, ffmpeg, Prometheus, several nodes [ARGS="-k Frigate"]
	@$(PYTHON) -B tools/setup recipes
	@# As for test-web.
	$(CARGO) test --locked $(FEATURES) --no-run --test it
	$(PYTHON) -B -m unittest discover --start-directory tests/recipes $(ARGS)

# In a mount namespace of its own: one of the tests fills a small file system.
torture: setup ## Kill the daemon TORTURE_KILLS (200) times while feedback flows, damage its files, fill its disk
	TORTURE_KILLS=$(TORTURE_KILLS) unshare --map-root-user --mount \
		$(CARGO) test --locked $(FEATURES) --test it -- torture:: --include-ignored --nocapture --test-threads 1

lint: setup ## Check format, warnings, documentation, scripts, the systemd unit and licences
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --all-targets --locked $(FEATURES) -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items --locked --quiet $(FEATURES)
	@# Compiled in memory only: nothing is left behind.
	$(PYTHON) -c 'import sys; [compile(open(f, "rb").read(), f, "exec") for f in sys.argv[1:]]' $(wildcard tools/*.py cross/*.py bench/peers/*.py tests/*/*.py tests/*/support/*.py tests/homeassistant/rig/*.py packaging/*.py packaging/tests/*.py) cross/build cross/try bench/peers/compare tools/setup tools/build_model tools/make_prior tools/quantise tools/seal tools/pin_homeassistant packaging/build packaging/test_deb
	@$(lint_unit)
	@if $(CARGO) deny --version >/dev/null 2>&1; then set -x; $(CARGO) deny --locked check bans licenses sources; \
	else echo 'lint: licences and sources left out: cargo-deny is not installed (cargo install --locked cargo-deny)'; fi

# The unit names programs that this machine need not have: for the check, `true` stands in for them. systemd-analyze
# only mentions a key that it does not know, so anything said about the unit counts as wrong. Its exposure, in tenths, may not
# grow without someone seeing it.
define lint_unit
if command -v systemd-analyze >/dev/null; then \
	echo 'systemd-analyze verify, security systemd/glanced.service'; \
	folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	sed -E 's#^(Exec(Start|StartPre|Reload)=-?)[^ ]+#\1/bin/true#' systemd/glanced.service >"$$folder/glanced.service" && \
	! systemd-analyze verify --man=no "$$folder/glanced.service" 2>&1 | grep glanced.service && \
	systemd-analyze security --offline=true --threshold=12 "$$folder/glanced.service" >/dev/null; \
else echo 'lint: the unit left out: systemd-analyze is not installed'; fi
endef

# Not part of lint: it asks the network, and what passes today may fail tomorrow without a change here.
audit: ## Ask for known vulnerabilities in dependencies; needs cargo-deny
	$(CARGO) deny --locked check advisories

bench: setup ## Measure throughput, freshness and memory through a real broker [ARGS=--json]
	@$(RUN) bench $(ARGS)

bench-micro: setup ## Measure the steps beside the network on their own [ARGS="decode"]
	$(CARGO) bench --locked $(FEATURES) $(if $(ARGS),-- $(ARGS))

bench-peers: build ## Compare with the same job in Python: ONNX Runtime, Flask, OpenVINO [ARGS="--rounds 2 --only a"]
	@$(PYTHON) -B tools/setup peers
	@$(PYTHON) -B bench/peers/compare $(ARGS)

fuzz: ## Run each fuzz target for FUZZ_SECONDS (60); needs cargo-fuzz and a C++ compiler
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install --locked cargo-fuzz' >&2; exit 1; }
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		echo "fuzz: $$target for $(FUZZ_SECONDS) s"; \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) $(FUZZ_ARGS); \
	done

build: setup ## Build the daemon: target/release/glanced
	$(CARGO) build --release --locked $(FEATURES)

# The Docker-free way. On ARM itself, `make build` is what one wants.
aarch64: setup ## Build for ARM (aarch64), without Docker, and test that under an emulator: cross/build, cross/try
	@$(PYTHON) -B cross/build aarch64
	@$(PYTHON) -B cross/try

install: ## Install what `make build` made, under DESTDIR (as root), where there is no package for
	@$(PYTHON) -B packaging/build tree $(DESTDIR)/

# The portable program comes from cross/build, whatever this machine's C library is.
deb: setup ## Make the Debian package for this machine, into dist/ [ARCH=amd64, ARCH=arm64]
	@$(PYTHON) -B packaging/build deb $(ARCH)

dist: setup ## Make all that a release has, for both architectures: packages, archives, SBOMs, checksums
	@$(PYTHON) -B packaging/build dist

test-deb: ## Test the packages in dist/ in a Debian 12 of their own, as root [ARGS="-k Upgraded"]
	@$(PYTHON) -B tools/setup package
	@$(PYTHON) -B packaging/test_deb $(ARGS)
