# The doorway: every target sets up what it needs (scripts/setup.sh, Debian packages) and builds with
# meson. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BUILD := build/release
ENDPOINT ?= http://127.0.0.1:64011
TX_ENDPOINT ?= http://127.0.0.1:64012
FROM_ID ?= 0
SLEEP ?= 1000
ARGS ?=

.PHONY: help setup build test test-quick demo run-dsn kill-dsn run-listener run-spammer run-sequencer \
	run-rollup run-operator bench kernel-cost kernel-flood rollup-faults fuzz fuzz-seeded tsan power-loss under-fire mutations soak lint format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		awk -F'\t' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: ## install missing Debian packages (root or sudo)
	@./scripts/setup.sh

build: setup ## build every program into build/release
	@./scripts/build.sh $(BUILD)

test: setup ## every test, plain and under ASan + UBSan; ends with "N passed, N failed"
	@./scripts/test.sh

test-quick: build ## unit, golden and lint tests only
	@meson test -C $(BUILD) --suite unit --suite golden --suite lint --print-errorlogs

demo: build ## the main job end to end: one transaction from client to kernel (KEEP=1 leaves it running)
	@./scripts/demo.sh

run-dsn: build ## a fresh local committee of 7 nodes in the foreground; Ctrl-C stops them
	@./scripts/cluster.sh run

kill-dsn: ## stop exactly what run-dsn, demo and run-sequencer started
	@./scripts/cluster.sh kill

run-listener: build ## print pre-blocks (ENDPOINT=http://127.0.0.1:64011 FROM_ID=0 ARGS=...)
	@$(BUILD)/consensus/tools/dsn-listener --endpoint $(ENDPOINT) --from-id $(FROM_ID) $(ARGS)

run-spammer: build ## send transactions (ENDPOINT=http://127.0.0.1:64012 SLEEP=1000 ARGS=...)
	@$(BUILD)/consensus/tools/dsn-spammer --endpoint $(if $(filter command environment,$(origin ENDPOINT)),$(ENDPOINT),$(TX_ENDPOINT)) \
		--sleep $(SLEEP) $(ARGS)

run-rollup: build ## a local rollup node with the packed kernel of the local committee
	@./scripts/cluster.sh rollup $(ARGS)

run-sequencer: build ## a sequencer between the local cluster and the local rollup node
	@./scripts/cluster.sh sequencer $(ARGS)

run-operator: ## the operator container on today's octez images (docker/operator)
	@./docker/run-operator.sh $(ARGS)

bench: build ## load the local cluster, print SUMMARY, write build/bench/summary.json
	@./scripts/bench.sh $(ARGS)

kernel-cost: build ## wasm instructions per pre-block and per 4 KB page
	@ninja -C $(BUILD) kernel-cost

kernel-flood: build ## MESSAGES=10000000 adversarial inbox messages through the kernel, compared with a model
	@$(BUILD)/tests/kernel/kernel_flood --messages $(or $(MESSAGES),10000000) $(ARGS)

rollup-faults: build ## ROUNDS=10 of sequencers under a rollup node that misbehaves, with kills and reorgs
	@python3 tests/sequencer/rollup_faults.py --build $(BUILD) --rounds $(or $(ROUNDS),10) $(ARGS)

fuzz: setup ## coverage-guided fuzzing of every decoder (SECONDS_EACH=60, DRIVERS="header vote" only these); running totals
	@FUZZ_DRIVERS="$(DRIVERS)" ./scripts/fuzz.sh guided $(or $(SECONDS_EACH),60)

fuzz-seeded: build ## seeded changes of every decoder's corpus, in bulk (SECONDS_EACH=60); totals of both kinds
	@FUZZ_DRIVERS="$(DRIVERS)" ./scripts/fuzz.sh seeded $(or $(SECONDS_EACH),60)

tsan: setup ## the tests whose threads meet, and a cluster under load, under the thread sanitizer
	@./scripts/tsan.sh

power-loss: build ## seven nodes on disks that forget what was not synced, killed under load (ROUNDS=20, ARGS)
	@./tests/cluster/power.py --build $(BUILD) --rounds $(or $(ROUNDS),20) $(ARGS)

under-fire: build ## seven nodes in network namespaces: 200 kills, partitions, bad disks, hostile clients (ARGS; root)
	@./tests/cluster/netns.py --build $(BUILD) $(ARGS)

mutations: build ## every bug of tests/sim/mutations.ini must be detected; prints the seeds needed
	@python3 tests/sim/mutations.py --programs $(BUILD)/tests/sim $(ARGS)

soak: build ## SEEDS=10000 more seeds of the simulator, committees of 4 to 13; a failure is made smaller; running totals
	@python3 tests/sim/soak.py --seeds $(or $(SEEDS),10000) $(ARGS)

lint: ## format, floors, banned calls, lengths
	@./scripts/lint.sh

format: ## apply .clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove everything that was built; local clusters too
	@./scripts/cluster.sh kill
	@rm -rf build
