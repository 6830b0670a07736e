package console

import (
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// line is one line of the comparison of two versions.
type line struct {
	Kind string // "", add, del, skip
	Text string
	A, B int // line numbers, 0 = none
}

// mostVersions bounds the history shown on one page.
const mostVersions = 200

// historyPage lists the versions of a resource and shows what changed between
// two of them; without a choice, between the last two.
func (c *Console) historyPage(g *gin.Context) {
	typ, id := g.Param("type"), g.Param("id")
	if !c.Repository.Model.IsResource(typ) {
		c.refuse(g, fault.New(fault.NotFound, "没有资源类型 %s", typ))
		return
	}
	versions, err := c.versions(g, typ, id)
	if err != nil {
		c.refuse(g, err)
		return
	}
	view := struct {
		web.Page
		Type, ID       string
		Versions       []*store.Version
		From, To       int64
		Lines          []line
		Added, Removed int
	}{Page: c.page(typ+"/"+id+" 的历史", resources), Type: typ, ID: id, Versions: versions}
	view.To = number(g.Query("to"), versions[0].Version)
	view.From = number(g.Query("from"), view.To-1)
	var text [2]string
	for i, n := range []int64{view.From, view.To} {
		for _, v := range versions {
			if v.Version == n && !v.Deleted() {
				text[i] = indent(v.Resource)
			}
		}
	}
	view.Lines = compare(text[0], text[1])
	for _, l := range view.Lines {
		switch l.Kind {
		case "add":
			view.Added++
		case "del":
			view.Removed++
		}
	}
	c.render(g, "history", view)
}

func number(s string, def int64) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return def
}

func (c *Console) versions(g *gin.Context, typ, id string) (out []*store.Version, err error) {
	snap, err := c.Repository.Store.Snapshot(g.Request.Context(), 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	for ch, err := range snap.History(store.HistoryQuery{Type: typ, ID: id}) {
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		v := *ch.Version
		v.Resource = append([]byte(nil), v.Resource...)
		if out = append(out, &v); len(out) == mostVersions {
			break
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "没有 %s/%s", typ, id)
	}
	return out, nil
}

// mostCells bounds the table of the comparison; beyond it the middle counts as
// replaced as a whole.
const mostCells = 4 << 20

// context is how many equal lines stand around a change.
const contextLines = 3

// compare compares two texts line by line by their longest common subsequence.
func compare(a, b string) []line {
	x, y := lines(a), lines(b)
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	var out []line
	for i := range head {
		out = append(out, line{"", x[i], i + 1, i + 1})
	}
	out = middle(out, x[head:len(x)-tail], y[head:len(y)-tail], head)
	for i := range tail {
		n, m := len(x)-tail+i, len(y)-tail+i
		out = append(out, line{"", x[n], n + 1, m + 1})
	}
	return fold(out)
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// middle compares what lies between the equal beginning and end.
func middle(out []line, x, y []string, from int) []line {
	common := make([][]int32, 0)
	if len(x)*len(y) <= mostCells {
		common = make([][]int32, len(x)+1)
		for i := range common {
			common[i] = make([]int32, len(y)+1)
		}
		for i := len(x) - 1; i >= 0; i-- {
			for k := len(y) - 1; k >= 0; k-- {
				if x[i] == y[k] {
					common[i][k] = common[i+1][k+1] + 1
				} else {
					common[i][k] = max(common[i+1][k], common[i][k+1])
				}
			}
		}
	}
	i, k := 0, 0
	for i < len(x) || k < len(y) {
		switch {
		case len(common) > 0 && i < len(x) && k < len(y) && x[i] == y[k]:
			out = append(out, line{"", x[i], from + i + 1, from + k + 1})
			i, k = i+1, k+1
		case i < len(x) && (k == len(y) || len(common) == 0 || common[i+1][k] >= common[i][k+1]):
			out = append(out, line{"del", x[i], from + i + 1, 0})
			i++
		default:
			out = append(out, line{"add", y[k], 0, from + k + 1})
			k++
		}
	}
	return out
}

// fold leaves out equal lines far from any change.
func fold(list []line) (out []line) {
	near := make([]bool, len(list))
	for i, l := range list {
		if l.Kind == "" {
			continue
		}
		for k := max(0, i-contextLines); k <= min(len(list)-1, i+contextLines); k++ {
			near[k] = true
		}
	}
	for i, l := range list {
		switch {
		case near[i]:
			out = append(out, l)
		case len(out) == 0 || out[len(out)-1].Kind != "skip":
			out = append(out, line{Kind: "skip"})
		}
	}
	return out
}
