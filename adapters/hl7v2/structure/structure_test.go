package structure

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var update = flag.Bool("update", false, "make standard.json from the tables")

// rows reads the rows of every table in a folder of the HL7 v2-to-FHIR project.
func rows(t *testing.T, folder string) [][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/hl7v2-map", folder, "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatal("no tables", err)
	}
	var out [][]string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
		r.FieldsPerRecord = -1
		list, err := r.ReadAll()
		if err != nil {
			t.Fatal(f, err)
		}
		for _, row := range list {
			if len(row) > 5 {
				out = append(out, row)
			}
		}
	}
	return out
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return n
	}
	return otherwise
}

// TestStandardIsTheTables holds the embedded definitions equal to the tables
// they are made from.
func TestStandardIsTheTables(t *testing.T) {
	d := Dictionary{Segments: map[string]map[int]Field{}, Messages: map[string][]Part{}}
	field := regexp.MustCompile(`^([A-Z][A-Z0-9]{2})-(\d+)$`)
	for _, r := range rows(t, "segments") {
		m := field.FindStringSubmatch(strings.TrimSpace(r[1]))
		if m == nil || strings.TrimSpace(r[3]) == "" {
			continue
		}
		n := number(m[2], 0)
		if d.Segments[m[1]] == nil {
			d.Segments[m[1]] = map[int]Field{}
		}
		if _, have := d.Segments[m[1]][n]; !have {
			d.Segments[m[1]][n] = Field{strings.TrimSpace(r[2]), strings.TrimSpace(r[3]), number(r[4], 0), number(r[5], -1)}
		}
	}
	part := regexp.MustCompile(`^([A-Z]{3}_[A-Z]\d\d)[.:](?:follow:\w+\.)?([A-Z0-9_.]+)$`)
	for _, r := range rows(t, "messages") {
		m := part.FindStringSubmatch(strings.TrimSpace(r[1]))
		if m == nil || r[4] == "" {
			continue
		}
		p := Part{m[2], number(r[4], 0), number(r[5], -1)}
		if list := d.Messages[m[1]]; len(list) == 0 || list[len(list)-1].Path != p.Path {
			d.Messages[m[1]] = append(list, p)
		}
	}
	got, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("standard.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("standard.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("standard.json is not what the tables say; make it again with -update (%v)", err)
	}
}

func check(t *testing.T, text string) map[string]string {
	t.Helper()
	d, err := Standard()
	if err != nil {
		t.Fatal(err)
	}
	m, err := hl7v2.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, is := range d.Check(m) {
		out[is.Expression] = is.Key
	}
	return out
}

const head = "MSH|^~\\&|HIS|1|HUB|TCM|20261012083105||ADT^A04^ADT_A01|1|P|2.5.1\rEVN|A04|20261012083105\r"

func TestCheck_ok(t *testing.T) {
	if got := check(t, head+"PID|1||1^^^1^PI||张^三||19560312|M\rPV1|1|O\rZXX|1|anything"); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestCheck_bad(t *testing.T) {
	for name, c := range map[string]struct{ text, place, key string }{
		"no visit":   {head + "PID|1||1||张^三", "PV1", "missing-segment"},
		"no number":  {head + "PID|1||||张^三\rPV1|1|O", "PID[3]-3", "missing-field"},
		"date":       {head + "PID|1||1||张^三||1956年\rPV1|1|O", "PID[3]-7", "bad-field"},
		"repeated":   {head + "PID|1||1||张^三||19560312~19560313\rPV1|1|O", "PID[3]-7", "repeated-field"},
		"unexpected": {head + "PID|1||1||张^三\rPV1|1|O\rRXA|0|1|20261012||1|1", "RXA[5]", "unexpected-segment"},
	} {
		if got := check(t, c.text); got[c.place] != c.key {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPublicExamples: the check never breaks, and finds little in examples that
// are meant to be right.
func TestPublicExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/hl7v2/*.hl7"))
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	d, err := Standard()
	if err != nil {
		t.Fatal(err)
	}
	clean := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := hl7v2.Decode(raw)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		errs := 0
		for _, is := range d.Check(m) {
			if is.Severity == "error" {
				errs++
			}
		}
		if errs == 0 {
			clean++
		}
	}
	shared.Figure(t, "HL7 v2 examples without structural errors", clean, len(files))
}
