# What there is to do here. Every step of CI is one of these.

GO       ?= go
BIN      := $(CURDIR)/.tools/bin
BUF      := v1.75.0
# Packages below testdata are not part of ./..., so they are named.
GOLDENS  := $(patsubst %,./%/...,$(wildcard testdata/*/golden))
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: plugins ## generate the service from receiver.proto into a new module, run it, send it an event, read it back
	@examples/demo.sh

.PHONY: test
test: plugins ## run every test there is; those that need protoc, buf or Python's grpc are skipped where it is missing
	$(GO) vet ./... $(GOLDENS)
	$(GO) test -count=1 ./cmd/... ./internal/...
	$(GO) test -race ./runtime/... $(GOLDENS)
	cd examples/receiver && $(GO) vet ./... && $(GO) test -race ./...
	cd bench && $(GO) vet ./... && $(GO) test -count=1 ./...
	cd corpus && $(GO) vet . && $(GO) test . && $(GO) run . -sample

.PHONY: corpus
corpus: ## generate for 400 services of public modules, build, vet and test them (15 minutes)
	cd corpus && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) run .

.PHONY: fuzz
fuzz: ## generate from random protos for a minute, and type-check what comes out
	$(GO) test ./internal/fuzz -run '^$$' -fuzz FuzzGenerate -fuzztime 60s -fuzzminimizetime 10x

.PHONY: evolve
evolve: ## change random protos and their code by random steps, 1,000 rounds, and type-check what comes of each
	$(GO) test ./internal/fuzz -run '^TestEvolve$$' -v -evolve 1000 -evolve-seed $$(date +%s) -timeout 10m

.PHONY: generate
generate: plugins ## write anew what is generated and checked in: examples and goldens
	$(GO) test ./internal/compile -run 'Golden|Example' -update

.PHONY: lint
lint: ## check that the code is formatted and vetted, and go.mod tidy
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... $(GOLDENS)
	$(GO) mod tidy -diff
	cd examples/receiver && $(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff

.PHONY: bench
bench: plugins ## measure: the plugin as a process, the event log, an RPC with and without it
	$(GO) test ./runtime/eventlog -run '^$$' -bench . -benchmem
	cd bench && $(GO) test -run '^$$' -bench . -benchmem ./...
	cd bench && $(GO) run ./plugin

.PHONY: plugins
plugins: ## build protoc-gen-receiver and the plugins it runs beside, into .tools/bin
	@$(GO) build -o $(BIN)/ ./cmd/protoc-gen-receiver
	@$(GO) build -o $(BIN)/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

.PHONY: tools
tools: plugins ## also install buf, as tests with real tools need it, into .tools/bin
	GOBIN=$(BIN) $(GO) install github.com/bufbuild/buf/cmd/buf@$(BUF)
