// Package archtest proves the import law of the project by reading its sources.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/qihuang-health/qihuang/"

// floors gives each top-level folder its height. Imports go down or stay in
// the folder; two folders of one height never reach each other.
var floors = map[string]int{
	"internal": 0, "conformance": 0, "configs": 0, "web": 0,
	"fhir":     1,
	"pipeline": 2,
	"adapters": 3, "warehouse": 3,
	"ihe": 4, "apps": 4,
	"cmd": 5,
}

// codecs are the adapters that other adapters share.
var codecs = []string{"hl7v2", "cda", "soap", "table", "mapping", "keys"}

// forbidden says why importer must not import target, or "" if it may.
// Both are paths below the module; test says the importing file is a test.
func forbidden(importer, target string, test bool) string {
	from, to := strings.Split(importer, "/"), strings.Split(target, "/")
	a, aok := floors[from[0]]
	b, bok := floors[to[0]]
	switch {
	case !aok || !bok:
		return "unknown floor: name it in internal/archtest"
	case from[0] == "conformance" && to[0] != "conformance":
		return "conformance imports nothing of ours"
	case target == "internal/shared" && !test:
		return "internal/shared is for tests"
	case from[0] == to[0]:
		return forbiddenSibling(from, to)
	case b > a:
		return "imports only go down"
	case a == b && a != 0:
		return "two folders of one floor never reach each other"
	}
	return ""
}

func forbiddenSibling(from, to []string) string {
	if len(from) < 2 || len(to) < 2 || from[1] == to[1] {
		return ""
	}
	switch from[0] {
	case "apps":
		return "an app never imports an app"
	case "adapters":
		if !slices.Contains(codecs, to[1]) {
			return "adapters share only the codecs"
		}
	case "fhir":
		if from[1] == "search" && to[1] == "store" {
			return "the store imports search, never the other way"
		}
	}
	return ""
}

func TestImportLaw(t *testing.T) {
	dir, err := os.Getwd() // a test runs in its package's folder, also with -trimpath
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "..", "..")
	seen := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			target, ours := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), module)
			if !ours {
				continue
			}
			seen++
			if why := forbidden(filepath.ToSlash(filepath.Dir(rel)), target, strings.HasSuffix(rel, "_test.go")); why != "" {
				t.Errorf("%s imports %s: %s", rel, target, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no import seen: the test reads the wrong folder")
	}
}

func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"cmd/qihuang", "fhir/store", false},
		{"fhir/store", "pipeline", true},
		{"fhir/store", "fhir/search", false},
		{"fhir/search", "fhir/store", true},
		{"adapters/his", "adapters/ncms", true},
		{"adapters/his", "adapters/soap", false},
		{"adapters/his", "warehouse", true},
		{"apps/portal", "apps/emr", true},
		{"apps/portal", "warehouse", false},
		{"internal/clock", "fhir", true},
		{"conformance/suite", "internal/fault", true},
		{"fhir/search", "internal/shared", true},
	} {
		if why := forbidden(c.from, c.to, false); (why != "") != c.bad {
			t.Errorf("forbidden(%s, %s) = %q", c.from, c.to, why)
		}
	}
}
