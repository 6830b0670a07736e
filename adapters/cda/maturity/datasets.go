package maturity

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
)

// how an element of a data set is carried in FHIR.
type carriage int

const (
	none    carriage = iota
	generic          // as an Observation coded by its number, through a template
	typed            // by an element of the TCM guide
)

// datasets looks at every element of WS 445: has it a place in FHIR, and does a
// running hub hold it.
func (p Parts) datasets(ctx context.Context) (Part, error) {
	out := Part{Name: "数据集标准化", Weight: WeightDatasets,
		Note: "按数据元编号核对：有 FHIR 专属位置计 1，经共享文档以编号保存计 0.5；连接数据中心时，专属位置还须在抽样数据中出现"}
	rows := map[string]bundle.Row{}
	for _, r := range p.Mapper.Rows() {
		if _, ok := rows[r.DE]; !ok {
			rows[r.DE] = r
		}
	}
	through := p.throughTemplates()
	samples, err := p.samples(ctx, rows)
	if err != nil {
		return out, err
	}
	for i := range p.Catalogue.Datasets {
		d := &p.Catalogue.Datasets[i]
		out.Items = append(out.Items, p.dataset(d, rows, through, samples))
	}
	return out, nil
}

// throughTemplates are the numbers that some shared document carries.
func (p Parts) throughTemplates() map[string]bool {
	out := map[string]bool{}
	for i := range p.Catalogue.Templates {
		for _, e := range p.Catalogue.Templates[i].Elements() {
			out[e.DE] = true
		}
	}
	return out
}

func (p Parts) dataset(d *cda.Dataset, rows map[string]bundle.Row, through map[string]bool, samples map[string]bool) Item {
	item := Item{ID: d.Name, Name: d.Name, Source: "WS 445-2014"}
	counts, points, found := [3]int{}, 0.0, 0
	for _, e := range d.Elements {
		how := none
		if _, ok := rows[e.DE]; ok {
			how = typed
		} else if through[e.DE] || through[e.ID] {
			how = generic
		}
		counts[how]++
		held := samples == nil || samples[e.DE]
		switch {
		case how == typed && held:
			points++
			found++
		case how == typed:
			points += 0.5
			item.Missing = append(item.Missing, e.DE+" "+e.Name+"：抽样数据中没有（"+rows[e.DE].FHIR+"）")
		case how == generic:
			points += 0.5
			item.Missing = append(item.Missing, e.DE+" "+e.Name+"：没有专属位置，按编号保存为 Observation")
		default:
			item.Missing = append(item.Missing, e.DE+" "+e.Name+"：没有 FHIR 位置")
		}
	}
	item.Share = points / float64(max(1, len(d.Elements)))
	item.Evidence = fmt.Sprintf("数据元 %d：专属 %d、按编号保存 %d、无位置 %d", len(d.Elements), counts[typed], counts[generic], counts[none])
	if samples != nil {
		item.Evidence += fmt.Sprintf("；专属中抽样有值 %d", found)
	}
	return item
}

// sampleSize is how many resources of a type are looked at.
const sampleSize = 200

// samples reads resources of every mapped type from the hub and tells which
// elements occur in them; nil without a hub.
func (p Parts) samples(ctx context.Context, rows map[string]bundle.Row) (map[string]bool, error) {
	if p.Hub == nil {
		return nil, nil
	}
	nodes := map[string][]fhir.Node{}
	out := map[string]bool{}
	for de, r := range rows {
		for expression := range strings.SplitSeq(r.FHIR, " | ") {
			typ := typeOf(expression)
			if _, read := nodes[typ]; !read {
				nodes[typ] = p.resources(ctx, typ)
			}
			for _, n := range nodes[typ] {
				ok, err := p.Paths.Exists(expression, n)
				if err != nil {
					return nil, fmt.Errorf("mapping of %s: %w", de, err)
				}
				if ok {
					out[de] = true
					break
				}
			}
		}
	}
	return out, nil
}

func typeOf(expression string) string {
	i := slices.IndexFunc([]byte(expression), func(b byte) bool { return b == '.' || b == ' ' })
	if i < 0 {
		return expression
	}
	return expression[:i]
}

// resources are up to sampleSize of a type; none if the hub has or gives none.
func (p Parts) resources(ctx context.Context, typ string) []fhir.Node {
	status, body, _, err := p.Hub.Get(ctx, "/fhir/"+url.PathEscape(typ)+fmt.Sprintf("?_count=%d", sampleSize))
	if err != nil || status != 200 {
		return nil
	}
	tree, err := fhir.Parse(body)
	if err != nil {
		return nil
	}
	var out []fhir.Node
	for e := range tree.Root().Get("entry").Children() {
		out = append(out, e.Get("resource"))
	}
	return out
}
