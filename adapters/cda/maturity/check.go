package maturity

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
)

// Hub is a running hub to look at.
type Hub interface {
	// Base is its address, http://host:port.
	Base() string
	// Get reads a path; an error means that there was no answer.
	Get(ctx context.Context, path string) (status int, body []byte, header http.Header, err error)
}

// Paths tells whether a FHIRPath expression finds something in a resource.
type Paths interface {
	Exists(expression string, resource fhir.Node) (bool, error)
}

// Parts is what a check works with.
type Parts struct {
	Catalogue *cda.Catalogue
	Checker   *cda.Checker
	Mapper    *bundle.Mapper
	Paths     Paths
	Hub       Hub // nil: only what needs no running hub
	Version   string
	Now       func() time.Time
}

// Check makes the report. An error is a fault of the embedded data; what a hub does
// not answer is an item that failed.
func Check(ctx context.Context, p Parts) (*Report, error) {
	r := &Report{Time: p.Now(), Subject: "本程序（未连接运行中的数据中心）", Version: p.Version, Scheme: Scheme}
	if p.Hub != nil {
		r.Subject = p.Hub.Base()
	}
	datasets, err := p.datasets(ctx)
	if err != nil {
		return nil, err
	}
	documents, err := p.documents()
	if err != nil {
		return nil, err
	}
	services, err := p.services(ctx)
	if err != nil {
		return nil, err
	}
	r.Parts = []Part{datasets, documents, services}
	for i := range r.Parts {
		r.Parts[i].sum()
		r.Score += r.Parts[i].Score
		r.Max += r.Parts[i].Max
	}
	return r, nil
}

// documents takes a full document of every template to FHIR and back: it must be
// made, be valid by the rules, and lose nothing.
func (p Parts) documents() (Part, error) {
	out := Part{Name: "共享文档标准化", Weight: WeightDocuments, Note: "每种模板以试填文档检验：生成、按规则校验、CDA→FHIR→CDA 往返"}
	for i := range p.Catalogue.Templates {
		t := &p.Catalogue.Templates[i]
		item := Item{ID: t.Code, Name: t.Title, Source: t.Part + "（章节与数据元由公开实现核对）"}
		specimen := cda.Append(nil, cda.Specimen(p.Catalogue, t), t)
		d, _, err := cda.Read(specimen, "")
		if err != nil {
			return out, fmt.Errorf("template %s: %w", t.Code, err)
		}
		held, elements := 0, 0
		for range t.Elements() {
			elements++
		}
		if elements > 0 {
			held++
		} else {
			item.Missing = append(item.Missing, "数据中没有这个模板的数据元")
		}
		if bad := p.errors(d); bad == nil {
			held++
		} else {
			item.Missing = append(item.Missing, bad...)
		}
		if lost := p.roundTrip(specimen); lost == nil {
			held++
		} else {
			item.Missing = append(item.Missing, lost...)
		}
		item.Share = float64(held) / 3
		item.Evidence = fmt.Sprintf("章节 %d、数据元 %d；生成、校验、往返 %d/3", len(t.Sections), elements, held)
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func (p Parts) errors(d *cda.Document) []string {
	var out []string
	for _, is := range p.Checker.Check(d) {
		if is.Severity == "error" || is.Severity == "fatal" {
			out = append(out, "校验："+is.Text)
		}
	}
	return out
}

// roundTrip returns what a document loses on its way to FHIR and back.
func (p Parts) roundTrip(document []byte) []string {
	res, err := p.Mapper.FromCDA(document, "")
	if err != nil {
		return []string{"转换为 FHIR：" + err.Error()}
	}
	b, err := p.Mapper.Document(res, "urn:qihuang", p.Now())
	if err != nil {
		return []string{"转换为 FHIR：" + err.Error()}
	}
	tree, err := fhir.Parse(b)
	if err != nil {
		return []string{"转换为 FHIR：" + err.Error()}
	}
	back, _, err := p.Mapper.ToCDA(tree.Root(), bundle.Options{})
	if err != nil {
		return []string{"转换回 CDA：" + err.Error()}
	}
	was, _, err := cda.Read(document, "")
	if err != nil {
		return []string{err.Error()}
	}
	is, _, err := cda.Read(back, "")
	if err != nil {
		return []string{"转换回 CDA：" + err.Error()}
	}
	var out []string
	for _, s := range cda.Missing(cda.Statements(was), cda.Statements(is)) {
		out = append(out, "往返丢失："+s)
	}
	return out
}
