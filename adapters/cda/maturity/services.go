package maturity

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
)

//go:embed data/services.json
var servicesJSON []byte

// service is one part of WS/T 790 and how to see that a hub offers it.
type service struct {
	Part  string `json:"part"`
	Name  string `json:"name"`
	IHE   string `json:"ihe"`
	Probe string `json:"probe"` // kind, then its arguments
}

// offered is what a hub says it does.
type offered struct {
	interactions map[string]bool // "Patient update"
	operations   map[string]bool
	paths        map[string]bool
	date         string
	https        bool
}

// services looks for the services of WS/T 790 in what the hub declares.
func (p Parts) services(ctx context.Context) (Part, error) {
	out := Part{Name: "互联互通服务", Weight: WeightServices, Note: "按 WS/T 790 各部分名称与对应的 IHE 事务，核对能力声明与 OpenAPI；报文级符合性未检测"}
	var file struct{ Services []service }
	if err := json.Unmarshal(servicesJSON, &file); err != nil {
		return out, err
	}
	var has *offered
	if p.Hub != nil {
		has = p.declared(ctx)
	}
	for _, s := range file.Services {
		item := Item{ID: "WS/T 790." + s.Part, Name: s.Name, Source: "WS/T 790." + s.Part + "-2021；" + s.IHE}
		if has == nil {
			item.Unknown, item.Evidence = true, "需要运行中的数据中心（--url）"
		} else {
			p.probe(&item, s, has)
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// declared reads the capability statement and the OpenAPI document. A hub that
// answers neither has declared nothing.
func (p Parts) declared(ctx context.Context) *offered {
	o := &offered{interactions: map[string]bool{}, operations: map[string]bool{}, paths: map[string]bool{}, https: strings.HasPrefix(p.Hub.Base(), "https://")}
	if status, body, header, err := p.Hub.Get(ctx, "/fhir/metadata"); err == nil && status == http.StatusOK {
		o.date = header.Get("Date")
		if tree, err := fhir.Parse(body); err == nil {
			o.capabilities(tree.Root())
		}
	}
	if status, body, _, err := p.Hub.Get(ctx, "/openapi.json"); err == nil && status == http.StatusOK {
		if tree, err := fhir.Parse(body); err == nil {
			for path := range tree.Root().Get("paths").Children() {
				o.paths[path.Key()] = true
			}
		}
	}
	return o
}

func (o *offered) capabilities(n fhir.Node) {
	for rest := range n.Get("rest").Children() {
		for op := range rest.Get("operation").Children() {
			o.operations[strings.TrimPrefix(op.Get("name").Str(), "$")] = true
		}
		for r := range rest.Get("resource").Children() {
			for i := range r.Get("interaction").Children() {
				o.interactions[r.Get("type").Str()+" "+i.Get("code").Str()] = true
			}
			for op := range r.Get("operation").Children() {
				o.operations[strings.TrimPrefix(op.Get("name").Str(), "$")] = true
			}
		}
	}
}

// probe fills an item by the kind of its service's probe.
func (p Parts) probe(item *Item, s service, has *offered) {
	words := strings.Fields(s.Probe)
	args := words[1:]
	held := 0
	want := func(ok bool, missing string) {
		if ok {
			held++
		} else {
			item.Missing = append(item.Missing, missing)
		}
	}
	switch words[0] {
	case "interactions":
		for _, code := range args[1:] {
			want(has.interactions[args[0]+" "+code], "能力声明中没有 "+args[0]+" 的 "+code)
		}
		args = args[1:]
	case "operations":
		for _, name := range args {
			want(has.operations[name], "能力声明中没有操作 $"+name)
		}
	case "path":
		want(has.paths[args[0]], "OpenAPI 中没有 "+args[0])
	case "https":
		args = []string{"https"}
		want(has.https, "未以 HTTPS 提供服务，不能双向验证节点")
	case "clock":
		args = []string{"clock"}
		want(p.near(has.date), "服务器时间与本机相差超过 1 秒，或没有回答")
	}
	item.Share = float64(held) / float64(len(args))
	item.Evidence = fmt.Sprintf("%s：%d/%d", s.IHE, held, len(args))
}

// near reports whether an HTTP date is now, to its second.
func (p Parts) near(date string) bool {
	t, err := http.ParseTime(date)
	if err != nil {
		return false
	}
	d := p.Now().Sub(t)
	return d > -2*time.Second && d < 2*time.Second
}
