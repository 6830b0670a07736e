package his

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

// facts is what the shared scenario is about, as one dialect left it.
type facts struct {
	Patients map[string]string // organisation/number → name, sex, birth date, national id
	Visits   map[string]string // organisation/number → patient
	Rx       map[string]string // prescription number → organisation, doses, herbs with their dose
	Money    map[string]string // prescription number → total
}

func (h *hub) facts() facts {
	h.t.Helper()
	f := facts{map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	st := h.state()
	for key, v := range st {
		tree, err := fhir.Parse(v.Resource)
		if err != nil {
			h.t.Fatal(err)
		}
		n := tree.Root()
		switch typ, id, _ := strings.Cut(key, "/"); typ {
		case "Patient":
			p := tcm.ReadPatient(n)
			f.Patients[p.OrgCode+"/"+p.No] = p.Name + " " + p.Gender + " " + p.BirthDate + " " + p.NationalID
		case "Encounter":
			e := tcm.ReadEncounter(n)
			f.Visits[e.OrgCode+"/"+e.VisitNo] = e.PatientID
		case "MedicationRequest":
			if st["Medication/"+id] == nil {
				continue
			}
			p := tcm.ReadHerbalPrescription(n, h.node("Medication", id))
			var items []string
			for _, it := range p.Items {
				items = append(items, it.Code+":"+it.Dose+it.Unit+it.Note)
			}
			slices.Sort(items)
			f.Rx[p.No] = p.OrgCode + " " + p.Doses + " " + strings.Join(items, " ")
			f.Money[p.No] = p.Amount
		}
	}
	return f
}

// rowsOf reads a table export as rows messages of at most n rows.
func rowsOf(t *testing.T, file, tableName, org string, n int) [][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join(shared.Dir(t), "data/tcm/samples", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]byte
	var chunk []map[string]string
	flush := func() {
		if len(chunk) == 0 {
			return
		}
		b, err := json.Marshal(map[string]any{"table": tableName, "org": org, "rows": chunk})
		if err != nil {
			t.Fatal(err)
		}
		out, chunk = append(out, b), nil
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := table.Open(table.Source{Name: file, Data: f, Size: st.Size()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		one := map[string]string{}
		for _, c := range r.Columns() {
			one[c] = row.Get(c)
		}
		if chunk = append(chunk, one); len(chunk) == n {
			flush()
		}
	}
	flush()
	return out
}

func (h *hub) sendRows(messages [][]byte) {
	h.t.Helper()
	for _, b := range messages {
		if err := h.maps.Handle(context.Background(), h.message(mapping.KindRows, b)); err != nil {
			h.t.Fatalf("%v %+v", err, fault.IssuesOf(err))
		}
	}
}

// TestScenarioIsTheSameInEveryDialect sends the shared scenario as JSON
// documents and as the tables of a township HIS, the tables in three orders, and
// compares patients, visits, prescriptions and money with each other and with
// the expected figures.
func TestScenarioIsTheSameInEveryDialect(t *testing.T) {
	want := newHub(t)
	for _, v := range visits(t) {
		want.send(KindVisit, v)
	}
	documents := want.facts()
	tables := []string{"YK_TYPK", "MS_BRDA", "YS_MZ_JZLS", "MS_BCJL", "MS_BRZD", "MS_CF01", "MS_CF02"}
	orders := map[string][]string{"dictionary first": tables, "details first": {"MS_CF02", "MS_CF01", "MS_BRZD", "MS_BCJL", "YS_MZ_JZLS", "MS_BRDA", "YK_TYPK"},
		"mixed": {"MS_CF01", "YS_MZ_JZLS", "MS_CF02", "MS_BRDA", "YK_TYPK", "MS_BRZD", "MS_BCJL"}}
	for name, order := range orders {
		h := newHub(t)
		for _, tab := range order {
			h.sendRows(rowsOf(t, "his_bsoft/"+tab+".csv", tab, "", 7))
		}
		got := h.facts()
		for what, pair := range map[string][2]map[string]string{"patients": {got.Patients, documents.Patients}, "visits": {got.Visits, documents.Visits},
			"prescriptions": {got.Rx, documents.Rx}, "money": {got.Money, documents.Money}} {
			if len(pair[0]) != len(pair[1]) {
				t.Errorf("%s: %d %s, want %d", name, len(pair[0]), what, len(pair[1]))
			}
			for k, v := range pair[1] {
				if pair[0][k] != v {
					t.Errorf("%s: %s of %s\n got %s\nwant %s", name, what, k, pair[0][k], v)
				}
			}
		}
	}
	expected(t, documents)
}

// expected holds facts against the figures that came with the scenario.
func expected(t *testing.T, f facts) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Counts struct{ Patients, Visits, Prescriptions int }
		Orgs   map[string]int             `json:"visitsByOrg"`
		Totals map[string]decimal.Decimal `json:"prescriptionTotal"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	people := map[string]bool{}
	for _, p := range f.Patients {
		people[p] = true
	}
	if len(people) != want.Counts.Patients || len(f.Visits) != want.Counts.Visits || len(f.Rx) != want.Counts.Prescriptions {
		t.Errorf("%d people, %d visits, %d prescriptions; want %+v", len(people), len(f.Visits), len(f.Rx), want.Counts)
	}
	orgs := map[string]int{}
	for k := range f.Visits {
		org, _, _ := strings.Cut(k, "/")
		orgs[org]++
	}
	if fmt.Sprint(orgs) != fmt.Sprint(want.Orgs) {
		t.Errorf("visits by organisation %v, want %v", orgs, want.Orgs)
	}
	for no, total := range want.Totals {
		if got, err := decimal.NewFromString(f.Money[no]); err != nil || !got.Equal(total) {
			t.Errorf("prescription %s costs %s, want %s", no, f.Money[no], total)
		}
	}
}

// TestScenarioInPartialDialects: the dialects that tell only prescriptions give
// the same ones.
func TestScenarioInPartialDialects(t *testing.T) {
	want := newHub(t)
	for _, v := range visits(t) {
		want.send(KindVisit, v)
	}
	documents := want.facts()
	same := func(name, got, no string) {
		t.Helper()
		if got != documents.Rx[no] {
			t.Errorf("%s: %s\nwant %s", name, got, documents.Rx[no])
		}
	}
	h := newHub(t)
	h.sendRows(rowsOf(t, "his_winning/VW_MZCFMXK.csv", "VW_MZCFMXK", "370000000003", 4))
	same("winning", h.facts().Rx["W443003"], "880003")

	h = newHub(t)
	raw, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/regional/prescription.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := h.message(mapping.KindJSON, raw)
	m.Headers = map[string]string{"org": org}
	if err := h.maps.Handle(context.Background(), m); err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	same("regional", h.facts().Rx["C880001"], "880001")
	if got := h.facts().Money["C880001"]; got != documents.Money["880001"] {
		t.Errorf("regional money %s, want %s", got, documents.Money["880001"])
	}
	if m.Headers[mapping.HeaderMap] == "" {
		t.Error("the map is not recorded with the message")
	}

	h = newHub(t)
	h.sendV2(v2Sample(t, "ADT_A04.hl7"))
	h.sendV2(v2Sample(t, "RDE_O11.hl7"))
	same("HL7 v2", h.facts().Rx["C880001"], "880001")

	h = newHub(t)
	h.sendRows(rowsOf(t, "his_bsoft/MS_CF02.gbk.csv", "MS_CF02", "", 100))
	if got := h.state(); len(got) != 0 {
		t.Errorf("lines without their prescription wrote %v", versions(got))
	}
	for _, tab := range []string{"YK_TYPK", "MS_BRDA", "YS_MZ_JZLS", "MS_BCJL", "MS_BRZD", "MS_CF01"} {
		h.sendRows(rowsOf(t, "his_bsoft/"+tab+".csv", tab, "", 100))
	}
	for no := range documents.Rx {
		same("GBK", h.facts().Rx[no], no)
	}
}
