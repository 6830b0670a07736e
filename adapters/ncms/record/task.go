package record

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Step is what a [Task] does at the centre.
type Step string

// The steps that have an effect on money and therefore must be known to have
// happened or not.
const (
	Settle  Step = "settle"
	Reverse Step = "reverse"
	Retract Step = "retract"
)

// State of a step.
type State string

// The states, by their FHIR codes. A step in the first three is open.
const (
	Requested State = "requested"   // to be done as soon as the centre is there
	Sent      State = "in-progress" // asked, no answer known
	Unclaimed State = "on-hold"     // the centre settled, the hall was not told
	Done      State = "completed"
	Failed    State = "failed"    // it had no effect
	Undone    State = "cancelled" // it had one, which was taken back
)

// Open reports whether the step's effect is not settled yet.
func (s State) Open() bool { return s == Requested || s == Sent || s == Unclaimed }

// Task is one step at the centre, recorded before it is asked for.
type Task struct {
	Source   string
	Step     Step
	Hospital string
	Number   string // djid
	Invoice  string
	State    State
	Words    string // why it failed
	Request  []byte // JSON of what was asked
	Result   string // bxid
	Begun    string // instant
	Changed  string // instant
	Tries    int
}

// TaskID is the id of a step's Task.
func TaskID(source string, step Step, number, invoice string) string {
	return tcm.ID("task", "ncms", source, string(step), number, invoice)
}

// ID is the Task's resource id.
func (t Task) ID() string { return TaskID(t.Source, t.Step, t.Number, t.Invoice) }

// The parts of Task that this package writes: fhir-models makes its inputs carry
// a value of every type.
type (
	taskJSON struct {
		Type       string           `json:"resourceType"`
		ID         string           `json:"id"`
		Identifier []taskIdentifier `json:"identifier"`
		Status     State            `json:"status"`
		Reason     *taskConcept     `json:"statusReason,omitempty"`
		Intent     string           `json:"intent"`
		Code       taskConcept      `json:"code"`
		Focus      taskReference    `json:"focus"`
		Authored   string           `json:"authoredOn"`
		Modified   string           `json:"lastModified"`
		Requester  taskReference    `json:"requester"`
		Owner      taskReference    `json:"owner"`
		Input      []taskValue      `json:"input,omitempty"`
		Output     []taskValue      `json:"output,omitempty"`
	}
	taskIdentifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	taskConcept struct {
		Coding []taskCoding `json:"coding,omitempty"`
		Text   string       `json:"text,omitempty"`
	}
	taskCoding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	taskReference struct {
		Reference  string          `json:"reference,omitempty"`
		Identifier *taskIdentifier `json:"identifier,omitempty"`
		Display    string          `json:"display,omitempty"`
	}
	taskValue struct {
		Type    taskConcept `json:"type"`
		Text    string      `json:"valueString,omitempty"`
		Integer *int        `json:"valueInteger,omitempty"`
	}
)

// JSON builds the Task.
func (t Task) JSON() []byte {
	out := taskJSON{Type: "Task", ID: t.ID(), Status: t.State, Intent: "order", Code: taskConcept{Coding: []taskCoding{{SystemStep, string(t.Step)}}},
		Identifier: []taskIdentifier{{sidVisit + t.Source, t.Number}}, Focus: taskReference{Reference: "Claim/" + ClaimID(t.Source, t.Number)},
		Authored: t.Begun, Modified: t.Changed, Owner: taskReference{Display: "结算中心 " + t.Source},
		Requester: taskReference{Reference: "Organization/" + tcm.OrganizationID(t.Hospital), Identifier: &taskIdentifier{tcm.SystemOrg, t.Hospital}}}
	if t.Invoice != "" {
		out.Identifier = append(out.Identifier, taskIdentifier{sidInvoice + t.Source, t.Invoice})
	}
	if t.Words != "" {
		out.Reason = &taskConcept{Text: t.Words}
	}
	out.Input = []taskValue{{Type: taskConcept{Text: "request"}, Text: string(t.Request)}, {Type: taskConcept{Text: "tries"}, Integer: &t.Tries}}
	if t.Result != "" {
		out.Output = []taskValue{{Type: taskConcept{Text: "settlement"}, Text: t.Result}}
	}
	b, _ := json.Marshal(out) // strings and numbers only
	return b
}

// ReadTask reads one back.
func ReadTask(n fhir.Node, source string) Task {
	t := Task{Source: source, Step: Step(n.Path("code", "coding", "code").Str()), Hospital: n.Path("requester", "identifier", "value").Str(),
		Number: numbered(n, sidVisit), Invoice: numbered(n, sidInvoice), State: State(n.Get("status").Str()), Words: n.Path("statusReason", "text").Str(),
		Result: n.Path("output", "valueString").Str(), Begun: n.Get("authoredOn").Str(), Changed: n.Get("lastModified").Str()}
	for i := range n.Get("input").Each() {
		switch i.Path("type", "text").Str() {
		case "request":
			t.Request = []byte(i.Get("valueString").Str())
		case "tries":
			_ = json.Unmarshal([]byte(i.Get("valueInteger").Str()), &t.Tries) // as this package wrote it
		}
	}
	return t
}
