package machine

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/stamp"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// applying is the work of one record on one batch.
type applying struct {
	m      *Machine
	b      *guarded
	p      *prepared
	offset int64
	ms     int64
	time   string // ms as lastUpdated says it
	st     state

	targets  [][]string // per op: the ids it acts on, after conditions
	matched  []bool     // per op: a condition found its one resource
	resolved map[string]string
	outcomes []store.Outcome

	index     *sorter         // changes of the index not yet in the batch, without those of prepared.run
	undrafted map[string]bool // keys of prepared.run to be left out
	key, val  []byte          // scratch
}

// guarded remembers the first I/O error of a batch: it must stop the machine,
// where any other error refuses the transaction.
type guarded struct {
	Batch
	io error
}

func (g *guarded) Get(dst, key []byte) ([]byte, bool, error) {
	v, ok, err := g.Batch.Get(dst, key)
	return v, ok, g.note(err)
}

func (g *guarded) Before(dst, key []byte) ([]byte, bool, error) {
	v, ok, err := g.Batch.Before(dst, key)
	return v, ok, g.note(err)
}

func (g *guarded) note(err error) error {
	if err != nil && g.io == nil {
		g.io = err
	}
	return err
}

func (g *guarded) Set(k, v []byte) error { return g.note(g.Batch.Set(k, v)) }
func (g *guarded) SetRun(r *Run) error   { return g.note(g.Batch.SetRun(r)) }
func (g *guarded) Delete(k []byte) error { return g.note(g.Batch.Delete(k)) }

func (g *guarded) DeleteRange(lo, hi []byte) error { return g.note(g.Batch.DeleteRange(lo, hi)) }

func (g *guarded) Iter(lo, hi []byte) search.Iterator {
	return &guardedIter{g.Batch.Iter(lo, hi), g}
}

type guardedIter struct {
	search.Iterator
	g *guarded
}

func (i *guardedIter) Close() error { return i.g.note(i.Iterator.Close()) }

// apply gives the record at offset its effect: one batch with the outcome and
// the new state row. The result is nil with a refusal; a fatal error stops the
// machine with the state as it was.
func (m *Machine) apply(offset, ms int64, id string, p *prepared) (outs []store.Outcome, refusal, fatal error) {
	st := m.st
	st.applied, st.lastMS = offset, ms
	if memory, ok, err := m.remembered(id); err != nil {
		return nil, nil, err
	} else if ok { // appended twice: applied once
		if err := m.commitState(st); err != nil {
			return nil, nil, err
		}
		_, outs, refusal, err = m.recall(memory)
		return outs, refusal, err
	}
	refusal = p.err
	if refusal == nil {
		if isOffer(p.tx) {
			outs, refusal, fatal = m.applyOffer(&st, p.tx)
		} else {
			outs, refusal, fatal = m.applyOps(&st, offset, ms, p)
		}
		if fatal != nil || refusal == nil {
			return outs, nil, fatal
		}
	}
	// A refused transaction changes nothing but is remembered.
	g := &guarded{Batch: m.kv.Begin(false)}
	defer g.Discard()
	if err := m.remember(g, &st, id, nil, refusal); err != nil {
		return nil, nil, err
	}
	if err := g.Commit(); err != nil {
		return nil, nil, err
	}
	m.st = st
	return nil, refusal, nil
}

func (m *Machine) commitState(st state) error {
	b := m.kv.Begin(false)
	defer b.Discard()
	if err := b.Set(stateKey, st.encode(nil)); err != nil {
		return err
	}
	if err := b.Commit(); err != nil {
		return err
	}
	m.st = st
	return nil
}

func (m *Machine) applyOps(st *state, offset, ms int64, p *prepared) (outs []store.Outcome, refusal, fatal error) {
	open := slices.ContainsFunc(p.ops, func(c content) bool { return c.open })
	g := &guarded{Batch: m.kv.Begin(open)}
	defer g.Discard()
	a := &applying{m: m, b: g, p: p, offset: offset, ms: ms, time: time.UnixMilli(ms).UTC().Format(stamp.Layout), st: *st, outcomes: make([]store.Outcome, len(p.tx.Ops)), index: m.sorter}
	m.sorter.reset() // a refused transaction leaves its own there
	err := a.run(open)
	if g.io != nil {
		return nil, nil, g.io
	}
	if err != nil {
		return nil, err, nil
	}
	if err := a.sweep(); err != nil {
		return nil, nil, err
	}
	if err := m.remember(g, &a.st, p.tx.ID, a.outcomes, nil); err != nil {
		return nil, nil, err
	}
	if err := g.Commit(); err != nil {
		return nil, nil, err
	}
	m.st = a.st
	if slices.ContainsFunc(p.tx.Ops, func(op store.Op) bool { return op.Type == "SearchParameter" }) {
		m.notify()
	}
	return a.outcomes, nil, nil
}

