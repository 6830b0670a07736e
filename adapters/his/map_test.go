package his

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var update = flag.Bool("update", false, "rewrite golden files")

var china = time.FixedZone("CST", 8*3600)

// visits are the eleven visits of the shared scenario as JSON documents
// (testdata/visits.json is made from its tables; all persons are fictitious).
func visits(t testing.TB) [][]byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/visits.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, len(list))
	for i, d := range list {
		out[i] = d
	}
	return out
}

func decodeOne(t testing.TB, text []byte) *Document {
	t.Helper()
	doc, _, err := NewDecoder(china, Refuse, nil).Decode(context.Background(), text)
	if err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	return doc
}

func encodeAll(t testing.TB, m *mapped) []byte {
	t.Helper()
	var enc model.Encoder
	var out []byte
	for _, r := range append(append([]tcm.Resource(nil), m.shared...), m.own...) {
		var err error
		if out, err = enc.Append(out, r.Model); err != nil {
			t.Fatal(err)
		}
		out = append(out, '\n')
	}
	return out
}

func TestMapDocumentGolden(t *testing.T) {
	got := encodeAll(t, mapDocument(decodeOne(t, visits(t)[0]), china))
	file := filepath.Join("testdata", "visit.golden.ndjson")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("line %d\n got %s\nwant %s", i+1, a[i], b[i])
			}
		}
		t.Fatalf("%d lines, want %d", len(a), len(b))
	}
}

// TestMapScenario compares every visit with what the scenario's generator
// expects: counts and money to the cent.
func TestMapScenario(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Counts            map[string]int
		PrescriptionTotal map[string]json.Number
		VisitsByOrg       map[string]int
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	got, patients, byOrg := map[string]int{}, map[string]bool{}, map[string]int{}
	for _, v := range visits(t) {
		doc := decodeOne(t, v)
		patients[tcm.PatientID("", doc.Patient.ID)] = true
		byOrg[doc.OrgCode]++
		got["visits"]++
		checkResources(t, mapDocument(doc, china), got, want.PrescriptionTotal)
	}
	got["patients"] = len(patients)
	for _, k := range []string{"patients", "visits", "prescriptions", "prescription lines"} {
		if got[k] != want.Counts[k] {
			t.Errorf("%s = %d, want %d", k, got[k], want.Counts[k])
		}
	}
	for org, n := range want.VisitsByOrg {
		if byOrg[org] != n {
			t.Errorf("visits of %s = %d, want %d", org, byOrg[org], n)
		}
	}
}

// checkResources holds one mapped visit against invariants: ids unique, every
// reference resolves, money as expected.
func checkResources(t *testing.T, m *mapped, count map[string]int, totals map[string]json.Number) {
	t.Helper()
	ids, refs := map[string]bool{}, []string{}
	for _, line := range bytes.Split(bytes.TrimSpace(encodeAll(t, m)), []byte("\n")) {
		tree, err := fhir.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		n := tree.Root()
		key := n.ResourceType() + "/" + n.Get("id").Str()
		if ids[key] {
			t.Errorf("%s made twice", key)
		}
		ids[key] = true
		refs = append(refs, references(n)...)
		if n.ResourceType() != "MedicationRequest" || n.Get("medicationReference").Kind() == fhir.None {
			continue
		}
		count["prescriptions"]++
		no := n.Path("groupIdentifier", "value").Str()
		total, ok := totals[no]
		if amount := tcm.ReadHerbalPrescription(n, fhir.Node{}).Amount; !ok || !same(amount, total.String()) {
			t.Errorf("prescription %s = %s, want %s", no, amount, total)
		}
	}
	for _, r := range refs {
		if !ids[r] {
			t.Errorf("reference %s leads nowhere", r)
		}
	}
	for _, p := range m.doc.Herbal {
		count["prescription lines"] += len(p.Items)
	}
}

func references(n fhir.Node) []string {
	var out []string
	for c := range n.Children() {
		if c.Key() == "reference" && c.Kind() == fhir.String {
			out = append(out, c.Str())
		}
		out = append(out, references(c)...)
	}
	return out
}

