package machine

import (
	"bytes"
	"slices"
)

// posting is an index key to be set or deleted.
type posting struct {
	key    []byte
	delete bool
}

// manyOps is from how many ops on the keys of a transaction are put in order
// while it is prepared: nobody else waits then, as all do while it is applied.
const manyOps = 256

// ordered is a key of an op's content, in the order of all keys of a transaction.
type ordered struct {
	key []byte
	op  int32
}

// order puts the keys of all contents in order, in pieces side by side.
func order(ops []content) []ordered {
	if len(ops) < manyOps {
		return nil
	}
	pieces := make([][]ordered, (len(ops)+manyOps-1)/manyOps)
	_ = parallel(len(pieces)*serialOps, func(i int) error { // no piece is too small for a goroutine
		if i%serialOps != 0 {
			return nil
		}
		i /= serialOps
		var piece []ordered
		for op := i * manyOps; op < min(len(ops), (i+1)*manyOps); op++ {
			for _, k := range ops[op].keys {
				piece = append(piece, ordered{k, int32(op)})
			}
		}
		slices.SortFunc(piece, func(a, b ordered) int { return bytes.Compare(a.key, b.key) })
		pieces[i] = piece
		return nil
	})
	for len(pieces) > 1 {
		half := (len(pieces) + 1) / 2
		_ = parallel(half*serialOps, func(i int) error {
			if i%serialOps == 0 && i/serialOps+half < len(pieces) {
				pieces[i/serialOps] = merge(pieces[i/serialOps], pieces[i/serialOps+half])
			}
			return nil
		})
		pieces = pieces[:half]
	}
	return pieces[0]
}

func merge(a, b []ordered) []ordered {
	out := make([]ordered, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if bytes.Compare(a[0].key, b[0].key) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// flush writes the collected index changes in key order: a batch in order goes
// into the memtable at a fraction of the cost.
func (a *applying) flush() error {
	slices.SortFunc(a.index, func(x, y posting) int { return bytes.Compare(x.key, y.key) })
	rest := a.index
	for _, o := range a.p.order {
		if !a.fresh[o.op] || a.p.ops[o.op].lacks(o.key) {
			continue
		}
		for len(rest) > 0 && bytes.Compare(rest[0].key, o.key) < 0 {
			if err := a.post(rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
		if err := a.post(posting{key: o.key}); err != nil {
			return err
		}
	}
	for _, p := range rest {
		if err := a.post(p); err != nil {
			return err
		}
	}
	a.index, a.p.order = a.index[:0], nil
	return nil
}

func (a *applying) post(p posting) error {
	a.key = indexKey(a.key, p.key)
	if p.delete {
		return a.b.Delete(a.key)
	}
	return a.b.Set(a.key, nil)
}

// lacks reports whether a key was the content's before it was moved to another time.
func (c *content) lacks(key []byte) bool {
	for _, k := range c.gone {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}
