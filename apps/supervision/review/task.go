package review

import (
	"encoding/json"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/wire"
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

// taskJSON is a FHIR R4 Task as far as reviews use it. The generated model cannot
// write Task.input and output: every kind of value would stand in each.
type taskJSON struct {
	ResourceType    string            `json:"resourceType"`
	ID              string            `json:"id"`
	Identifier      []wire.Identifier `json:"identifier,omitempty"`
	GroupIdentifier *wire.Identifier  `json:"groupIdentifier,omitempty"`
	PartOf          []wire.Reference  `json:"partOf,omitempty"`
	Status          string            `json:"status"`
	BusinessStatus  *wire.Concept     `json:"businessStatus,omitempty"`
	Intent          string            `json:"intent"`
	Code            wire.Concept      `json:"code"`
	Description     string            `json:"description,omitempty"`
	Focus           *wire.Reference   `json:"focus,omitempty"`
	For             *wire.Reference   `json:"for,omitempty"`
	Encounter       *wire.Reference   `json:"encounter,omitempty"`
	ExecutionPeriod *wire.Period      `json:"executionPeriod,omitempty"`
	AuthoredOn      string            `json:"authoredOn,omitempty"`
	LastModified    string            `json:"lastModified,omitempty"`
	Note            []wire.Annotation `json:"note,omitempty"`
	Input           []value           `json:"input,omitempty"`
	Output          []value           `json:"output,omitempty"`
}

type value struct {
	Type    wire.Concept    `json:"type"`
	String  string          `json:"valueString,omitempty"`
	Integer *int            `json:"valueInteger,omitempty"`
	Decimal *float64        `json:"valueDecimal,omitempty"`
	Concept *wire.Concept   `json:"valueCodeableConcept,omitempty"`
	Ref     *wire.Reference `json:"valueReference,omitempty"`
}

func text(name, v string) []value {
	if v == "" {
		return nil
	}
	return []value{{Type: wire.Text(name), String: v}}
}

// resource writes the sample.
func (s *Sample) resource() ([]byte, error) {
	p := s.Plan
	days := wire.Days(p.From, p.To, measures.Shanghai())
	w := taskJSON{ResourceType: "Task", ID: s.ID, Identifier: []wire.Identifier{{System: sampleSystem, Value: s.ID}}, Status: "in-progress", Intent: "plan", Code: wire.Code(kindSystem, kindSample, "处方点评抽样"),
		Description: p.Name, AuthoredOn: wire.Instant(s.Created), ExecutionPeriod: &days}
	for _, in := range [...][2]string{{"method", p.Method}, {"seed", p.Seed}, {"category", p.Category}, {"place", p.Place}, {"by", p.By}} {
		w.Input = append(w.Input, text(in[0], in[1])...)
	}
	for _, o := range p.Orgs {
		w.Input = append(w.Input, text("organization", o)...)
	}
	w.Input = append(w.Input, value{Type: wire.Text("percent"), Decimal: &p.Percent}, value{Type: wire.Text("count"), Integer: &p.Count})
	w.Output = []value{{Type: wire.Text("size"), Integer: &s.Size}, {Type: wire.Text("population"), Integer: &s.Population}}
	return json.Marshal(w)
}

func readSample(b []byte, version int64) (*Sample, error) {
	var w taskJSON
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fault.New(fault.Invalid, "read a sample: %w", err)
	}
	s := &Sample{ID: w.ID, Version: version, Created: wire.When(w.AuthoredOn), Plan: Plan{Name: w.Description}}
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
	d, state := i.Drawn, wire.Code(stateSystem, i.State, stateTitles[i.State])
	w := taskJSON{ResourceType: "Task", ID: i.ID, GroupIdentifier: &wire.Identifier{System: sampleSystem, Value: i.Sample}, PartOf: []wire.Reference{wire.To("Task/" + i.Sample)}, Status: "requested", Intent: "order",
		BusinessStatus: &state, Code: wire.Code(kindSystem, kindItem, "处方点评"),
		Focus: &wire.Reference{Reference: "MedicationRequest/" + d.Request}, For: &wire.Reference{Identifier: &wire.Identifier{System: orgSystem, Value: d.Org}}}
	if d.Encounter != "" {
		w.Encounter = &wire.Reference{Reference: "Encounter/" + d.Encounter}
	}
	for _, in := range [...][2]string{{"prescription", d.Prescription}, {"doctor", d.Doctor}, {"day", d.Day}} {
		w.Input = append(w.Input, text(in[0], in[1])...)
	}
	if d.Category != "" {
		w.Input = append(w.Input, value{Type: wire.Text("category"), Concept: &wire.Concept{Coding: []wire.Coding{{System: categorySystem, Code: d.Category}}}})
	}
	if i.State != Waiting {
		w.Status, w.LastModified = "completed", wire.Instant(i.Judged)
		note := i.Note
		if note == "" {
			note = stateTitles[i.State]
		}
		w.Note = []wire.Annotation{{Author: i.By, Time: wire.Instant(i.Judged), Text: note}}
	}
	for _, r := range i.Reasons {
		w.Output = append(w.Output, value{Type: wire.Text("reason"), Concept: &wire.Concept{Coding: []wire.Coding{{System: criterionSystem, Code: r, Display: c.Title(r)}}}})
	}
	if i.Feedback != "" {
		w.Output = append(w.Output, value{Type: wire.Text("feedback"), Ref: &wire.Reference{Reference: "Task/" + i.Feedback}})
	}
	return json.Marshal(w)
}