// run resolves the conditions on the state before the transaction, writes what
// is ready, then resolves conditional references on the state with that, and
// writes the rest.
func (a *applying) run(open bool) error {
	if err := a.resolveTargets(); err != nil {
		return err
	}
	if err := a.correct(); err != nil {
		return err
	}
	for i := range a.p.ops {
		if !a.p.ops[i].open {
			if err := a.write(i); err != nil {
				return opFault(a.p.tx, i, err)
			}
		}
	}
	if err := a.flush(); err != nil || !open {
		return err
	}
	if err := a.close(); err != nil {
		return err
	}
	for i := range a.p.ops {
		if a.p.ops[i].open {
			if err := a.write(i); err != nil {
				return opFault(a.p.tx, i, err)
			}
		}
	}
	return a.flush()
}

// correct makes the contents again that were prepared on a wrong guess: an id
// that a condition found, another indexer.
func (a *applying) correct() error {
	p := a.p
	moved := false
	for i := range p.tx.Ops {
		if op := &p.tx.Ops[i]; op.Method != store.Delete && len(a.targets[i]) == 1 && a.targets[i][0] != p.ids[i] {
			p.ids[i] = a.targets[i][0]
			moved = true
		}
	}
	if moved {
		p.links = linksOf(p.tx, p.ids)
	}
	indexer := a.m.index.Load()
	stale := func(c content) bool { return c.json != nil && c.indexer.number != indexer.number }
	if !moved && !slices.ContainsFunc(p.ops, stale) {
		return nil
	}
	p.run = nil // other keys than were put in order
	return parallel(len(p.ops), serialOps, runtime.GOMAXPROCS(0), func(i int) error {
		op, c := &p.tx.Ops[i], &p.ops[i]
		if !carries(op) || !moved && !stale(*c) && !c.drafted {
			return nil
		}
		return opFault(p.tx, i, a.m.fill(c, op.Resource, op.Type, p.ids[i], p.links, nil))
	})
}

// close resolves the conditional references and fills the open contents.
func (a *applying) close() error {
	p := a.p
	for i := range p.ops {
		if !p.ops[i].open {
			continue
		}
		tree, err := fhir.Parse(p.tx.Ops[i].Resource)
		if err != nil {
			return err
		}
		if _, _, err = stamp.Relink(tree.Root(), p.links, a.reference); err != nil {
			return opFault(p.tx, i, err)
		}
	}
	return parallel(len(p.ops), serialOps, runtime.GOMAXPROCS(0), func(i int) error {
		c, op := &p.ops[i], &p.tx.Ops[i]
		if !c.open {
			return nil
		}
		err := a.m.fill(c, op.Resource, op.Type, p.ids[i], p.links,
			func(typ, query string, _ fhir.Node) (string, error) { return a.resolved[typ+"?"+query], nil })
		c.open = true // still the mark of the second pass
		return opFault(p.tx, i, err)
	})
}

func (m *Machine) sameContent(a, b []byte) (bool, error) {
	ta, err := fhir.Parse(a)
	if err != nil {
		return false, err
	}
	tb, err := fhir.Parse(b)
	if err != nil {
		return false, err
	}
	return stamp.Same(ta.Root(), tb.Root()), nil
}

func (m *Machine) patchSafely(resource []byte, typ string, patch []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "patch: %v", r)
		}
	}()
	return m.cfg.Patcher.Patch(resource, typ, patch)
}

// row reads the row under a current key on the batch's state.
func (a *applying) row(key []byte) (w row, ok bool, err error) {
	val, ok, err := a.b.Get(nil, key)
	if err != nil || !ok {
		return w, false, err
	}
	w, err = decodeRow(val)
	return w, err == nil, err
}

// ids answers a condition on the batch's state.
func (a *applying) ids(typ, query string, limit int) (ids []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "search %s: %v", typ, r)
		}
	}()
	ids, err = a.m.index.Load().now.IDs(context.Background(), &index{get: a.b.Get, iter: a.b.Iter, current: a.row}, typ, query, limit)
	slices.Sort(ids)
	return ids, err
}
