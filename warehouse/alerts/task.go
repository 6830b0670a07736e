package alerts

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/wire"
)

// Systems of a Task's codes and identifiers.
const (
	base        = "https://qihuang.health/fhir/"
	kindSystem  = base + "CodeSystem/supervision-task"
	stateSystem = base + "CodeSystem/supervision-task-state"
	keySystem   = base + "sid/alert"
	ruleSystem  = base + "sid/alert-rule"
	orgSystem   = base + "sid/organization"
)

// Kinds of tasks.
const (
	KindAlert   = "alert"        // 预警整改
	KindQuality = "data-quality" // 数据质量随访
	KindReview  = "review"       // 处方点评反馈
	KindAppeal  = "appeal"       // 绩效评分申诉
)

// State is where a task stands: Task.businessStatus, finer than Task.status.
type State string

// The states.
const (
	Waiting   State = "waiting"   // 待分派
	Assigned  State = "assigned"  // 已分派
	Working   State = "working"   // 处理中
	Submitted State = "submitted" // 已整改，待复核
	Closed    State = "closed"    // 已办结
	Cancelled State = "cancelled" // 误报，已撤销
)

// states are each state's words and its Task.status.
var states = map[State]struct{ text, status string }{
	Waiting: {"待分派", "requested"}, Assigned: {"已分派", "accepted"}, Working: {"处理中", "in-progress"}, Submitted: {"待复核", "in-progress"},
	Closed: {"已办结", "completed"}, Cancelled: {"已撤销", "cancelled"},
}

// Task is a piece of supervision work.
type Task struct {
	ID        string    `json:"id"`
	Version   int64     `json:"version"`
	Kind      string    `json:"kind"`
	Rule      string    `json:"rule,omitempty"`
	Title     string    `json:"title"`
	Text      string    `json:"text"`
	Level     string    `json:"level"` // info | warning | serious
	State     State     `json:"state"`
	StateText string    `json:"stateText"`
	Org       string    `json:"org"`
	OrgName   string    `json:"orgName,omitempty"`
	Doctor    string    `json:"doctor,omitempty"`
	Subject   string    `json:"subject,omitempty"` // disease or syndrome
	Owner     string    `json:"owner,omitempty"`   // code of the organisation that has it now
	OwnerName string    `json:"ownerName,omitempty"`
	Authored  time.Time `json:"authored"`
	Due       time.Time `json:"due"`
	From      string    `json:"from,omitempty"` // the days looked at
	To        string    `json:"to,omitempty"`
	Value     float64   `json:"value"`
	Expected  float64   `json:"expected"`
	Evidence  []string  `json:"evidence,omitempty"` // references: Encounter/…, prescription ids
	Log       []Entry   `json:"log"`
}

// Entry is one step of a task's history.
type Entry struct {
	Time time.Time `json:"time"`
	By   string    `json:"by"`
	Text string    `json:"text"`
}

// Open reports whether there is still work to do.
func (t *Task) Open() bool { return t.State != Closed && t.State != Cancelled }

// key names what a task is about: one open task per key.
func (f *Finding) key() string {
	return strings.TrimSuffix(f.Name+"|"+f.Org+"|"+f.Doctor+f.Subject, "|") // one of them at most
}

// taskOf makes the task of a finding.
func taskOf(f Finding, owner Hall, evidence []string, now time.Time) *Task {
	h := sha256.Sum256([]byte(f.key() + "|" + f.Day.Format(time.DateOnly)))
	return &Task{ID: "alert-" + strings.ToLower(base32.StdEncoding.EncodeToString(h[:15])), Kind: KindAlert, Rule: f.Name, Title: f.Title, Text: f.Text, Level: f.Level, State: Waiting,
		Org: f.Org, OrgName: f.OrgName, Doctor: f.Doctor, Subject: f.Subject, Owner: owner.Code, OwnerName: owner.Name, Authored: now, Due: now.AddDate(0, 0, f.Rule.Due),
		From: f.From.Format(time.DateOnly), To: f.Day.Format(time.DateOnly), Value: f.Value, Expected: f.Expected, Evidence: evidence}
}

// priorities are a level's Task.priority.
var priorities = map[string]string{"info": "routine", "warning": "urgent", "serious": "asap"}

