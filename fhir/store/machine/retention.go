package machine

import (
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// Retention is the policy by which superseded versions are dropped. A version
// goes when both bounds allow it; the zero policy keeps every version. What is
// dropped depends on the log alone: age is counted to the time of the record
// being applied, and a node that applies the log later drops the same.
type Retention struct {
	Versions int64         // superseded versions kept for each resource; with Age 0, 0 = all
	Age      time.Duration // no version younger than this is dropped; with Versions 0, all older ones are
}

func (r Retention) none() bool { return r.Versions <= 0 && r.Age <= 0 }

// drops reports whether a version may go, of a resource whose current one is
// latest, at the time ms.
func (r Retention) drops(w *row, latest, ms int64) bool {
	return !r.none() && latest-w.version > r.Versions && r.old(w, ms)
}

func (r Retention) old(w *row, ms int64) bool { return ms-w.updatedMS >= r.Age.Milliseconds() }

// supersede makes cur an older version, unless it is dropped at once, and drops
// those before it that are one too many now.
func (a *applying) supersede(typ, id string, cur *row) error {
	keep, latest := a.m.cfg.History, cur.version+1
	if keep.drops(cur, latest, a.ms) {
		if err := a.eraseChange(typ, cur.seq); err != nil {
			return err
		}
	} else {
		a.key, a.val = oldKey(a.key, typ, id, cur.version), cur.encode(a.val)
		if err := a.b.Set(a.key, a.val); err != nil {
			return err
		}
	}
	if keep.none() {
		return nil
	}
	for v := min(cur.version-1, latest-keep.Versions-1); v > 0; v-- {
		w, err := a.older(typ, id, v)
		if err != nil || w == nil || !keep.drops(w, latest, a.ms) { // too young: the sweep will come
			return err
		}
		if err := a.erase(typ, id, w); err != nil {
			return err
		}
	}
	return nil
}

// older reads a superseded version as it was before the batch, nil if there is none.
func (a *applying) older(typ, id string, version int64) (*row, error) {
	a.key = oldKey(a.key, typ, id, version)
	val, ok, err := a.b.Before(nil, a.key)
	if err != nil || !ok {
		return nil, err
	}
	w, err := decodeRow(val)
	return &w, a.b.note(err)
}

// erase drops a superseded version and its place in the order of changes.
func (a *applying) erase(typ, id string, w *row) error {
	a.key = oldKey(a.key, typ, id, w.version)
	if err := a.b.Delete(a.key); err != nil {
		return err
	}
	return a.eraseChange(typ, w.seq)
}

func (a *applying) eraseChange(typ string, seq int64) error {
	a.key = changeKey(a.key, seq)
	if err := a.b.Delete(a.key); err != nil {
		return err
	}
	a.key = typeKey(a.key, typ, seq)
	return a.b.Delete(a.key)
}

// sweepAhead is how many changes a record looks at beyond twice those it makes,
// so that the sweep keeps up and no record pays for long.
const sweepAhead = 8

// sweep drops what has become old enough, in the order it was written. What was
// the current version then is dropped when it is superseded.
func (a *applying) sweep() error {
	keep := a.m.cfg.History
	if keep.Age <= 0 {
		return nil
	}
	for n := 2*len(a.outcomes) + sweepAhead; n > 0 && a.st.swept < a.m.st.seq; n-- {
		again, err := a.sweepOne(a.st.swept+1, keep)
		if err != nil || !again {
			return err
		}
		a.st.swept++
	}
	return nil
}

// sweepOne looks at one change; false if it is still too young.
func (a *applying) sweepOne(seq int64, keep Retention) (bool, error) {
	a.key = changeKey(a.key, seq)
	val, ok, err := a.b.Before(nil, a.key)
	if err != nil || !ok {
		return ok || err == nil, err
	}
	typ, id, version, err := decodeChange(val)
	if err != nil {
		return false, a.b.note(err)
	}
	cur, err := a.current(typ, id)
	if err != nil || cur == nil {
		return true, err
	}
	if cur.version == version {
		return keep.old(cur, a.ms), nil
	}
	w, err := a.older(typ, id, version)
	if err != nil || w == nil {
		return true, err
	}
	if keep.drops(w, cur.version, a.ms) {
		err = a.erase(typ, id, w)
	}
	return keep.old(w, a.ms), err
}

// purge deletes a resource and erases every version before the deletion.
func (a *applying) purge(op *store.Op, c *content, id string, cur *row) (store.Outcome, error) {
	out := store.Outcome{Status: 204, Version: cur.toVersion(op.Type, id)}
	last := cur.version - 1
	if !cur.deleted() {
		var err error
		if out, err = a.store(op.Type, id, cur, a.next(cur, store.Delete, c), c, 204); err != nil {
			return out, err
		}
		if err := a.erase(op.Type, id, cur); err != nil {
			return out, err
		}
	}
	for v := last; v > 0; v-- {
		w, err := a.older(op.Type, id, v)
		if err != nil {
			return out, err
		}
		if w == nil { // compaction took it and all below
			break
		}
		if err := a.erase(op.Type, id, w); err != nil {
			return out, err
		}
		out.Changed = true
	}
	return out, nil
}
