# The words of the project. `make run` starts everything, `make test` proves it.
GO      ?= go
BIN     := bin/qihuang
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)

.PHONY: help build setup run test check bench cluster clean

help: ## explain the words
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

build: ## build bin/qihuang
	@$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/qihuang

setup: build ## fetch what the hub needs (ClickHouse engine library, page scripts), checked by hash
	@$(BIN) setup

run: setup ## start the whole data center on 127.0.0.1 with demo data
	@$(BIN) serve --demo

clean: ## remove what was built (not data)
	@rm -rf bin
