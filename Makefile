# The words of the project. `make run` starts everything, `make test` proves it.
GO      ?= go
BIN     := bin/qihuang
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
FUZZ    ?= 10s
# packages whose tests also run under the race detector
RACE    ?= ./fhir/store/machine ./fhir/store/memory ./fhir/jobs ./fhir/terminology ./fhir/search/... ./internal/...

.PHONY: help build setup run test check bench cluster browser clients packages fuzz clean

help: ## explain the words
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

build: ## build bin/qihuang
	@$(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/qihuang

setup: ## fetch what the hub needs (ClickHouse engine library, page scripts), checked by hash, then build
	@$(GO) run ./cmd/qihuang setup --web web/static/vendor
	@$(MAKE) --no-print-directory build

run: setup ## start the whole data center on 127.0.0.1 with demo data
	@$(BIN) serve --demo

test: setup browser clients packages ## run every test (real Kafka protocol, ClickHouse engine, S3, browser)
	@f=$$(mktemp); QIHUANG_FIGURES=$$f $(GO) tool gotestsum --format pkgname --hide-summary=skipped --rerun-fails=1 --rerun-fails-max-failures=4 --packages=./... -- -p 1 -timeout 20m; code=$$?; sort $$f; rm -f $$f; exit $$code

browser: ## Chromium and a Chinese font for the page tests (Debian packages, needs root; else those tests are skipped)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo '安装浏览器测试所需的 Debian 软件包：chromium fonts-noto-cjk' && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; } || echo '没有 chromium，页面测试将跳过'

clients: ## independent FHIR clients for the black-box tests (npm packages; without npm those tests are skipped)
	@cd conformance/clients && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund; } || echo '装不上 npm 客户端包，相关测试将跳过'

packages: ## the published R4 definitions and examples that tests compare with (npm packages, checked by hash)
	@$(GO) run ./fhir/definitions/gen -fetch || echo '取不到 R4 定义包，与 R4 示例比对的测试将跳过'

check: ## the static gate: gofmt, vet, staticcheck, import law, race tests of the concurrent core, short fuzzing
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(GO) vet ./...
	@$(GO) tool staticcheck ./...
	@$(GO) test -count=1 ./internal/archtest
	@$(GO) test -race -short -timeout 15m $(RACE)
	@$(MAKE) --no-print-directory fuzz FUZZ=$(FUZZ)

fuzz: ## run each fuzz target for FUZZ (10s; off = only the seeds, which the tests run)
	@[ "$(FUZZ)" = off ] || $(GO) run ./internal/fuzzall -time $(FUZZ)

bench: setup ## print the product's figures as JSON lines
	@$(BIN) bench

cluster: ## the same hub on Apache Kafka, ClickHouse and MinIO (needs a Docker engine)
	@docker info >/dev/null 2>&1 || { echo '没有可用的 Docker 引擎；集群各部分的地址也可以写进配置文件，见 configs/hub-cluster.yaml'; exit 1; }
	docker compose -f configs/compose.yaml up --build

clean: ## remove what was built (not data)
	@rm -rf bin
