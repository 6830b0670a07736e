package report

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/wire"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Systems of codes and identifiers.
const (
	base          = "https://qihuang.health/fhir/"
	kindSystem    = base + "CodeSystem/supervision-report"
	stateSystem   = base + "CodeSystem/supervision-report-state"
	levelSystem   = base + "CodeSystem/organization-level"
	reportSystem  = base + "sid/supervision-report"
	sealSystem    = base + "sid/supervision-report-seal"
	orgSystem     = base + "sid/organization"
	placeSystem   = base + "sid/place"
	extAmount     = base + "StructureDefinition/population-amount"
	scoringSystem = "http://terminology.hl7.org/CodeSystem/measure-scoring"
	popSystem     = "http://terminology.hl7.org/CodeSystem/measure-population"
)

// composition is a FHIR R4 Composition as far as reports use it: an attester is a step
// of its way, a section an indicator, the numbers are contained MeasureReports.
type composition struct {
	ResourceType string           `json:"resourceType"`
	ID           string           `json:"id"`
	Meta         meta             `json:"meta"`
	Contained    []measureReport  `json:"contained"`
	Identifier   wire.Identifier  `json:"identifier"`
	Status       string           `json:"status"`
	Type         wire.Concept     `json:"type"`
	Category     []wire.Concept   `json:"category"`
	Subject      wire.Reference   `json:"subject"`
	Date         string           `json:"date"`
	Author       []wire.Reference `json:"author"`
	Title        string           `json:"title"`
	Attester     []attester       `json:"attester,omitempty"`
	RelatesTo    []relation       `json:"relatesTo,omitempty"`
	Event        []event          `json:"event"`
	Section      []section        `json:"section"`
}

type meta struct {
	Tag []wire.Coding `json:"tag"`
}

type attester struct {
	Mode  string         `json:"mode"`
	Time  string         `json:"time"`
	Party wire.Reference `json:"party"`
}

type relation struct {
	Code   string         `json:"code"`
	Target wire.Reference `json:"targetReference"`
}

type event struct {
	Code   []wire.Concept `json:"code"`
	Period wire.Period    `json:"period"`
}

type section struct {
	Title string           `json:"title"`
	Code  wire.Concept     `json:"code"`
	Entry []wire.Reference `json:"entry"`
}

type quantity struct {
	Value json.Number `json:"value"`
	Unit  string      `json:"unit,omitempty"`
}

type population struct {
	Extension []amount     `json:"extension"`
	Code      wire.Concept `json:"code"`
	Count     int          `json:"count"`
}

type amount struct {
	URL   string      `json:"url"`
	Value json.Number `json:"valueDecimal"`
}

type group struct {
	Population []population `json:"population"`
	Score      *quantity    `json:"measureScore,omitempty"`
}

type measureReport struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Status       string      `json:"status"`
	Type         string      `json:"type"`
	Measure      string      `json:"measure"`
	Date         string      `json:"date"`
	Period       wire.Period `json:"period"`
	Group        []group     `json:"group"`
}

const measureBase = base + "Measure/"

func span(from, to time.Time) wire.Period { return wire.Days(from, to, measures.Shanghai()) }

func number(v float64) json.Number { return json.Number(strconv.FormatFloat(v, 'f', -1, 64)) }

// figure writes one score of an indicator.
func figure(id string, f Figure, s measures.Score, p wire.Period, at time.Time) measureReport {
	of := func(code string, v float64) population {
		return population{[]amount{{extAmount, number(v)}}, wire.Code(popSystem, code, ""), int(v + 0.5)}
	}
	g := group{Population: []population{of("initial-population", s.Numerator)}}
	if f.Ratio {
		g.Population = []population{of("numerator", s.Numerator), of("denominator", s.Denominator)}
	}
	if s.Defined {
		g.Score = &quantity{number(s.Value), f.Unit}
	}
	return measureReport{"MeasureReport", id, "complete", "summary", measureBase + f.Measure, wire.Instant(at), p, []group{g}}
}

// score reads a figure back.
func (m measureReport) score() (s measures.Score, unit string, err error) {
	if len(m.Group) == 0 {
		return s, "", fault.New(fault.Invalid, "report: a MeasureReport without a group")
	}
	g := m.Group[0]
	for i, p := range g.Population {
		if len(p.Extension) == 0 {
			continue
		}
		v, err := p.Extension[0].Value.Float64()
		if err != nil {
			return s, "", err
		}
		if i == 0 {
			s.Numerator = v
		} else {
			s.Denominator = v
		}
	}
	if g.Score != nil {
		s.Defined, unit = true, g.Score.Unit
		s.Value, err = g.Score.Value.Float64()
	}
	return s, unit, err
}

// identifier names the place.
func (p Place) identifier() wire.Identifier {
	if p.Org != "" {
		return wire.Identifier{System: orgSystem, Value: p.Org}
	}
	return wire.Identifier{System: placeSystem, Value: p.City + "/" + p.Area}
}

