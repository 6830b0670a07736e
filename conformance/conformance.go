// Package conformance holds the implementation guide for traditional Chinese
// medicine as FHIR resources: terminology, profiles, questionnaires, rules,
// search parameters, capability statements, examples. It imports nothing of
// ours, so that its suites can test a stranger's server.
//
// All but the examples is made by `go run ./conformance/gen` from tables of
// public facts; each resource carries source (copyright) and review state
// (purpose). The examples are built by package fhir/tcm.
package conformance

import (
	"embed"
	"io/fs"
	"iter"
	"strings"
)

// Base is the canonical base of the guide's artefacts.
const Base = "https://qihuang.health/fhir"

// These are tables, no resources.
const (
	rationalTable = "rules/rational.json"
	reviewTable   = "rules/review.json"
)

//go:embed terminology rules profiles views measures questionnaires search capability guide examples
var files embed.FS

// Terminology yields the CodeSystems, ValueSets and ConceptMaps of the guide as
// JSON, by file name ("CodeSystem-herb.json"), in order. The bytes must not be
// changed.
func Terminology() iter.Seq2[string, []byte] { return walk("terminology") }

func walk(dir string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		_ = fs.WalkDir(files, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") || path == rationalTable || path == reviewTable {
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
	b, err := files.ReadFile(rationalTable)
	if err != nil {
		return nil
	}
	return b
}

// AlertRules returns the shipped rules of supervision alerts as YAML. Their
// thresholds are the project's defaults, not official ones.
func AlertRules() []byte {
	b, err := files.ReadFile("rules/alerts.yaml")
	if err != nil {
		return nil
	}
	return b
}

// ReviewCriteria returns the reasons for which a prescription is found wanting
// when it is reviewed, as data: groups with their source, and the rules of
// rational use that hint at a reason.
func ReviewCriteria() []byte {
	b, err := files.ReadFile(reviewTable)
	if err != nil {
		return nil
	}
	return b
}

// Structures yields the StructureDefinitions of the guide (profiles with
// differentials, extensions) as JSON, by file name, in order.
func Structures() iter.Seq2[string, []byte] { return walk("profiles") }

// Questionnaires yields the forms of constitution identification, by file name.
func Questionnaires() iter.Seq2[string, []byte] { return walk("questionnaires") }

// Rules yields the rules of rational use as a Library, which carries the table
// of [RationalUse], and a PlanDefinition with one action per rule.
func Rules() iter.Seq2[string, []byte] { return walk("rules") }

// SearchParameters yields the search parameters of TCM elements, by file name.
func SearchParameters() iter.Seq2[string, []byte] { return walk("search") }

// Capabilities yields a CapabilityStatement (requirements) per role.
func Capabilities() iter.Seq2[string, []byte] { return walk("capability") }

// Examples yields at least one example of every profile, by file name; each
// names its profile in meta.profile.
func Examples() iter.Seq2[string, []byte] { return walk("examples") }

// Artefacts yields every conformance resource of the guide (no examples, views
// or measures), the ImplementationGuide that lists them first.
func Artefacts() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, dir := range []string{"guide", "profiles", "terminology", "questionnaires", "rules", "search", "capability"} {
			for name, b := range walk(dir) {
				if !yield(name, b) {
					return
				}
			}
		}
	}
}

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
