package review

import (
	"encoding/json"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Systems of codes and identifiers.
const (
	base            = "https://qihuang.health/fhir/"
	kindSystem      = base + "CodeSystem/supervision-task"
	stateSystem     = base + "CodeSystem/review-state"
	criterionSystem = base + "CodeSystem/review-criterion"
	categorySystem  = base + "CodeSystem/prescription-category"
	sampleSystem    = base + "sid/review-sample"
	orgSystem       = base + "sid/organization"
	kindSample      = "review-sample"
	kindItem        = "prescription-review"
)

// States of a review.
const (
	Waiting      = "waiting"
	Reasonable   = "reasonable"
	Unreasonable = "unreasonable"
)

// stateTitles are the states in words.
var stateTitles = map[string]string{Waiting: "待点评", Reasonable: "合理处方", Unreasonable: "不合理处方"}

// StateTitle is a state in words.
func StateTitle(state string) string { return stateTitles[state] }

// Sample is a sample as it was drawn.
type Sample struct {
	ID         string
	Version    int64
	Plan       Plan
	Created    time.Time
	Size       int // prescriptions drawn
	Population int // prescriptions to draw from
	Done       int // judged, counted when listed
}

// Item is one prescription of a sample and what was found.
type Item struct {
	ID       string
	Version  int64
	Sample   string
	Drawn    Drawn
	State    string
	Reasons  []string // codes of criteria
	Note, By string
	Judged   time.Time
	Feedback string // id of the Task that tells the hall, "" = none
}

// StateText is the state in words.
func (i *Item) StateText() string { return stateTitles[i.State] }

// wire is a FHIR R4 Task as far as reviews use it. The generated model cannot
// write Task.input and output: every kind of value would stand in each.
type wire struct {
	ResourceType    string       `json:"resourceType"`
	ID              string       `json:"id"`
	Identifier      []identifier `json:"identifier,omitempty"`
	GroupIdentifier *identifier  `json:"groupIdentifier,omitempty"`
	PartOf          []reference  `json:"partOf,omitempty"`
	Status          string       `json:"status"`
	BusinessStatus  *concept     `json:"businessStatus,omitempty"`
	Intent          string       `json:"intent"`
	Code            concept      `json:"code"`
	Description     string       `json:"description,omitempty"`
	Focus           *reference   `json:"focus,omitempty"`
	For             *reference   `json:"for,omitempty"`
	Encounter       *reference   `json:"encounter,omitempty"`
	ExecutionPeriod *period      `json:"executionPeriod,omitempty"`
	AuthoredOn      string       `json:"authoredOn,omitempty"`
	LastModified    string       `json:"lastModified,omitempty"`
	Note            []annotation `json:"note,omitempty"`
	Input           []value      `json:"input,omitempty"`
	Output          []value      `json:"output,omitempty"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *identifier `json:"identifier,omitempty"`
}

type period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type annotation struct {
	Author string `json:"authorString,omitempty"`
	Time   string `json:"time,omitempty"`
	Text   string `json:"text"`
}

type value struct {
	Type    concept    `json:"type"`
	String  string     `json:"valueString,omitempty"`
	Integer *int       `json:"valueInteger,omitempty"`
	Decimal *float64   `json:"valueDecimal,omitempty"`
	Concept *concept   `json:"valueCodeableConcept,omitempty"`
	Ref     *reference `json:"valueReference,omitempty"`
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func text(name, v string) []value {
	if v == "" {
		return nil
	}
	return []value{{Type: concept{Text: name}, String: v}}
}

// resource writes the sample.
func (s *Sample) resource() ([]byte, error) {
	p := s.Plan
	last := p.To.Add(-time.Second).In(measures.Shanghai())
	w := wire{ResourceType: "Task", ID: s.ID, Identifier: []identifier{{sampleSystem, s.ID}}, Status: "in-progress", Intent: "plan", Code: concept{[]coding{{kindSystem, kindSample, "处方点评抽样"}}, ""},
		Description: p.Name, AuthoredOn: stamp(s.Created), ExecutionPeriod: &period{p.From.In(measures.Shanghai()).Format(time.DateOnly), last.Format(time.DateOnly)}}
	for _, in := range [...][2]string{{"method", p.Method}, {"seed", p.Seed}, {"category", p.Category}, {"place", p.Place}, {"by", p.By}} {
		w.Input = append(w.Input, text(in[0], in[1])...)
	}
	for _, o := range p.Orgs {
		w.Input = append(w.Input, text("organization", o)...)
	}
	w.Input = append(w.Input, value{Type: concept{Text: "percent"}, Decimal: &p.Percent}, value{Type: concept{Text: "count"}, Integer: &p.Count})
	w.Output = []value{{Type: concept{Text: "size"}, Integer: &s.Size}, {Type: concept{Text: "population"}, Integer: &s.Population}}
	return json.Marshal(w)
}

func readSample(b []byte, version int64) (*Sample, error) {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fault.New(fault.Invalid, "read a sample: %w", err)
	}
	s := &Sample{ID: w.ID, Version: version, Created: when(w.AuthoredOn), Plan: Plan{Name: w.Description}}
	if w.ExecutionPeriod != nil {
		var err error
		if s.Plan.From, _, err = measures.Day(w.ExecutionPeriod.Start); err != nil {
			return nil, err
		}
		if _, s.Plan.To, err = measures.Day(w.ExecutionPeriod.End); err != nil {
			return nil, err
		}
	}
	p := &s.Plan
	fields := map[string]*string{"method": &p.Method, "seed": &p.Seed, "category": &p.Category, "place": &p.Place, "by": &p.By}
	numbers := map[string]*int{"count": &p.Count, "size": &s.Size, "population": &s.Population}
	for _, v := range append(w.Input, w.Output...) {
		switch {
		case fields[v.Type.Text] != nil:
			*fields[v.Type.Text] = v.String
		case v.Type.Text == "organization":
			p.Orgs = append(p.Orgs, v.String)
		case v.Type.Text == "percent" && v.Decimal != nil:
			p.Percent = *v.Decimal
		case v.Integer != nil && numbers[v.Type.Text] != nil:
			*numbers[v.Type.Text] = *v.Integer
		}
	}
	return s, nil
}

// resource writes the item; titles are the reasons in words.
func (i *Item) resource(c *Criteria) ([]byte, error) {
	d := i.Drawn
	w := wire{ResourceType: "Task", ID: i.ID, GroupIdentifier: &identifier{sampleSystem, i.Sample}, PartOf: []reference{{Reference: "Task/" + i.Sample}}, Status: "requested", Intent: "order",
		BusinessStatus: &concept{[]coding{{stateSystem, i.State, stateTitles[i.State]}}, ""}, Code: concept{[]coding{{kindSystem, kindItem, "处方点评"}}, ""},
		Focus: &reference{Reference: "MedicationRequest/" + d.Request}, For: &reference{Identifier: &identifier{orgSystem, d.Org}}}
	if d.Encounter != "" {
		w.Encounter = &reference{Reference: "Encounter/" + d.Encounter}
	}
	for _, in := range [...][2]string{{"prescription", d.Prescription}, {"doctor", d.Doctor}, {"day", d.Day}} {
		w.Input = append(w.Input, text(in[0], in[1])...)
	}
	if d.Category != "" {
		w.Input = append(w.Input, value{Type: concept{Text: "category"}, Concept: &concept{Coding: []coding{{System: categorySystem, Code: d.Category}}}})
	}
	if i.State != Waiting {
		w.Status, w.LastModified = "completed", stamp(i.Judged)
		note := i.Note
		if note == "" {
			note = stateTitles[i.State]
		}
		w.Note = []annotation{{i.By, stamp(i.Judged), note}}
	}
	for _, r := range i.Reasons {
		w.Output = append(w.Output, value{Type: concept{Text: "reason"}, Concept: &concept{Coding: []coding{{criterionSystem, r, c.Title(r)}}}})
	}
	if i.Feedback != "" {
		w.Output = append(w.Output, value{Type: concept{Text: "feedback"}, Ref: &reference{Reference: "Task/" + i.Feedback}})
	}
	return json.Marshal(w)
}
