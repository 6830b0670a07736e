package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// The elements of a differentiation, codes of [SystemElement].
const (
	Cause     = "cause"          // 病因
	Nature    = "nature"         // 病性
	Location  = "location"       // 病位
	Tendency  = "tendency"       // 病势
	Mechanism = "pathomechanism" // 病机
	Pattern   = "syndrome"       // 证
)

var elementNames = map[string]string{Cause: "病因", Nature: "病性", Location: "病位", Tendency: "病势", Mechanism: "病机", Pattern: "证"}

// Differentiation is the reasoning of a visit (辨证): from the findings of the
// four examinations to causes, natures, locations and the syndrome.
type Differentiation struct {
	Visit
	Summary     string    // 辨证分析
	Mechanism   string    // 病因病机, in one sentence
	Principles  []Coding  // 治则治法, codes of [SystemTherapy]
	Findings    []string  // Observation ids of the four examinations
	Elements    []Element // 病因 病性 病位 病势 病机
	SyndromeIDs []string  // Condition ids of the syndromes
}

// Element is one element of a differentiation. Text is a term of [SystemZhengsu]
// for a nature or a location, and words for the others.
type Element struct{ Kind, Text string }

// ID is the ClinicalImpression's resource id: one per visit.
func (d Differentiation) ID() string { return ID("imp", d.EncounterID) }

// Resources builds the ClinicalImpression.
func (d Differentiation) Resources() []Resource {
	id := d.ID()
	out := r4.ClinicalImpression{Id: &id, Status: r4.ClinicalImpressionStatusCompleted, Subject: must(ref("Patient", d.PatientID, "")), Encounter: ref("Encounter", d.EncounterID, ""),
		EffectiveDateTime: str(d.Time), Assessor: ref("Practitioner", d.DoctorID, ""), Summary: str(d.Summary), Extension: principles(d.Principles)}
	if d.Mechanism != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtPathogenesis, ValueString: &d.Mechanism})
	}
	if d.Findings != nil {
		group := r4.ClinicalImpressionInvestigation{Code: conceptValue("四诊")}
		for _, f := range d.Findings {
			group.Item = append(group.Item, must(ref("Observation", f, "")))
		}
		out.Investigation = []r4.ClinicalImpressionInvestigation{group}
	}
	for _, e := range d.Elements {
		f := r4.ClinicalImpressionFinding{Extension: element(e.Kind), ItemCodeableConcept: concept(e.Text)}
		if e.Kind == Nature || e.Kind == Location {
			f.ItemCodeableConcept = concept(e.Text, Coding{SystemZhengsu, e.Text, e.Text})
		}
		out.Finding = append(out.Finding, f)
	}
	for _, s := range d.SyndromeIDs {
		out.Finding = append(out.Finding, r4.ClinicalImpressionFinding{Extension: element(Pattern), ItemReference: ref("Condition", s, "")})
	}
	return []Resource{{"ClinicalImpression", id, out}}
}

func element(kind string) []r4.Extension {
	return []r4.Extension{{Url: ExtElement, ValueCoding: ptr(Coding{SystemElement, kind, elementNames[kind]}.model())}}
}

// principles writes 治则治法 as extensions.
func principles(list []Coding) []r4.Extension {
	var out []r4.Extension
	for _, c := range list {
		out = append(out, r4.Extension{Url: ExtPrinciple, ValueCodeableConcept: concept(c.Display, c)})
	}
	return out
}

func readPrinciples(n fhir.Node) []Coding {
	var out []Coding
	for e := range n.Get("extension").Children() {
		if e.Get("url").Str() != ExtPrinciple {
			continue
		}
		c := codingOf(e.Path("valueCodeableConcept", "coding").At(0))
		if c.Display == "" {
			c.Display = e.Path("valueCodeableConcept", "text").Str()
		}
		out = append(out, c)
	}
	return out
}

// ReadDifferentiation reads one back.
func ReadDifferentiation(n fhir.Node) Differentiation {
	d := Differentiation{Visit: visitOf(n), Summary: n.Get("summary").Str(), Mechanism: extension(n, ExtPathogenesis).Get("valueString").Str(), Principles: readPrinciples(n)}
	d.Time, d.DoctorID = n.Get("effectiveDateTime").Str(), refID(n.Get("assessor"), "Practitioner")
	for item := range n.Path("investigation", "item").Each() {
		d.Findings = append(d.Findings, refID(item, "Observation"))
	}
	for f := range n.Get("finding").Children() {
		kind := extension(f, ExtElement).Path("valueCoding", "code").Str()
		if kind == Pattern {
			d.SyndromeIDs = append(d.SyndromeIDs, refID(f.Get("itemReference"), "Condition"))
			continue
		}
		d.Elements = append(d.Elements, Element{kind, f.Path("itemCodeableConcept", "text").Str()})
	}
	return d
}
