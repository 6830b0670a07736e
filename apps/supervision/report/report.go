// Package report is the monthly, quarterly and annual report of supervision: a
// fixed choice of indicators for a hall, county, city or the province, submitted
// and approved from below to above. Its numbers are computed while it is a draft
// and stand in the stored resource; from the submission on nothing computes them
// again, and from the approval on nothing changes them: a correction is a new
// version that names the old one and the reason.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// State is where a report stands.
type State string

// The states, in order.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	County    State = "county"
	City      State = "city"
	Approved  State = "approved" // locked
)

var stateTitles = map[State]string{Draft: "草稿", Submitted: "已上报", County: "县级已审", City: "市级已审", Approved: "已批准，锁定"}

// Title is the state in words.
func (s State) Title() string { return stateTitles[s] }

// Levels of a report's place.
const (
	OfHall     = "hall"
	OfCounty   = "county"
	OfCity     = "city"
	OfProvince = "province"
)

// Kinds of reports.
var kindTitles = map[string]string{"month": "月报", "quarter": "季报", "year": "年报"}

// Indicators are the fixed layout of a report, in its order.
var Indicators = []string{"outpatient-visits", "patients-seen", "first-visit-share", "tcm-visit-share", "decoction-prescription-share", "granule-prescription-share", "patent-prescription-share", "non-drug-therapy-visit-share",
	"herbs-per-prescription", "doses-per-prescription", "cost-per-visit", "drug-cost-share", "decoction-share-of-drug-cost", "dual-diagnosis-rate", "syndrome-recorded-rate", "tongue-pulse-rate",
	"overdose-prescription-rate", "eighteen-incompatibles-rate", "nineteen-antagonisms-rate", "visits-per-doctor-day"}

// Place is what a report is about.
type Place struct {
	City, Area, Org string // "" = not limited; Org is a code
	Name            string // in words
}

// Level of the place.
func (p Place) Level() string {
	switch {
	case p.Org != "":
		return OfHall
	case p.Area != "":
		return OfCounty
	case p.City != "":
		return OfCity
	}
	return OfProvince
}

// Figure is one indicator of a report, as it was computed.
type Figure struct {
	Measure, Title, Definition, Unit, Scoring string
	Ratio                                     bool // it has a denominator
	Now, Before, LastYear                     measures.Score
}

// Step is one step of a report's way.
type Step struct {
	Time     time.Time
	By, What string
	State    State // after it
}

// Report is one version of a report.
type Report struct {
	ID       string
	Version  int64 // of the resource
	Number   int   // 1 = the first of its period and place
	Kind     string
	Period   string // 2026-11, 2026-Q4, 2026
	From, To time.Time
	Place    Place
	Title    string
	State    State
	Computed time.Time // when the figures were
	Figures  []Figure
	Steps    []Step
	Replaces string // id of the version it corrects
	Reason   string // why
	Seal     string // of the figures, as submitted
}

// Span reads a period: its kind, the first instant and the instant after it.
func Span(period string) (kind string, from, to time.Time, err error) {
	zone := measures.Shanghai()
	if y, q, ok := strings.Cut(period, "-Q"); ok && len(q) == 1 && q[0] >= '1' && q[0] <= '4' {
		if from, err = time.ParseInLocation("2006", y, zone); err == nil {
			from = from.AddDate(0, 3*int(q[0]-'1'), 0)
			return "quarter", from, from.AddDate(0, 3, 0), nil
		}
	}
	if from, err = time.ParseInLocation("2006-01", period, zone); err == nil {
		return "month", from, from.AddDate(0, 1, 0), nil
	}
	if from, err = time.ParseInLocation("2006", period, zone); err == nil {
		return "year", from, from.AddDate(1, 0, 0), nil
	}
	return "", from, to, fault.New(fault.Invalid, "报告期 %q 应写作 2026-11（月）、2026-Q4（季）或 2026（年）", period)
}

// before is the first instant of the period before.
func (r *Report) before() time.Time {
	switch r.Kind {
	case "month":
		return r.From.AddDate(0, -1, 0)
	case "quarter":
		return r.From.AddDate(0, -3, 0)
	}
	return r.From.AddDate(-1, 0, 0)
}

// path are the states a report of a place passes, after the draft.
func (r *Report) path() []State {
	return map[string][]State{OfHall: {Submitted, County, City, Approved}, OfCounty: {Submitted, City, Approved}, OfCity: {Submitted, Approved}, OfProvince: {Submitted, Approved}}[r.Place.Level()]
}

// Next is the state that an approval (or the submission of a draft) leads to;
// "" where there is none.
func (r *Report) Next() State {
	path := r.path()
	if i := slices.Index(append([]State{Draft}, path...), r.State); i >= 0 && i < len(path) {
		return path[i]
	}
	return ""
}

// Approver is the level (of [Place.Level]) that approves or returns the report
// next; "" where nothing waits for approval.
func (r *Report) Approver() string {
	if r.State == Draft {
		return ""
	}
	return map[State]string{County: OfCounty, City: OfCity, Approved: OfProvince}[r.Next()]
}

// Locked reports whether nothing may change any more.
func (r *Report) Locked() bool { return r.State == Approved }

// seal is a hash of the figures: whoever holds the report can see that they are
// those that were submitted.
func (r *Report) seal() string {
	h := sha256.New()
	for _, f := range r.Figures {
		fmt.Fprintf(h, "%s|%v|%v|%v\n", f.Measure, f.Now, f.Before, f.LastYear)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Intact reports whether the figures are those that were submitted.
func (r *Report) Intact() bool { return r.State == Draft || r.Seal == r.seal() }

// step moves the report on.
func (r *Report) step(action, by, note string, now time.Time) error {
	if by == "" {
		return fault.New(fault.Invalid, "请填写办理人")
	}
	var what string
	switch {
	case r.Locked():
		return fault.New(fault.Conflict, "报告已批准锁定，不能再改；如有错误，请发起更正版")
	case action == "submit" && r.State == Draft:
		r.State, r.Seal, what = Submitted, r.seal(), "上报"
	case action == "approve" && r.State != Draft && r.Intact():
		r.State = r.Next()
		what = "审核通过：" + r.State.Title()
	case action == "approve" && r.State != Draft:
		return fault.New(fault.Conflict, "报告的数字与上报时不同，不能批准；请退回重报")
	case action == "return" && r.State != Draft && note == "":
		return fault.New(fault.Invalid, "退回要写明理由")
	case action == "return" && r.State != Draft:
		r.State, r.Seal, what = Draft, "", "退回"
	default:
		return fault.New(fault.Conflict, "报告是“%s”，不能这样办理", r.State.Title())
	}
	if note != "" {
		what += "　" + note
	}
	r.Steps = append(r.Steps, Step{now, by, what, r.State})
	return nil
}