func same(a, b string) bool {
	x, err1 := decimal.NewFromString(a)
	y, err2 := decimal.NewFromString(b)
	return err1 == nil && err2 == nil && x.Equal(y)
}

func TestMapUnits(t *testing.T) {
	doc := decodeOne(t, []byte(`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00","patient":{"id":"3"},
		"herbalPrescriptions":[{"no":"a","doses":3,"items":[{"name":"三七","dose":500,"unit":"mg"},{"code":"7","quantity":"27","unit":"克"},
		{"name":"茯苓配方颗粒","dose":"1.50"}]}]}`))
	m := mapDocument(doc, china)
	p := tcm.HerbalPrescription{}
	for _, r := range m.own {
		if r.Type == "Medication" {
			var enc model.Encoder
			b, _ := enc.Marshal(r.Model)
			tree, _ := fhir.Parse(b)
			p = tcm.ReadHerbalPrescription(fhir.Node{}, tree.Root())
		}
	}
	for i, want := range []string{"0.5", "9", "1.5"} {
		if p.Items[i].Dose != want || p.Items[i].Unit != "g" {
			t.Errorf("item %d: %s %s, want %s g", i, p.Items[i].Dose, p.Items[i].Unit, want)
		}
	}
	if k := herbalKind(doc.Herbal[0]); k != tcm.Granule {
		t.Errorf("kind = %s", k)
	}
}

func TestMomentForms(t *testing.T) {
	for _, s := range []string{"2026-10-12 08:31:05", "2026-10-12T08:31:05+08:00", "2026-10-1208:31:05", "20261012083105",
		"2026101208:31:05", "2026-10-12 08:31:05.0", "2026-10-12T00:31:05Z"} {
		got, ok := mapping.ParseMoment(s, china)
		if !ok || !got.Equal(time.Date(2026, 10, 12, 0, 31, 5, 0, time.UTC)) {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "yesterday", "2026-13-01 00:00:00", "99999999999999"} {
		if got, ok := mapping.ParseMoment(s, china); ok {
			t.Errorf("%s taken as %v", s, got)
		}
	}
}

func TestDecimalForms(t *testing.T) {
	for in, want := range map[string]string{"9": "9", "9.00": "9", "0.245": "0.245", "-1.50": "-1.5", "007": "7", "1e2": "100", "-0": "0", "0.0": "0"} {
		if got, ok := mapping.ParseDecimal(in); !ok || got != want {
			t.Errorf("%s: %q %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "x", "1.2.3", "1,5", "NaN", "1e999", strings.Repeat("1", 50)} {
		if got, ok := mapping.ParseDecimal(in); ok {
			t.Errorf("%s taken as %s", in, got)
		}
	}
}

func BenchmarkDecodeAndMap(b *testing.B) {
	docs := visits(b)
	d := NewDecoder(china, Refuse, nil)
	var enc model.Encoder
	buf := make([]byte, 0, 64<<10)
	n := 0
	for b.Loop() {
		doc, _, err := d.Decode(context.Background(), docs[n%len(docs)])
		if err != nil {
			b.Fatal(err)
		}
		m := mapDocument(doc, china)
		for _, list := range [][]tcm.Resource{m.shared, m.own} {
			for _, r := range list {
				buf, _ = enc.Append(buf[:0], r.Model)
			}
		}
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

func FuzzDecode(f *testing.F) {
	for _, v := range visits(f) {
		f.Add(v)
	}
	f.Add([]byte(`{"orgCode":null,"patient":[],"visitTime":1}`))
	d := NewDecoder(china, Keep, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, _, err := d.Decode(context.Background(), b)
		if err != nil {
			return
		}
		m := mapDocument(doc, china)
		if len(m.shared) == 0 || len(m.own) == 0 {
			t.Fatal("a document without resources: " + strconv.Quote(string(b)))
		}
	})
}
