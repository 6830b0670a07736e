package features_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/conformance/features"
)

var update = flag.Bool("update", false, "rewrite docs/conformance.md")

const root = "../.."

// TestEveryTestExists looks for each test that the page names.
func TestEveryTestExists(t *testing.T) {
	all, err := features.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, name := range f.Tests {
			if !exists(t, name) {
				t.Errorf("%s: there is no test %s", f.Name, name)
			}
		}
	}
	if exists(t, "fhir/server.TestNothingOfTheKind") || exists(t, "fhirkit.mjs: nothing of the kind") {
		t.Error("every name is found: the check is blind")
	}
}

// exists reports whether the sources have the test.
func exists(t *testing.T, name string) bool {
	t.Helper()
	pattern, files := "", ""
	if script, check, ok := strings.Cut(name, ": "); ok {
		pattern, files = "(?m)^await check\\('"+regexp.QuoteMeta(check)+"'", filepath.Join(root, "conformance", "clients", script)
	} else {
		dot := strings.LastIndexByte(name, '.')
		pattern, files = "(?m)^func "+regexp.QuoteMeta(name[dot+1:])+`\(`, filepath.Join(root, name[:dot], "*_test.go")
	}
	list, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(pattern).Match(b) {
			return true
		}
	}
	return false
}

// TestDocument keeps docs/conformance.md in step; -update rewrites it.
func TestDocument(t *testing.T) {
	all, err := features.All()
	if err != nil {
		t.Fatal(err)
	}
	path, want := filepath.Join(root, "docs", "conformance.md"), features.Markdown(all)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/conformance.md differs from features.tsv (%v): run go test ./conformance/features -update", err)
	}
}
