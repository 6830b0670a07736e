package views

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// Report is the result of one file of cases in the official form
// (test-report.schema.json of SQL on FHIR); key is the file's name.
type Report map[string]FileReport

// FileReport is one file's cases.
type FileReport struct {
	Tests []CaseReport `json:"tests"`
}

// CaseReport is one case.
type CaseReport struct {
	Name   string     `json:"name"`
	Result CaseResult `json:"result"`
}

// CaseResult says whether the case passed, or why not.
type CaseResult struct {
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"`
}

// Test runs a file of official cases: {resources, tests: [{title, view, expect |
// expectError, expectColumns}]}.
func Test(src []byte, eng *fhirpath.Engine) (FileReport, error) {
	tree, err := fhir.Parse(src)
	if err != nil {
		return FileReport{}, fmt.Errorf("test file: %w", err)
	}
	file := tree.Root()
	report := FileReport{Tests: []CaseReport{}}
	for t := range file.Get("tests").Each() {
		c := CaseReport{Name: t.Get("title").Str(), Result: CaseResult{Passed: true}}
		if err := runCase(t, file.Get("resources"), eng); err != nil {
			c.Result = CaseResult{Reason: err.Error()}
		}
		report.Tests = append(report.Tests, c)
	}
	return report, nil
}

func runCase(t, resources fhir.Node, eng *fhirpath.Engine) error {
	names, rows, err := collect(t.Get("view"), resources, eng)
	if want, _ := t.Get("expectError").Bool(); want {
		if err == nil {
			return fmt.Errorf("no error, but %d rows", len(rows))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if cols := t.Get("expectColumns"); cols.Exists() {
		var want []string
		for c := range cols.Each() {
			want = append(want, c.Str())
		}
		if !slices.Equal(names, want) {
			return fmt.Errorf("columns %v, want %v", names, want)
		}
	}
	if n, ok := t.Get("expectCount").Int(); ok && int(n) != len(rows) {
		return fmt.Errorf("%d rows, want %d", len(rows), n)
	}
	if !t.Get("expect").Exists() {
		return nil
	}
	return sameRows(rows, t.Get("expect"))
}

// collect runs a view over resources and gives its rows as canonical JSON.
func collect(view, resources fhir.Node, eng *fhirpath.Engine) (names, rows []string, err error) {
	v, err := CompileNode(view, eng)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range v.Columns() {
		names = append(names, c.Name)
	}
	keys := jsonKeys(v.Columns())
	for res := range resources.Each() {
		err := v.Rows(res, func(row []Cell) error {
			var line []byte
			for i := range row {
				line = row[i].AppendJSON(append(line, keys[i]...))
			}
			text, err := canonical(append(line, '}'))
			rows = append(rows, text)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return names, rows, nil
}

// canonical makes rows comparable: keys sorted, numbers by value.
func canonical(src []byte) (string, error) {
	var v map[string]any
	if err := json.Unmarshal(src, &v); err != nil {
		return "", err
	}
	out, err := json.Marshal(v)
	return string(out), err
}

// sameRows compares without order, as the suite asks.
func sameRows(rows []string, expect fhir.Node) error {
	var want []string
	for r := range expect.Each() {
		text, err := canonical(r.Raw())
		if err != nil {
			return err
		}
		want = append(want, text)
	}
	got := slices.Clone(rows)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("rows %v, want %v", got, want)
	}
	return nil
}