// resource writes the report.
func (r *Report) resource() ([]byte, error) {
	w := composition{ResourceType: "Composition", ID: r.ID, Meta: meta{[]wire.Coding{{System: stateSystem, Code: string(r.State), Display: r.State.Title()}}}, Identifier: wire.Identifier{System: reportSystem, Value: r.ID}, Status: "preliminary",
		Type: wire.Code(kindSystem, r.Kind, kindTitles[r.Kind]), Category: []wire.Concept{wire.Code(levelSystem, r.Place.Level(), "")}, Date: wire.Instant(r.Computed),
		Author: []wire.Reference{{Display: "岐黄 业务监管"}}, Title: r.Title, Event: []event{{[]wire.Concept{wire.Text(r.Period)}, span(r.From, r.To)}}}
	if r.Locked() {
		w.Status = "final"
	}
	if r.Seal != "" {
		w.Meta.Tag = append(w.Meta.Tag, wire.Coding{System: sealSystem, Code: r.Seal})
	}
	id := r.Place.identifier()
	w.Subject = wire.Called(id.System, id.Value, r.Place.Name)
	if r.Replaces != "" {
		w.RelatesTo = []relation{{"replaces", wire.Reference{Reference: "Composition/" + r.Replaces, Display: r.Reason}}}
	}
	for _, s := range r.Steps {
		w.Attester = append(w.Attester, attester{"official", wire.Instant(s.Time), wire.Called(stateSystem, string(s.State), s.By+"："+s.What)})
	}
	before := r.before()
	for _, f := range r.Figures {
		sec := section{Title: f.Title, Code: wire.Code(scoringSystem, f.Scoring, "").Worded(f.Definition)}
		for _, x := range []struct {
			name string
			s    measures.Score
			p    wire.Period
		}{{"now", f.Now, span(r.From, r.To)}, {"before", f.Before, span(before, r.From)}, {"last-year", f.LastYear, span(r.From.AddDate(-1, 0, 0), r.To.AddDate(-1, 0, 0))}} {
			id := f.Measure + "-" + x.name
			w.Contained = append(w.Contained, figure(id, f, x.s, x.p, r.Computed))
			sec.Entry = append(sec.Entry, wire.To("#"+id))
		}
		w.Section = append(w.Section, sec)
	}
	return json.Marshal(w)
}

// read reads a report back; its numbers are what stands in the resource.
func read(b []byte, version int64) (*Report, error) {
	var w composition
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fault.New(fault.Invalid, "read a report: %w", err)
	}
	r := &Report{ID: w.ID, Version: version, Title: w.Title, Computed: wire.When(w.Date), Place: Place{Name: w.Subject.Display}, State: Draft, Number: 1}
	if v, err := strconv.Atoi(w.ID[strings.LastIndex(w.ID, "-v")+len("-v"):]); err == nil {
		r.Number = v
	}
	for _, t := range w.Meta.Tag {
		switch t.System {
		case stateSystem:
			r.State = State(t.Code)
		case sealSystem:
			r.Seal = t.Code
		}
	}
	if id := w.Subject.Identifier; id != nil && id.System == orgSystem {
		r.Place.Org = id.Value
	} else if id != nil {
		r.Place.City, r.Place.Area, _ = strings.Cut(id.Value, "/")
	}
	if len(w.Event) > 0 && len(w.Event[0].Code) > 0 {
		r.Period = w.Event[0].Code[0].Text
	}
	var err error
	if r.Kind, r.From, r.To, err = Span(r.Period); err != nil {
		return nil, err
	}
	for _, x := range w.RelatesTo {
		r.Replaces, r.Reason = strings.TrimPrefix(x.Target.Reference, "Composition/"), x.Target.Display
	}
	for _, a := range w.Attester {
		s := Step{Time: wire.When(a.Time), State: Draft}
		s.By, s.What, _ = strings.Cut(a.Party.Display, "：")
		if a.Party.Identifier != nil {
			s.State = State(a.Party.Identifier.Value)
		}
		r.Steps = append(r.Steps, s)
	}
	return r, r.readFigures(&w)
}

func (r *Report) readFigures(w *composition) error {
	byID := map[string]measureReport{}
	for _, m := range w.Contained {
		byID["#"+m.ID] = m
	}
	for _, sec := range w.Section {
		f := Figure{Title: sec.Title, Definition: sec.Code.Text, Scoring: sec.Code.First()}
		for i, into := range []*measures.Score{&f.Now, &f.Before, &f.LastYear} {
			if i >= len(sec.Entry) {
				return fault.New(fault.Invalid, "report: %s lacks a figure", sec.Title)
			}
			m := byID[sec.Entry[i].Reference]
			s, unit, err := m.score()
			if err != nil {
				return err
			}
			*into, f.Measure, f.Ratio = s, strings.TrimPrefix(m.Measure, measureBase), len(m.Group[0].Population) > 1
			if unit != "" {
				f.Unit = unit
			}
		}
		r.Figures = append(r.Figures, f)
	}
	return nil
}