// taskJSON is a FHIR R4 Task as far as tasks of supervision use it. The generated
// model cannot write Task.input: every kind of value would stand in each.
type taskJSON struct {
	ResourceType   string            `json:"resourceType"`
	ID             string            `json:"id"`
	Identifier     []wire.Identifier `json:"identifier,omitempty"`
	Status         string            `json:"status"`
	BusinessStatus wire.Concept      `json:"businessStatus"`
	Intent         string            `json:"intent"`
	Priority       string            `json:"priority,omitempty"`
	Code           wire.Concept      `json:"code"`
	Description    string            `json:"description,omitempty"`
	For            *wire.Reference   `json:"for,omitempty"`
	AuthoredOn     string            `json:"authoredOn"`
	LastModified   string            `json:"lastModified"`
	Owner          *wire.Reference   `json:"owner,omitempty"`
	ReasonCode     wire.Concept      `json:"reasonCode"`
	Note           []wire.Annotation `json:"note,omitempty"`
	Restriction    struct {
		Period struct {
			End string `json:"end"`
		} `json:"period"`
	} `json:"restriction"`
	Input []input `json:"input,omitempty"`
}

type input struct {
	Type    wire.Concept `json:"type"`
	String  string       `json:"valueString,omitempty"`
	Decimal *float64     `json:"valueDecimal,omitempty"`
}

func organization(code, name string) *wire.Reference {
	if code == "" {
		return nil
	}
	r := wire.Called(orgSystem, code, name)
	return &r
}

// resource writes the task as FHIR.
func (t *Task) resource() ([]byte, error) {
	st := states[t.State]
	out := taskJSON{ResourceType: "Task", ID: t.ID, Status: st.status, Intent: "order", Priority: priorities[t.Level], AuthoredOn: wire.Instant(t.Authored), LastModified: wire.Instant(t.Authored), Description: t.Title,
		BusinessStatus: wire.Code(stateSystem, string(t.State), st.text).Worded(st.text), Code: wire.Code(kindSystem, t.Kind, "").Worded(t.Title),
		ReasonCode: wire.Text(t.Text), For: organization(t.Org, t.OrgName), Owner: organization(t.Owner, t.OwnerName)}
	out.Restriction.Period.End = wire.Instant(t.Due)
	if t.Rule != "" {
		f := Finding{Name: t.Rule, Org: t.Org, Doctor: t.Doctor, Subject: t.Subject}
		out.Identifier = []wire.Identifier{{System: ruleSystem, Value: t.Rule}, {System: keySystem, Value: f.key()}}
	}
	for _, in := range [...]struct{ name, value string }{{"level", t.Level}, {"from", t.From}, {"to", t.To}, {"doctor", t.Doctor}, {"subject", t.Subject}} {
		if in.value != "" {
			out.Input = append(out.Input, input{Type: wire.Text(in.name), String: in.value})
		}
	}
	out.Input = append(out.Input, input{Type: wire.Text("value"), Decimal: &t.Value}, input{Type: wire.Text("expected"), Decimal: &t.Expected})
	for _, e := range t.Evidence {
		out.Input = append(out.Input, input{Type: wire.Text("evidence"), String: e})
	}
	for _, e := range t.Log {
		out.Note = append(out.Note, wire.Annotation{Author: e.By, Time: wire.Instant(e.Time), Text: e.Text})
		out.LastModified = wire.Instant(e.Time)
	}
	return json.Marshal(out)
}

// read reads a task back.
func read(data []byte, version int64) (*Task, error) {
	var in taskJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fault.New(fault.Invalid, "read a task: %w", err)
	}
	t := &Task{ID: in.ID, Version: version, Kind: in.Code.First(), State: State(in.BusinessStatus.First()), Title: in.Description, Text: in.ReasonCode.Text, StateText: in.BusinessStatus.Text, Authored: wire.When(in.AuthoredOn), Due: wire.When(in.Restriction.Period.End), Log: []Entry{}}
	if in.For != nil && in.For.Identifier != nil {
		t.Org, t.OrgName = in.For.Identifier.Value, in.For.Display
	}
	if in.Owner != nil && in.Owner.Identifier != nil {
		t.Owner, t.OwnerName = in.Owner.Identifier.Value, in.Owner.Display
	}
	for _, i := range in.Identifier {
		if i.System == ruleSystem {
			t.Rule = i.Value
		}
	}
	for _, i := range in.Input {
		t.input(i)
	}
	for _, n := range in.Note {
		t.Log = append(t.Log, Entry{wire.When(n.Time), n.Author, n.Text})
	}
	return t, nil
}

