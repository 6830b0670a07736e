package review

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/wire"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Desk draws samples and takes judgements; it is safe for concurrent use.
type Desk struct {
	Cabinet  *cabinet.Cabinet
	SQL      measures.Querier
	Criteria *Criteria
}

// maxSamples is how many samples are listed.
const maxSamples = 500

// Create draws a sample and files it with a review for each prescription.
func (d *Desk) Create(ctx context.Context, p Plan) (*Sample, error) {
	list, population, err := p.Draw(ctx, d.SQL)
	if err != nil {
		return nil, err
	}
	s := &Sample{ID: "sample-" + uuid.NewString(), Plan: p, Created: d.Cabinet.Clock.Now(), Size: len(list), Population: population}
	body, err := s.resource()
	if err != nil {
		return nil, err
	}
	papers := []cabinet.Paper{{Type: "Task", ID: s.ID, Body: body}}
	for _, x := range list {
		i := Item{ID: "review-" + uuid.NewString(), Sample: s.ID, Drawn: x, State: Waiting}
		if body, err = i.resource(d.Criteria); err != nil {
			return nil, err
		}
		papers = append(papers, cabinet.Paper{Type: "Task", ID: i.ID, Body: body})
	}
	return s, d.Cabinet.Put(ctx, papers...)
}

// Samples lists the samples, the newest first, with their progress.
func (d *Desk) Samples(ctx context.Context) (out []*Sample, err error) {
	list, err := d.Cabinet.List(ctx, "Task", "_sort=-authored-on&code="+url.QueryEscape(kindSystem+"|"+kindSample), maxSamples)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		s, err := readSample(p.Body, p.Version)
		if err != nil {
			return nil, err
		}
		done, err := d.Cabinet.List(ctx, "Task", "status=completed&"+grouped(s.ID), MaxSample)
		if err != nil {
			return nil, err
		}
		s.Done = len(done)
		out = append(out, s)
	}
	return out, nil
}

func grouped(sample string) string {
	return "group-identifier=" + url.QueryEscape(sampleSystem+"|"+sample)
}

