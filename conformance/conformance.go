// Package conformance holds the implementation guide for traditional Chinese
// medicine as FHIR resources: terminology, and later profiles, capability
// statements and examples. It imports nothing of ours, so that its suites can
// test a stranger's server.
//
// The terminology is made by `go run ./conformance/gen` from tables of public
// facts; each resource carries source (copyright) and review state (purpose).
package conformance

import (
	"embed"
	"io/fs"
	"iter"
	"strings"
)

// Base is the canonical base of the guide's artefacts.
const Base = "https://qihuang.health/fhir"

//go:embed terminology rules profiles views measures
var files embed.FS

// Terminology yields the CodeSystems, ValueSets and ConceptMaps of the guide as
// JSON, by file name ("CodeSystem-herb.json"), in order. The bytes must not be
// changed.
func Terminology() iter.Seq2[string, []byte] { return walk("terminology") }

func walk(dir string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		_ = fs.WalkDir(files, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
				return err
			}
			b, err := files.ReadFile(path)
			if err != nil {
				return err
			}
			if !yield(d.Name(), b) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

// RationalUse returns the rules of rational use of herbs as data: pairs that
// must not meet, lists by pregnancy, control and decoction; each row with
// source, edition and review state. The bytes must not be changed.
func RationalUse() []byte {
	b, err := files.ReadFile("rules/rational.json")
	if err != nil {
		return nil
	}
	return b
}

// Structures yields the StructureDefinitions of the guide (profiles with
// differentials, extensions) as JSON, by file name, in order.
func Structures() iter.Seq2[string, []byte] { return walk("profiles") }

// Views yields the ViewDefinitions of the warehouse (SQL on FHIR v2) as JSON, by
// file name, in order. A view fills the table of its name, or the table named
// by its extension view-table where two resource types feed one table
// (prescription_item). `prescription` has no view of its own: it is
// prescription_request rolled up to one row per prescription id.
func Views() iter.Seq2[string, []byte] { return walk("views") }

// Measures yields the supervision indicators as FHIR Measures, by file name, in
// order. Population criteria are ClickHouse aggregates over the fact named by
// criteria.name (visit, prescription).
func Measures() iter.Seq2[string, []byte] { return walk("measures") }
