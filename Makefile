# Schoolgate. `make run` starts the appliance on this machine, `make demo` plays a school day, `make test` tests it all.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
TOOL     := $(GO) tool -modfile=deploy/tools/go.mod
PLATFORMS := linux-arm64 linux-armv7 linux-amd64
# More flags for go test, such as TESTFLAGS=-v.
TESTFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run demo test load bench floods effectiveness respdiff race quicklint lint vulncheck cross clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/schoolgate
	@$(BUILD) -o bin/schoolgate ./cmd/schoolgate

run: build ## build and start the appliance: DNS on 127.0.0.1:5300, state in ./var
	@exec bin/schoolgate run

demo: build ## play a simulated school day, offline, and write its report
	@bin/schoolgate demo

test: ## run every test
	$(GO) test -shuffle=on -timeout 15m $(TESTFLAGS) ./...

load: ## send 20,000 queries a second for 30 s to a box that records them (Debian package dnsperf)
	SCHOOLGATE_LOAD=1 $(GO) test -run '^TestLoad$$' -v ./cmd/schoolgate

bench: build ## measure beside a bare echo and the peers that Debian packages, into docs/performance.md
	$(GO) run ./cmd/bench --write docs/performance.md

floods: ## measure in network namespaces how long a client waits while others flood, into docs/abuse.md (as root)
	SCHOOLGATE_FLOODS=$(CURDIR)/docs/abuse.md $(GO) test -count=1 -run '^TestFloods$$' -timeout 30m -v ./cmd/schoolgate

effectiveness: ## measure what deploy/recommended.toml refuses and leaves open (test data in ../shared/data)
	@$(GO) run ./cmd/effectiveness

respdiff: ## compare the answers to 50,000 names of a real trace with those of Unbound (Debian package unbound, test data in ../shared/data)
	SCHOOLGATE_RESPDIFF=1 $(GO) test -count=1 -timeout 30m -run '^TestRespdiff$$' -v ./cmd/schoolgate

race: ## run every test under the race detector
	$(GO) test -race -short -shuffle=on -timeout 20m $(TESTFLAGS) ./...

quicklint: ## gofumpt, vet and staticcheck alone
	@bad=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not formatted (gofumpt -w):"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

lint: quicklint ## gofumpt, vet, staticcheck, golangci-lint (.golangci.yml says which and why)
	$(TOOL) golangci-lint run ./...

vulncheck: ## look for known vulnerabilities in what is called (needs the Internet)
	$(TOOL) govulncheck ./...

cross: $(PLATFORMS:%=dist/schoolgate-%) ## build static binaries for the Raspberry Pi and PCs into dist/

dist/schoolgate-linux-arm64: export GOARCH = arm64
dist/schoolgate-linux-armv7: export GOARCH = arm
dist/schoolgate-linux-armv7: export GOARM = 7
dist/schoolgate-linux-amd64: export GOARCH = amd64
.PHONY: $(PLATFORMS:%=dist/schoolgate-%)
$(PLATFORMS:%=dist/schoolgate-%):
	GOOS=linux $(BUILD) -o $@ ./cmd/schoolgate

clean: ## remove what was built, but not ./var, which holds a record
	rm -rf bin dist
