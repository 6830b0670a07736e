package bundle

import (
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Result is a shared document as resources.
type Result struct {
	Facts     *Facts
	Resources []tcm.Resource // the Composition first
	Issues    []fault.Issue  // of reading, of the rules, of mapping
}

// FromCDA reads a shared document in any charset (charset is what the transport
// stated) and maps it. A document that breaks a fatal rule is fault.Invalid with
// every finding; others come with their findings as issues.
func (m *Mapper) FromCDA(data []byte, charset string) (*Result, error) {
	r, err := m.Read(data, charset)
	if err != nil {
		return nil, err
	}
	m.Build(r)
	return r, nil
}

// Read is the first half of FromCDA: the facts. A caller that knows more (whose
// visit it is) may put it into them before Build.
func (m *Mapper) Read(data []byte, charset string) (*Result, error) {
	d, issues, err := cda.Read(data, charset)
	if err != nil {
		return nil, err
	}
	issues = append(issues, m.checker.Check(d)...)
	if bad := cda.Fatal(issues); bad != nil {
		return nil, fault.New(fault.Invalid, "%s", bad.TextEN).With(worstFirst(issues)...)
	}
	facts, notes := m.absorb(d, m.checker.Template(d))
	return &Result{Facts: facts, Issues: append(issues, notes.issues...)}, nil
}

// Build makes the resources of what was read.
func (m *Mapper) Build(r *Result) {
	resources, notes := m.build(r.Facts)
	r.Resources, r.Issues = resources, append(r.Issues, notes.issues...)
}

// worstFirst puts the fatal findings before the others.
func worstFirst(list []fault.Issue) []fault.Issue {
	out := make([]fault.Issue, 0, len(list))
	for _, fatal := range []bool{true, false} {
		for _, is := range list {
			if (is.Severity == "fatal") == fatal {
				out = append(out, is)
			}
		}
	}
	return out
}

// Document is the result as a FHIR Bundle of type document; base is what fullUrls
// begin with. Findings stand in an OperationOutcome as its last entry.
func (m *Mapper) Document(r *Result, base string, now time.Time) ([]byte, error) {
	b := append(make([]byte, 0, 16<<10), `{"resourceType":"Bundle","type":"document","identifier":{"system":"`+oidPrefix+cda.RootDocument+`","value":`...)
	b = appendString(b, r.Facts.DocID)
	b = append(b, `},"timestamp":"`+now.UTC().Format("2006-01-02T15:04:05.000Z")+`","entry":[`...)
	var err error
	for i, res := range r.Resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(append(b, `{"fullUrl":`...), base+"/"+res.Type+"/"+res.ID), `,"resource":`...)
		if b, err = m.encoder.Append(b, res.Model); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	if len(r.Issues) > 0 {
		id := tcm.ID("outcome", r.Facts.Organization.Code, r.Facts.DocID)
		b = append(appendString(append(b, `,{"fullUrl":`...), base+"/OperationOutcome/"+id), `,"resource":`...)
		b = append(append(b, outcome.Issues(r.Issues, outcome.Options{})...), '}')
	}
	return append(b, `]}`...), nil
}
