package workbench

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// suggestions are how many candidates a code gets.
const suggestions = 6

// valueSets are where candidates are looked for, by what the table is about;
// others look in all of them.
var valueSets = map[string][]string{
	"diagnosis": {tcm.Base + "/ValueSet/gbt-15657-2021", tcm.Base + "/ValueSet/icd-10-cn", tcm.Base + "/ValueSet/gbt-15657-1995"},
	"drug":      {tcm.Base + "/ValueSet/herb"},
	"therapy":   {tcm.Base + "/ValueSet/gbt-16751-3-2023"},
}

// Suggestion is a candidate for a code.
type Suggestion struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// suggest finds candidates: by the whole name first, then by what is left when
// words are taken from its end, then by the code as pinyin initials.
func (w *Workbench) suggest(ctx context.Context, table, words string) []Suggestion {
	words = strings.TrimSpace(words)
	var sets []string
	for kind, list := range valueSets {
		if strings.Contains(table, kind) {
			sets = append(sets, list...)
		}
	}
	if sets == nil {
		for _, kind := range []string{"diagnosis", "drug", "therapy"} {
			sets = append(sets, valueSets[kind]...)
		}
	}
	var out []Suggestion
	runes := []rune(words)
	for n := len(runes); n >= 2 && len(out) < suggestions; n-- {
		for _, set := range sets {
			list, _, err := w.Terms.Find(ctx, set, terminology.ExpandOptions{Filter: string(runes[:n]), Count: 4 * suggestions})
			if err != nil {
				continue // a set that is not loaded here
			}
			// the shortest name that has the words is the nearest to them
			slices.SortStableFunc(list, func(a, b terminology.Concept) int {
				return cmp.Compare(len(a.Display), len(b.Display))
			})
			for _, c := range list {
				s := Suggestion{c.System, c.Code, c.Display}
				if len(out) < suggestions && !c.Abstract && !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// missed is a row of the workbench.
type missed struct {
	mapping.Missed
	Suggestions []Suggestion `json:"suggestions"`
}

// maxShown bounds what one page looks candidates up for.
const maxShown = 50

func (w *Workbench) missed(ctx context.Context) (rows []missed, total int) {
	list := w.Tally.List()
	total = len(list)
	for _, m := range list[:min(len(list), maxShown)] {
		words := cmp.Or(m.Display, m.Code)
		s := w.suggest(ctx, m.Table, words)
		if len(s) == 0 && m.Display != "" {
			s = w.suggest(ctx, m.Table, m.Code) // initials as codes are common
		}
		m.Messages = nil
		rows = append(rows, missed{m, s})
	}
	return rows, total
}

func (w *Workbench) codesPage(g *gin.Context) {
	rows, total := w.missed(g.Request.Context())
	var found []Suggestion
	if q := g.Query("q"); q != "" {
		found = w.suggest(g.Request.Context(), g.Query("table"), q)
	}
	w.render(g, http.StatusOK, "codes", struct {
		web.Page
		Rows     []missed
		Total    int64
		Q        string
		Found    []Suggestion
		Approved string
		Replayed string
	}{w.page("代码对照", "/console/codes"), rows, int64(total), g.Query("q"), found, g.Query("approved"), g.Query("replayed")})
}

func (w *Workbench) codesAPI(g *gin.Context) {
	rows, total := w.missed(g.Request.Context())
	if rows == nil {
		rows = []missed{}
	}
	g.JSON(http.StatusOK, gin.H{"total": total, "items": rows})
}

func (w *Workbench) suggestAPI(g *gin.Context) {
	list := w.suggest(g.Request.Context(), g.Query("table"), g.Query("q"))
	if list == nil {
		list = []Suggestion{}
	}
	g.JSON(http.StatusOK, gin.H{"items": list})
}

// Approval decides the target of a code.
type Approval struct {
	Table   string     `json:"table" form:"table"`
	System  string     `json:"system" form:"system"`
	Code    string     `json:"code" form:"code"`
	Display string     `json:"display" form:"display"`
	Target  Suggestion `json:"target"`
	Wider   bool       `json:"wider"` // the target says less than the code
}

func (w *Workbench) approveForm(g *gin.Context) {
	var a Approval
	if err := g.ShouldBind(&a); err != nil {
		w.fail(g, fault.New(fault.Invalid, "表单不完整：%w", err))
		return
	}
	parts := strings.SplitN(g.PostForm("target"), "|", 3)
	if len(parts) == 3 {
		a.Target = Suggestion{parts[0], parts[1], parts[2]}
	}
	n, err := w.approve(g.Request.Context(), a)
	if err != nil {
		w.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/codes?approved="+urlQuery(a.Code)+"&replayed="+itoa(n))
}

func (w *Workbench) approveAPI(g *gin.Context) {
	var a Approval
	if err := g.ShouldBindJSON(&a); err != nil {
		w.fail(g, fault.New(fault.Invalid, "内容不是合法的 JSON：%w", err))
		return
	}
	n, err := w.approve(g.Request.Context(), a)
	if err != nil {
		w.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, gin.H{"replayed": n})
}

// approve writes the decision into the table's ConceptMap as a new version and
// hands the messages that waited for it to their maps again.
func (w *Workbench) approve(ctx context.Context, a Approval) (replayed int, err error) {
	if a.Code == "" || a.Target.Code == "" || a.Target.System == "" {
		return 0, fault.New(fault.Invalid, "缺少代码或目标代码")
	}
	var row *mapping.Missed
	for _, m := range w.Tally.List() {
		if m.Table == a.Table && m.System == a.System && m.Code == a.Code {
			row = &m
			break
		}
	}
	if row == nil {
		return 0, fault.New(fault.NotFound, "没有待对照的代码 %s", a.Code)
	}
	if row.ConceptMap == "" {
		return 0, fault.New(fault.Unsupported, "表 %s 写在映射里，没有 ConceptMap：请在映射中为它补上 map", a.Table)
	}
	if err := w.addTarget(ctx, row.ConceptMap, a); err != nil {
		return 0, err
	}
	for _, m := range w.Tally.Take(a.Table, a.System, a.Code) {
		for _, id := range m.Messages {
			if err := w.Replay(ctx, id); err == nil {
				replayed++
			} else if !fault.Is(err, fault.NotFound) {
				return replayed, err
			}
		}
	}
	return replayed, nil
}

// conceptMap is the part of a ConceptMap that the workbench writes.
type conceptMap struct {
	ResourceType string  `json:"resourceType"`
	ID           string  `json:"id"`
	URL          string  `json:"url"`
	Version      string  `json:"version"`
	Name         string  `json:"name"`
	Title        string  `json:"title"`
	Status       string  `json:"status"`
	Date         string  `json:"date"`
	Group        []group `json:"group"`
}

type group struct {
	Source  string    `json:"source,omitempty"`
	Target  string    `json:"target"`
	Element []element `json:"element"`
}

type element struct {
	Code    string   `json:"code"`
	Display string   `json:"display,omitempty"`
	Target  []target `json:"target"`
}

type target struct {
	Code        string `json:"code"`
	Display     string `json:"display,omitempty"`
	Equivalence string `json:"equivalence"`
}

// addTarget puts one code into a stored ConceptMap, in place of what it said of
// it before. The repository keeps every version.
func (w *Workbench) addTarget(ctx context.Context, canonical string, a Approval) error {
	id := canonical[strings.LastIndexByte(canonical, '/')+1:]
	snap, err := w.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	cm := conceptMap{ResourceType: "ConceptMap", ID: id, URL: canonical, Name: id, Title: "本地代码对照", Status: "active"}
	op := store.Op{Method: store.Update, Type: "ConceptMap", ID: id}
	old, version, err := store.Current(snap, "ConceptMap", id)
	if err != nil {
		return err
	}
	if version > 0 {
		if err := json.Unmarshal(old.Raw(), &cm); err != nil {
			return err
		}
		op.IfMatch = version // two people must not undo each other's decision
	}
	now := w.Clock.Now().UTC()
	cm.Version, cm.Date = now.Format("20060102150405"), now.Format(time.RFC3339)
	cm.put(a)
	if op.Resource, err = json.Marshal(cm); err != nil {
		return err
	}
	_, err = w.Store.Commit(ctx, &store.Transaction{ID: "codes-" + a.Code + "-" + cm.Version, Actor: "workbench", Time: now.Truncate(time.Millisecond), Ops: []store.Op{op}})
	return err
}

func (cm *conceptMap) put(a Approval) {
	e := element{a.Code, a.Display, []target{{a.Target.Code, a.Target.Display, "equivalent"}}}
	if a.Wider {
		e.Target[0].Equivalence = "wider"
	}
	for i := range cm.Group {
		if g := &cm.Group[i]; g.Source == a.System {
			g.Element = slices.DeleteFunc(g.Element, func(o element) bool { return o.Code == a.Code })
		}
	}
	for i := range cm.Group {
		if g := &cm.Group[i]; g.Source == a.System && g.Target == a.Target.System {
			g.Element = append(g.Element, e)
			return
		}
	}
	cm.Group = append(cm.Group, group{a.System, a.Target.System, []element{e}})
	cm.Group = slices.DeleteFunc(cm.Group, func(g group) bool { return len(g.Element) == 0 })
}
