// Package features is the conformance page: feature by feature what the FHIR
// server supports, with the tests that show it. The list is features.tsv; docs
// and web show it, and a test proves that every test named there exists.
package features

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed features.tsv
var list string

// Feature is one line of the page.
type Feature struct {
	Area  string
	Name  string
	Limit string   // what is left out, "" = nothing
	Tests []string // package.Test, or a check of a client: fhirkit.mjs: name
}

// All returns the features in the order of the page, those of an area together.
func All() ([]Feature, error) {
	var out []Feature
	for i, line := range strings.Split(strings.TrimRight(list, "\n"), "\n") {
		col := strings.Split(line, "\t")
		if len(col) != 4 || col[0] == "" || col[1] == "" || col[3] == "" {
			return nil, fmt.Errorf("features.tsv line %d: want area, feature, limit, tests", i+1)
		}
		out = append(out, Feature{col[0], col[1], col[2], strings.Split(col[3], "; ")})
	}
	return out, nil
}

// Markdown writes the page for the docs.
func Markdown(all []Feature) string {
	var b strings.Builder
	b.WriteString("# FHIR 一致性\n\n逐项列出 FHIR R4 接口支持的功能与证明它的测试。本页由 `conformance/features/features.tsv` 生成，测试保证所列的每个测试都存在；" +
		"运行中的程序在 `/fhir-conformance` 显示同一内容。`*.mjs` 是独立客户端（npm `fhir-kit-client`、`fhirclient`）的检查，在 `conformance/clients`。\n")
	area := ""
	for _, f := range all {
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(&b, "\n## %s\n\n| 功能 | 限制 | 测试 |\n|---|---|---|\n", area)
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", f.Name, f.Limit, strings.Join(f.Tests, "` `"))
	}
	return b.String()
}