// Sample returns one sample with its items; fault.NotFound.
func (d *Desk) Sample(ctx context.Context, id string) (*Sample, []*Item, error) {
	p, err := d.Cabinet.Read(ctx, "Task", id)
	if fault.Is(err, fault.NotFound) || !strings.HasPrefix(id, "sample-") {
		return nil, nil, fault.New(fault.NotFound, "没有这次抽样，请从列表中选择")
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := readSample(p.Body, p.Version)
	if err != nil {
		return nil, nil, err
	}
	list, err := d.Cabinet.List(ctx, "Task", grouped(id), MaxSample)
	if err != nil {
		return nil, nil, err
	}
	var items []*Item
	for _, p := range list {
		i, err := readItem(p.Body, p.Version)
		if err != nil {
			return nil, nil, err
		}
		if i.State != Waiting {
			s.Done++
		}
		items = append(items, i)
	}
	slices.SortFunc(items, func(a, b *Item) int {
		return slices.Compare([]string{a.Drawn.Org, a.Drawn.Doctor, a.Drawn.Day, a.Drawn.Prescription}, []string{b.Drawn.Org, b.Drawn.Doctor, b.Drawn.Day, b.Drawn.Prescription})
	})
	return s, items, nil
}

// Item returns one review; fault.NotFound.
func (d *Desk) Item(ctx context.Context, id string) (*Item, error) {
	p, err := d.Cabinet.Read(ctx, "Task", id)
	if fault.Is(err, fault.NotFound) || !strings.HasPrefix(id, "review-") {
		return nil, fault.New(fault.NotFound, "没有这张处方的点评，请从抽样中选择")
	}
	if err != nil {
		return nil, err
	}
	return readItem(p.Body, p.Version)
}

// Judgement is what a reviewer says.
type Judgement struct {
	Version  int64 // of the item the reviewer saw
	Reasons  []string
	Note, By string
	Feedback string // id of a Task
}

// Judge files a judgement; a later one replaces it, the history keeps both. No
// reasons = a reasonable prescription. fault.Precondition where someone else was
// faster.
func (d *Desk) Judge(ctx context.Context, id string, j Judgement) (*Item, error) {
	i, err := d.Item(ctx, id)
	if err != nil {
		return nil, err
	}
	if j.By == "" {
		return nil, fault.New(fault.Invalid, "请填写点评人")
	}
	i.State = Reasonable
	for _, r := range j.Reasons {
		if d.Criteria.Title(r) == "" {
			return nil, fault.New(fault.Invalid, "没有原因 %q，请从列表中选择", r)
		}
		i.State = Unreasonable
	}
	i.Reasons, i.Note, i.By, i.Judged = j.Reasons, j.Note, j.By, d.Cabinet.Clock.Now()
	if j.Feedback != "" {
		i.Feedback = j.Feedback
	}
	body, err := i.resource(d.Criteria)
	if err != nil {
		return nil, err
	}
	return i, d.Cabinet.Put(ctx, cabinet.Paper{Type: "Task", ID: i.ID, Version: j.Version, Body: body})
}

func readItem(b []byte, version int64) (*Item, error) {
	var w taskJSON
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fault.New(fault.Invalid, "read a review: %w", err)
	}
	i := &Item{ID: w.ID, Version: version, Judged: wire.When(w.LastModified), State: Waiting}
	if w.GroupIdentifier != nil {
		i.Sample = w.GroupIdentifier.Value
	}
	if w.BusinessStatus != nil {
		i.State = w.BusinessStatus.First()
	}
	if w.Focus != nil {
		i.Drawn.Request = strings.TrimPrefix(w.Focus.Reference, "MedicationRequest/")
	}
	if w.Encounter != nil {
		i.Drawn.Encounter = strings.TrimPrefix(w.Encounter.Reference, "Encounter/")
	}
	if w.For != nil && w.For.Identifier != nil {
		i.Drawn.Org = w.For.Identifier.Value
	}
	if len(w.Note) > 0 {
		i.By, i.Note = w.Note[0].Author, w.Note[0].Text
	}
	for _, v := range append(w.Input, w.Output...) {
		i.value(v)
	}
	return i, nil
}

func (i *Item) value(v value) {
	code := ""
	if v.Concept != nil {
		code = v.Concept.First()
	}
	switch v.Type.Text {
	case "prescription":
		i.Drawn.Prescription = v.String
	case "doctor":
		i.Drawn.Doctor = v.String
	case "day":
		i.Drawn.Day = v.String
	case "category":
		i.Drawn.Category = code
	case "reason":
		i.Reasons = append(i.Reasons, code)
	case "feedback":
		if v.Ref != nil {
			i.Feedback = strings.TrimPrefix(v.Ref.Reference, "Task/")
		}
	}
}

// Count is how many prescriptions of something were judged, and found wanting.
type Count struct {
	Key                   string
	Drawn, Judged, Faulty int
}

// Rate is the share found wanting, in percent; -1 where none was judged.
func (c Count) Rate() float64 {
	if c.Judged == 0 {
		return -1
	}
	return 100 * float64(c.Faulty) / float64(c.Judged)
}

// Counts adds up items by what key says of them, the worst first.
func Counts(items []*Item, key func(*Item) []string) []Count {
	sums := map[string]*Count{}
	var out []*Count
	for _, i := range items {
		for _, k := range key(i) {
			c := sums[k]
			if c == nil {
				c = &Count{Key: k}
				sums[k], out = c, append(out, c)
			}
			c.Drawn++
			if i.State != Waiting {
				c.Judged++
			}
			if i.State == Unreasonable {
				c.Faulty++
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Count) int {
		if a.Faulty != b.Faulty {
			return b.Faulty - a.Faulty
		}
		return strings.Compare(a.Key, b.Key)
	})
	list := make([]Count, len(out))
	for i, c := range out {
		list[i] = *c
	}
	return list
}