func (t *Task) input(i input) {
	v := 0.0
	if i.Decimal != nil {
		v = *i.Decimal
	}
	switch i.Type.Text {
	case "level":
		t.Level = i.String
	case "from":
		t.From = i.String
	case "to":
		t.To = i.String
	case "doctor":
		t.Doctor = i.String
	case "subject":
		t.Subject = i.String
	case "value":
		t.Value = v
	case "expected":
		t.Expected = v
	case "evidence":
		t.Evidence = append(t.Evidence, i.String)
	}
}

// Step is what someone does to a task.
type Step struct {
	By    string    `json:"by"`
	Note  string    `json:"note"`
	Owner string    `json:"owner"` // assign: code of the organisation
	Due   time.Time `json:"due"`   // assign: zero keeps it
}

// actions are the steps in the order of the work.
var actions = []string{"assign", "handle", "submit", "escalate", "close", "cancel"}

// Actions names the steps that the task's state allows.
func (t *Task) Actions() (out []string) {
	for _, a := range actions {
		if slices.Contains(from[a], t.State) {
			out = append(out, a)
		}
	}
	return out
}

// ActionTitle is a step in words, "" for none.
func ActionTitle(action string) string { return words[action] }

// from are the states an action may start from.
var from = map[string][]State{
	"assign": {Waiting, Assigned, Working, Submitted}, "handle": {Assigned, Waiting, Working, Submitted}, "submit": {Assigned, Working},
	"escalate": {Waiting, Assigned, Working, Submitted}, "close": {Submitted, Working, Assigned}, "cancel": {Waiting, Assigned, Working, Submitted},
}

// act applies an action; up is the organisation above the owner, for escalation.
func (t *Task) act(action string, s Step, owner, up Hall, now time.Time) error {
	allowed, ok := from[action]
	switch {
	case !ok:
		return fault.New(fault.NotFound, "没有办理动作 %q，可用：assign、handle、submit、escalate、close、cancel", action)
	case !slices.Contains(allowed, t.State):
		return fault.New(fault.Conflict, "待办%s，不能再%s", states[t.State].text, words[action])
	case strings.TrimSpace(s.By) == "":
		return fault.New(fault.Invalid, "请写明办理人（by）")
	case (action == "close" || action == "cancel") && strings.TrimSpace(s.Note) == "":
		return fault.New(fault.Invalid, "%s要写明理由（note）", words[action])
	}
	line := words[action]
	switch action {
	case "assign":
		if owner.Code == "" {
			return fault.New(fault.Invalid, "没有机构 %q，不能分派", s.Owner)
		}
		t.State, t.Owner, t.OwnerName = Assigned, owner.Code, owner.Name
		if !s.Due.IsZero() {
			t.Due = s.Due
		}
		line += "给" + named(owner)
	case "handle":
		t.State = Working
	case "submit":
		t.State = Submitted
	case "escalate":
		if up.Code == "" {
			return fault.New(fault.Conflict, "%s之上没有机构，不能上报", named(Hall{Code: t.Owner, Name: t.OwnerName}))
		}
		t.State, t.Owner, t.OwnerName, t.Level = Waiting, up.Code, up.Name, higher(t.Level)
		line += "到" + named(up)
	case "close":
		t.State = Closed
	case "cancel":
		t.State = Cancelled
	}
	if s.Note != "" {
		line += "：" + s.Note
	}
	if len(line) > 4000 {
		return fault.New(fault.Invalid, "办理说明太长，最多 4000 字节")
	}
	t.Log = append(t.Log, Entry{now, s.By, line})
	return nil
}

// words are the actions for people.
var words = map[string]string{"assign": "分派", "handle": "处理", "submit": "提交整改", "escalate": "上报", "close": "办结", "cancel": "撤销"}

func named(h Hall) string {
	if h.Name != "" {
		return h.Name
	}
	return fmt.Sprintf("机构 %s", h.Code)
}

func higher(level string) string {
	if level == "info" {
		return "warning"
	}
	return "serious"
}
