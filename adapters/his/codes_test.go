package his

import (
	"context"
	"testing"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// codeTable is a ConceptMap in memory.
type codeTable map[string]mapping.Coding

func (c codeTable) Translate(_ context.Context, conceptMap, system, code string) (mapping.Coding, bool, error) {
	to, ok := c[code]
	return to, ok && conceptMap == DiagnosisMap && system == tcm.SystemOf("diagnosis", org), nil
}

// TestLocalDiagnosisCodes: a code of no national system is refused and told to
// the workbench; once it is mapped the same message passes.
func TestLocalDiagnosisCodes(t *testing.T) {
	h := newHub(t)
	known := codeTable{}
	var missed []mapping.Unmapped
	cfg := Default()
	cfg.Codes = known
	cfg.Unmapped = func(_ *pipeline.Message, list []mapping.Unmapped) { missed = append(missed, list...) }
	h.sink = NewSink(cfg, h.st)
	doc := change(t, visits(t)[0], func(m map[string]any) {
		d := m["diagnoses"].([]any)[0].(map[string]any)
		d["diseaseCode"], d["diseaseName"] = "gm-01", "感冒"
	})
	m := h.message(KindVisit, doc)
	if err := h.sink.Handle(context.Background(), m); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if len(missed) != 1 || missed[0].Code != "gm-01" || missed[0].Display != "感冒" || missed[0].ConceptMap != DiagnosisMap {
		t.Fatalf("%+v", missed)
	}
	known["gm-01"] = mapping.Coding{System: tcm.SystemGB2021, Code: "A01.01.01", Display: "感冒"}
	h.handle(m)
	d := tcm.Diagnosis{Visit: tcm.Visit{EncounterID: tcm.EncounterID(org, "443001")}, Rank: 1}
	if c := tcm.ReadCondition(h.node("Condition", d.ID(tcm.Disease))); c.Coding.Code != "A01.01.01" || c.Coding.System != tcm.SystemGB2021 {
		t.Errorf("%+v", c)
	}
}
