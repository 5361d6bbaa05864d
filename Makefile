# The tasks of this repository. Every step of CI is one of these targets.

GO       ?= go
BIN      := $(CURDIR)/.tools/bin
BUF      := v1.75.0
GOLANGCI := v2.15.0
GOVULN   := v1.9.0
# ./... does not include packages in testdata, so they are listed here.
GOLDENS  := $(patsubst %,./%/...,$(wildcard testdata/*/golden))
# What golangci-lint checks, with the checks of staticcheck: of the examples one, since their
# copies of the runtime are the same.
LINTED   := . bench examples/receiver
# What CI tests of interop: the others build the libraries of Kubernetes, Prometheus and
# OpenTelemetry's collector, which takes minutes. make interop tests all.
SAMPLE   := ./browser ./clients ./cloudevents ./conformance ./console ./once
# A module of its own within interop, with a library of 32 MB that is linked by a compiler of C++.
DUCKDB   := $(if $(shell command -v g++),&& cd duckdb && $(GO) vet . && $(GO) test -count=1 -vet=off .)
EXAMPLES := examples/receiver examples/custom examples/clickstream examples/adopt examples/hooked
TYPESCRIPT := examples/languages/typescript
# Tests write many small files: into /dev/shm if it has 8 GB, where that takes a tenth of the
# kernel's time that it takes on a disk.
MEMORY := $(or $(TMPDIR),$(shell awk '$$2 == "/dev/shm" && $$4 !~ /noexec/' /proc/mounts 2>/dev/null | grep -q . && \
	[ $$(df -Pm /dev/shm | awk 'END {print $$4}') -ge 8000 ] && echo /dev/shm),/tmp)
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: plugins ## generate a service, run it, send it an event, read it back (2 minutes the first time)
	@examples/demo.sh

.PHONY: test
test: plugins missing ## test every package, with a sample of the slow tests (3 minutes, with warm caches)
test: SHORT  := -short
test: CORPUS := -module container-storage-interface

# CI takes of some tests a sample, too, where a target runs all: make matrix, cutoff, watch,
# crash, abuse, rotate, restart, interop and corpus.
.PHONY: test-all
test-all: plugins missing ## run all tests, as CI does (at most 20 minutes)
test-all: RACE   := -race
test-all: CORPUS := -sample
test-all: INTEROP := && $(GO) test -short -count=1 -vet=off $(SAMPLE)

# Two rows of steps run at once: the tests of internal compile, most others wait. So -parallel
# lets more of them wait than there are cores. The tests of internal run other programs,
# which the test cache can't know. ROWS=1 runs one row after the other, as CI does: where a
# machine is slow, tests that wait for seconds fail beside the other row.
ROWS ?= 2
test test-all: export TMPDIR := $(MEMORY)
test test-all:
	@$(MAKE) --no-print-directory --output-sync=line -j$(ROWS) test-internal test-others \
		SHORT='$(SHORT)' RACE='$(RACE)' CORPUS='$(CORPUS)' INTEROP='$(INTEROP)'

.PHONY: test-internal test-others
test-internal:
	$(GO) test $(SHORT) -count=1 -timeout 30m -vet=off ./cmd/... ./internal/... ./templates

# go vet -race of the examples, because go test needs the same packages compiled.
test-others:
	$(GO) test $(SHORT) -race -vet=off -parallel 4 ./runtime/...
	$(GO) vet ./... $(GOLDENS)
	$(GO) test $(RACE) -vet=off $(GOLDENS)
	@for dir in $(EXAMPLES); do echo "== $$dir"; (cd $$dir && $(GO) vet $(RACE) ./... && $(GO) test $(RACE) -vet=off ./...) || exit 1; done
	cd bench && $(GO) vet ./... && $(GO) test -count=1 -vet=off ./...
	cd interop && $(GO) vet $(SAMPLE) $(INTEROP)
	cd corpus && $(GO) vet . && $(GO) test -vet=off . && $(GO) run . $(CORPUS)

# Lists what tests are skipped for. In CI they fail instead.
.PHONY: missing
missing:
	@for program in protoc buf strace grpc_python_plugin sqlite3 jq openssl node npm chromium bash zsh fish systemd-analyze; do \
		command -v $$program >/dev/null || echo "skipping the tests that need $$program, which is not installed"; done
	@command -v g++ >/dev/null || echo "skipping the test of interop with DuckDB, which needs g++"
	@command -v mariadbd >/dev/null || test -x /usr/sbin/mariadbd || echo "skipping the tests that need mariadbd, which is not installed"
	@command -v initdb >/dev/null || test -n "$$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" || echo "skipping the tests that need PostgreSQL's initdb, which is not installed"
	@python3 -c 'import grpc, google.protobuf' 2>/dev/null || /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || \
		echo "skipping the tests that need Python's grpc, which is not installed"
	@test -d .tools/typescript/node_modules || echo "skipping the tests that need the client in TypeScript, which make tools installs"
	@test -d .tools/interop/node_modules || echo "skipping the tests of interop that need libraries of npm, which make tools installs"

.PHONY: cover
cover: export TMPDIR := $(MEMORY)
cover: plugins ## measure which statements the tests run; files below 85 % need a reason (10 minutes)
	$(GO) run ./internal/cover

.PHONY: interop
interop: plugins missing ## test generated servers with the clients and tools that others use with them (minutes)
	cd interop && $(GO) vet ./... && $(GO) test -count=1 -timeout 20m -vet=off ./... $(DUCKDB)

.PHONY: console
console: plugins missing ## use the console in Chromium, and measure whether watching slows ingest down (4 minutes); PICTURES=DIR keeps pictures
	cd interop && CONSOLE_LOAD=6 $(if $(PICTURES),CONSOLE_PICTURES='$(PICTURES)') $(GO) test -count=1 -timeout 10m -vet=off -v ./console

.PHONY: corpus
corpus: ## generate for 400 services of public modules, build, vet and test them (15 minutes)
	cd corpus && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) run .

.PHONY: crash
crash: ## kill servers, consumers and NATS nodes under load, and check that no acknowledged event is lost
	EVENTLOG_CRASH_ROUNDS=20 $(GO) test -count=1 -timeout 10m -v -run Killed ./runtime/eventlog/sqlite
	CRASH_ROUNDS=20 $(GO) test -count=1 -timeout 10m -v -run Killed ./internal/acceptance
	EVENTLOG_TEST_LONG=1 $(GO) test -count=1 -timeout 15m -v -run ServersFail ./runtime/eventlog/nats

.PHONY: backup
backup: ## make a backup of a log of 1 GB beside 50 commits a second, crash the log, and restore the backup over it (a minute)
	EVENTLOG_BACKUP_MB=1024 $(GO) test -count=1 -timeout 10m -v -run ABackupUnderLoad ./runtime/eventlog/sqlite

.PHONY: copy
copy: ## copy a million events from a file to three NATS servers, under load, and back, killed five times (minutes)
	EVENTLOG_COPY_EVENTS=1000000 $(GO) test -count=1 -timeout 60m -v -run ALogIsMovedToACluster ./runtime/eventlog/nats

.PHONY: million
million: plugins ## send a million lines to a generated server with its client, and again interrupted and resumed: rate, memory, exact count (minutes); LINES=100000 for fewer
	MILLION=$(or $(LINES),1000000) $(GO) test -count=1 -timeout 60m -v -run AFileIsStoredOnce ./internal/acceptance

.PHONY: exactly-once
exactly-once: ## kill a sender, a generated service, a consumer and the nodes of a cluster: rows written = events stored = effects (15 minutes); KILLS=20 NODES=4 for fewer
	ONCE_KILLS=$(or $(KILLS),100) $(GO) test -count=1 -timeout 10m -v ./internal/exactlyonce
	cd interop && ONCE_KILLS=$(or $(KILLS),100) ONCE_NODES=$(or $(NODES),34) $(GO) test -count=1 -timeout 60m -v -run Killed ./once

.PHONY: shadow
shadow: ## have a consumer with three mistakes take 100,000 stored events, and print what is found (15 seconds)
	SHADOW_EVENTS=100000 $(GO) test ./runtime/servertest -count=1 -v -run ShadowFinds

.PHONY: prove
prove: ## kill the server of examples/receiver under load, slow its log and fill its disk: nothing acknowledged is lost (a minute)
	cd examples/receiver && $(GO) test -tags prove -count=1 -v -run Prove ./cmd/receiver-server

.PHONY: rotate
rotate: ## replace certificates and API keys under load, and put wrong ones in their place (a minute)
	@$(GO) run ./internal/rotate

.PHONY: publisher
publisher: ## kill a publisher's process, a generated service, and cut the network between them: what was published = what is stored; an outage of two million events; a disk that is full (4 minutes); KILLS=20 for fewer
	ONCE_KILLS=$(or $(KILLS),50) $(GO) test -count=1 -timeout 10m -v -run Published ./internal/exactlyonce
	$(GO) test -count=1 -v -run 'Full' ./runtime/publisher
	cd bench && $(GO) run ./publisher -outage 2000000

.PHONY: restart
restart: ## restart servers under load, and with open streams, and print what callers see (3 minutes)
	$(GO) run ./internal/restart -restarts 40

.PHONY: newcomer
newcomer: plugins ## do literally what runs print until events are stored (a minute)
	$(GO) test -count=1 -v -run Newcomer ./internal/acceptance

.PHONY: firstrun
firstrun: ## play somebody's first use, with a clock (a minute; with CACHES=cold from empty caches, minutes)
	@$(GO) run ./internal/firstrun $(if $(filter cold,$(CACHES)),-cold)

.PHONY: watch
watch: plugins ## save a proto 100 times while generate --watch runs, and print how long it took (a minute)
	WATCH=all $(GO) test -count=1 -v -run WatchMisses ./internal/acceptance

.PHONY: abuse
abuse: ## attack all ports of a generated server beside honest callers, and print a table (9 minutes); ATTACKS='unread|^HTTP' for some, LASTS=30s for longer, PORT=http for those of gRPC at that port
	$(GO) run ./internal/abuse $(if $(ATTACKS),-attacks '$(ATTACKS)') $(if $(LASTS),-lasts $(LASTS)) $(if $(filter http,$(PORT)),-http)

.PHONY: matrix
matrix: plugins ## check that no run of any tool touches what is yours, after many edits (2 minutes)
	MATRIX=all $(GO) test -count=1 -timeout 30m -run 'NoRunTouches|OfOneName' ./internal/acceptance ./internal/compile

.PHONY: cutoff
cutoff: plugins ## kill runs, and fill the disk, at each of their writes: the next run completes them (4 minutes)
	CUTOFF=all $(GO) test -count=1 -timeout 30m -run NextRunCompletes ./internal/keep ./internal/compile ./internal/acceptance

.PHONY: strangers
strangers: plugins ## run the tests of all that was reported, and print a table of it
	$(GO) run ./internal/strangers

.PHONY: mutants
mutants: ## plant mistakes, one at a time, and print which generated test catches each (11 minutes); RUN='^B|^C02$$' for some
	$(GO) run ./internal/mutants $(if $(RUN),-run '$(RUN)')

.PHONY: quiet
quiet: ## run generated tests 500 times with the race detector and all cores busy, and beside stubs filled in: none may fail (50 minutes); RUNS=20 for fewer
	$(GO) run ./internal/mutants fill
	$(GO) run ./internal/mutants quiet $(if $(RUNS),-runs $(RUNS))

.PHONY: docs
docs: ## run the documents as a reader would (2 minutes); PAGES='docs/log.md …' for some
	$(GO) run ./internal/docs $(PAGES)

.PHONY: fuzz
fuzz: ## generate from random protos for a minute, and type-check the generated code
	$(GO) test ./internal/fuzz -run '^$$' -fuzz FuzzGenerate -fuzztime 60s -fuzzminimizetime 10x

.PHONY: evolve
evolve: ## change random protos and code 1,000 times, and type-check the module after each
	$(GO) test ./internal/fuzz -run '^TestEvolve$$' -v -evolve 1000 -evolve-seed $$(date +%s) -timeout 10m

.PHONY: generate
generate: plugins ## generate again what is checked in: examples, goldens, two pages of docs
	$(GO) test ./internal/compile -run 'Golden|Exa|Explain' -update
	$(GO) test ./internal/render -run Manual -update
	$(GO) test ./cmd/protoc-gen-receiver -run Reference -update

.PHONY: lint
lint: ## check format, go.mod, and with golangci-lint and govulncheck (tools: make tools)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... $(GOLDENS)
	@for dir in . $(EXAMPLES) bench interop; do (cd $$dir && $(GO) mod tidy -diff) || exit 1; done
	@for dir in $(LINTED); do echo "== golangci-lint in $$dir"; \
		(cd $$dir && golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done
	@if curl -sfo /dev/null --max-time 10 https://vuln.go.dev/index/modules.json.gz; then \
		for dir in . examples/receiver; do echo "== govulncheck in $$dir"; (cd $$dir && govulncheck ./...) || exit 1; done; \
	else echo "skipping govulncheck, whose database at vuln.go.dev can't be reached from here"; fi

.PHONY: bench
bench: plugins ## measure: the plugin as a process, the event log, an RPC with and without it, the server beside grpc-go
	$(GO) test ./runtime/eventlog/sqlite -run '^$$' -bench . -benchmem
	cd bench && $(GO) test -run '^$$' -bench . -benchmem ./...
	cd bench && $(GO) run ./plugin
	cd bench && $(GO) run ./events
	cd bench && $(GO) run ./sql
	cd bench && $(GO) run ./server
	cd bench && $(GO) run ./bulk

.PHONY: sizes
sizes: plugins ## measure what HTTP, metrics, traces, SQL and backups add to the build and the binary of a server (10 minutes)
	cd bench && $(GO) run ./sizes

.PHONY: soak
soak: ## append ten million events, call the server for ten minutes, and print the memory used
	cd bench && $(GO) run ./events -soak 10000000
	cd bench && $(GO) run ./server -soak 10m

.PHONY: observe
observe: plugins ## observe a server by Prometheus: each panel has data, each alert fires, and a minute of load leaves memory and series flat (6 minutes); LASTS=10m for longer, ALERTS='Log|Consumer' for some alerts only
	cd interop && $(GO) run ./observe $(if $(LASTS),-lasts $(LASTS)) $(if $(ALERTS),-parts alerts -alerts '$(ALERTS)')

.PHONY: plugins
plugins: ## build the three plugins into .tools/bin
	@$(GO) build -o $(BIN)/ ./cmd/protoc-gen-receiver
	@$(GO) build -o $(BIN)/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

.PHONY: tools
tools: plugins ## also install buf, what make lint needs and, if there is npm, the libraries of the clients in TypeScript
	GOBIN=$(BIN) $(GO) install github.com/bufbuild/buf/cmd/buf@$(BUF)
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	GOBIN=$(BIN) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULN)
	@mkdir -p .tools/typescript && cp $(TYPESCRIPT)/package.json $(TYPESCRIPT)/package-lock.json .tools/typescript/
	@mkdir -p .tools/interop && cp interop/typescript/package.json interop/typescript/package-lock.json .tools/interop/
	@! command -v npm >/dev/null || for dir in typescript interop; do (cd .tools/$$dir && npm ci --no-audit --no-fund --loglevel=error) || exit 1; done
