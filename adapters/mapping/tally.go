package mapping

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of a tally.
const (
	maxTally    = 20_000 // codes
	maxMessages = 200    // message ids kept of one code
	saveEvery   = 5 * time.Second
)

// Missed is a code without a target, as often as a source sent it.
type Missed struct {
	Source     string    `json:"source"`
	Table      string    `json:"table"`
	ConceptMap string    `json:"conceptMap"` // "" if the table stands in the map itself
	System     string    `json:"system"`
	Code       string    `json:"code"`
	Display    string    `json:"display,omitempty"`
	Count      int       `json:"count"`
	Last       time.Time `json:"last"`
	Messages   []string  `json:"messages,omitempty"` // ids, the newest last
}

type missedKey struct{ source, table, system, code string }

// Tally counts codes that no table has a target for, by source, until somebody
// decides on them. It is kept in a file, saved every few seconds: what a crash
// loses is counted again when such a code comes again.
type Tally struct {
	file  string
	clock clock.Clock
	mu    sync.Mutex
	rows  map[missedKey]*Missed
	dirty bool
}

// OpenTally reads the file, which need not be there yet.
func OpenTally(file string, clk clock.Clock) (*Tally, error) {
	t := &Tally{file: file, clock: clk, rows: map[missedKey]*Missed{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	var list []*Missed
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "未对照代码的记录 %s 不能读：%w", file, err)
	}
	for _, m := range list {
		t.rows[m.key()] = m
	}
	return t, nil
}

func (m *Missed) key() missedKey { return missedKey{m.Source, m.Table, m.System, m.Code} }

// Add counts the codes a message of a source brought. A message counts once,
// however often it is tried.
func (t *Tally) Add(source, message string, list []Unmapped) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range list {
		k := missedKey{source, u.Table, u.System, u.Code}
		m := t.rows[k]
		if m == nil {
			if len(t.rows) >= maxTally {
				continue
			}
			m = &Missed{Source: source, Table: u.Table, ConceptMap: u.ConceptMap, System: u.System, Code: u.Code}
			t.rows[k] = m
		}
		if slices.Contains(m.Messages, message) {
			continue
		}
		m.Count, m.Last, m.Display = m.Count+1, t.clock.Now().UTC(), cmp.Or(u.Display, m.Display)
		if m.Messages = append(m.Messages, message); len(m.Messages) > maxMessages {
			m.Messages = slices.Delete(m.Messages, 0, 1)
		}
		t.dirty = true
	}
}

// List returns the codes, the most frequent first.
func (t *Tally) List() []Missed {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Missed, 0, len(t.rows))
	for _, m := range t.rows {
		one := *m
		one.Messages = slices.Clone(m.Messages)
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Missed) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// Take removes a code of all sources, for which a target was decided, and
// returns what was counted.
func (t *Tally) Take(table, system, code string) []Missed {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Missed
	for k, m := range t.rows {
		if k.table == table && k.system == system && k.code == code {
			out = append(out, *m)
			delete(t.rows, k)
			t.dirty = true
		}
	}
	return out
}

// Run saves the tally until ctx ends, and once more then.
func (t *Tally) Run(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return t.save()
		case <-tick.C:
			if err := t.save(); err != nil {
				return err
			}
		}
	}
}

func (t *Tally) save() error {
	t.mu.Lock()
	dirty := t.dirty
	t.dirty = false
	t.mu.Unlock()
	if !dirty {
		return nil
	}
	data, err := json.Marshal(t.List())
	if err != nil {
		return err
	}
	return writeFile(t.file, data)
}
