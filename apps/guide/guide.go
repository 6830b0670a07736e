// Package guide shows the TCM implementation guide of package conformance as
// pages: what each profile asks with a picture of it, the code systems with
// search as a doctor types, the forms, rules, search parameters, roles and
// examples, and the guide as a package to download.
package guide

import (
	"bytes"
	"cmp"
	"context"
	"html/template"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Terms finds codes of a value set by words, pinyin or initials.
type Terms interface {
	Find(ctx context.Context, valueSet string, o terminology.ExpandOptions) (list []terminology.Concept, total int, err error)
}

// Config says how the guide shows itself.
type Config struct {
	Version string
	Zone    *time.Location
	Local   bool // loopback without login: pages say so
}

// App serves the guide. It is read-only after New and safe for concurrent use.
type App struct {
	cfg      Config
	terms    Terms
	log      *slog.Logger
	pages    *template.Template
	pack     []byte // the guide as a package
	chapters []chapter
	items    map[string]*artefact // by Type/id
	byURL    map[string]*artefact
	byType   map[string]*artefact // the first profile of a resource type
	order    map[string]int       // of reading, by Type/id
}

// chapter is a group of artefacts on the first page.
type chapter struct {
	Anchor, Title, Note string
	Items               []*artefact
}

// artefact is one resource of the guide, kept as bytes.
type artefact struct {
	Type, ID, URL string
	Title, Text   string
	Of            string // resource type that a profile or an example is of
	Profile       string // profile an example is of
	body          []byte
	Examples      []*artefact // of a profile
	concepts      int
	Code          string // of a search parameter
}

// Path is the page of the artefact.
func (a *artefact) Path() string { return "/guide/" + a.Type + "/" + a.ID }

// Size is the number of codes of a code system, 0 for other artefacts.
func (a *artefact) Size() int64 { return int64(a.concepts) }

// New reads the guide's index. An error means a broken build.
func New(cfg Config, terms Terms, log *slog.Logger) (*App, error) {
	pages, err := web.Pages("guide", cfg.Zone)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, terms: terms, log: log, pages: pages, items: map[string]*artefact{}, byURL: map[string]*artefact{}, byType: map[string]*artefact{}, order: map[string]int{}}
	if err := a.readOrder(); err != nil {
		return nil, err
	}
	var pack bytes.Buffer
	if err := conformance.WritePackage(&pack); err != nil {
		return nil, err
	}
	a.pack = pack.Bytes()
	for _, c := range []struct {
		chapter
		from iter.Seq2[string, []byte]
		take func(*artefact) bool
	}{
		{chapter{"profiles", "资源规范", "每一类资源该怎么写：必填项、术语绑定、扩展，附结构图与示例。", nil}, conformance.Structures(), func(x *artefact) bool { return x.Of != "Extension" }},
		{chapter{"extensions", "扩展", "R4 没有而中医需要的内容。", nil}, conformance.Structures(), func(x *artefact) bool { return x.Of == "Extension" }},
		{chapter{"systems", "代码系统", "国家标准、行业标准与本指南定义的代码，每个都注明来源与审核状态；可按汉字、拼音或首字母检索。", nil}, conformance.Terminology(), typed("CodeSystem")},
		{chapter{"maps", "编码对照", "新旧版本、国内外标准之间的对照，以及院内代码对照的模板。", nil}, conformance.Terminology(), typed("ConceptMap")},
		{chapter{"valuesets", "值集", "规范中绑定的代码范围。", nil}, conformance.Terminology(), typed("ValueSet")},
		{chapter{"forms", "量表", "体质辨识问卷。", nil}, conformance.Questionnaires(), nil},
		{chapter{"rules", "合理用药规则", "十八反、十九畏、妊娠、特殊管理与煎煮法，逐条带出处、版本与审核状态。", nil}, conformance.Rules(), nil},
		{chapter{"search", "检索参数", "在 R4 标准参数之外，按中医要素检索。", nil}, conformance.SearchParameters(), nil},
		{chapter{"roles", "接入角色与能力声明", "各类系统与数据中心交互时应做到的事。", nil}, conformance.Capabilities(), nil},
		{chapter{"examples", "示例", "一次完整门诊的全部资源（合成数据），每个都经校验。", nil}, conformance.Examples(), nil},
	} {
		if err := a.read(&c.chapter, c.from, c.take); err != nil {
			return nil, err
		}
		a.chapters = append(a.chapters, c.chapter)
	}
	a.link()
	return a, nil
}

func typed(typ string) func(*artefact) bool { return func(a *artefact) bool { return a.Type == typ } }

// read indexes one chapter.
func (a *App) read(c *chapter, from iter.Seq2[string, []byte], take func(*artefact) bool) error {
	for name, b := range from {
		tree, err := fhir.Parse(b)
		if err != nil {
			return fault.New(fault.Internal, "guide: %s: %w", name, err)
		}
		n := tree.Root()
		x := &artefact{Type: n.ResourceType(), ID: n.Get("id").Str(), URL: n.Get("url").Str(), Title: cmp.Or(n.Get("title").Str(), n.Get("description").Str()),
			Text: n.Get("description").Str(), body: b, Profile: n.Path("meta", "profile").At(0).Str()}
		switch x.Type {
		case "StructureDefinition":
			x.Of = n.Get("type").Str()
		case "CodeSystem":
			x.concepts = n.Get("concept").Len()
		case "SearchParameter":
			x.Code, x.Of = n.Get("code").Str(), n.Get("base").At(0).Str()+"?"+n.Get("code").Str()
		}
		if take != nil && !take(x) {
			continue
		}
		a.items[x.Type+"/"+x.ID] = x
		if x.URL != "" {
			a.byURL[x.URL] = x
		}
		c.Items = append(c.Items, x)
	}
	slices.SortStableFunc(c.Items, func(x, y *artefact) int {
		return cmp.Or(y.concepts-x.concepts, a.order[x.Type+"/"+x.ID]-a.order[y.Type+"/"+y.ID])
	})
	return nil
}

// readOrder takes the order of the artefacts from the ImplementationGuide.
func (a *App) readOrder() error {
	for name, b := range conformance.Artefacts() {
		if !strings.HasPrefix(name, "ImplementationGuide-") {
			continue
		}
		tree, err := fhir.Parse(b)
		if err != nil {
			return fault.New(fault.Internal, "guide: %s: %w", name, err)
		}
		for r := range tree.Root().Path("definition", "resource").Children() {
			a.order[r.Path("reference", "reference").Str()] = len(a.order) + 1
		}
	}
	return nil
}

// link names each example by its profile and lists it there, and notes the
// profile to show for a resource type.
func (a *App) link() {
	for _, x := range a.chapters[0].Items {
		if a.byType[x.Of] == nil {
			a.byType[x.Of] = x
		}
	}
	for _, c := range a.chapters {
		for _, x := range c.Items {
			if p := a.byURL[x.Profile]; p != nil {
				x.Title, x.Of = p.Title, p.ID
				p.Examples = append(p.Examples, x)
			}
		}
	}
}

// find returns the artefact of a page; fault.NotFound.
func (a *App) find(typ, id string) (*artefact, fhir.Node, error) {
	x := a.items[typ+"/"+strings.TrimSuffix(id, ".json")]
	if x == nil {
		return nil, fhir.Node{}, fault.New(fault.NotFound, "指南里没有 %s/%s，请从目录重新进入", typ, id)
	}
	tree, err := fhir.Parse(x.body)
	if err != nil {
		return nil, fhir.Node{}, err
	}
	return x, tree.Root(), nil
}
