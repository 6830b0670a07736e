package machine

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// write applies op i to its targets.
func (a *applying) write(i int) error {
	op, c := &a.p.tx.Ops[i], &a.p.ops[i]
	if op.Method == store.Create && a.matched[i] {
		cur, err := a.current(op.Type, a.targets[i][0])
		if err != nil {
			return err
		}
		a.outcomes[i] = store.Outcome{Status: 200, Version: cur.toVersion(op.Type, a.targets[i][0])}
		return nil
	}
	if len(a.targets[i]) == 0 { // a conditional delete that found nothing
		a.outcomes[i] = store.Outcome{Status: 204}
		return nil
	}
	for _, id := range a.targets[i] {
		cur, err := a.current(op.Type, id)
		if err != nil {
			return err
		}
		if err := precondition(op, id, cur); err != nil {
			return err
		}
		if op.Condition != "" && !a.matched[i] && cur != nil && !cur.deleted() { // it would overwrite what it did not ask for
			return refuse(fault.Conflict, "conflict", "condition-id", "没有符合条件的资源，而请求体中的 id 属于另一资源 "+op.Type+"/"+id,
				"nothing matches, and the id in the body is that of another resource, "+op.Type+"/"+id)
		}
		var out store.Outcome
		switch op.Method {
		case store.Delete:
			out, err = a.delete(op, c, id, cur)
		case store.Patch:
			out, err = a.patch(op, c, id, cur)
		case store.Purge:
			out, err = a.purge(op, c, id, cur)
		default:
			out, err = a.put(i, id, cur)
		}
		if err != nil {
			return err
		}
		a.outcomes[i] = out
	}
	return nil
}

// current reads the current version, nil if there never was one.
func (a *applying) current(typ, id string) (*row, error) {
	a.key = currentKey(a.key, typ, id)
	val, ok, err := a.b.Before(nil, a.key) // no two ops write one resource
	if err != nil || !ok {
		return nil, err
	}
	w, err := decodeRow(val)
	return &w, a.b.note(err)
}

func precondition(op *store.Op, id string, cur *row) error {
	exists := cur != nil && !cur.deleted()
	switch {
	case op.Method == store.Create && cur != nil:
		return refuse(fault.Conflict, "duplicate", "id-taken", op.Type+"/"+id+" 已存在", op.Type+"/"+id+" exists already")
	case op.IfNoneMatch && exists:
		return refuse(fault.Precondition, "conflict", "exists", op.Type+"/"+id+" 已存在（If-None-Match: *）", op.Type+"/"+id+" exists (If-None-Match: *)")
	case op.IfMatch == store.AnyVersion && !exists:
		return refuse(fault.Precondition, "conflict", "not-exists", op.Type+"/"+id+" 不存在（If-Match: *）", op.Type+"/"+id+" does not exist (If-Match: *)")
	case op.IfMatch > 0 && (cur == nil || cur.version != op.IfMatch):
		return refuse(fault.Precondition, "conflict", "version-mismatch", op.Type+"/"+id+" 的版本已改变（If-Match），请重新读取后再提交",
			"version of "+op.Type+"/"+id+" is not the one in If-Match")
	case (op.Method == store.Patch || op.Method == store.Purge) && cur == nil:
		return refuse(fault.NotFound, "not-found", "unknown-id", op.Type+"/"+id+" 不存在", op.Type+"/"+id+" is not known")
	case op.Method == store.Patch && !exists:
		return refuse(fault.Gone, "deleted", "deleted", op.Type+"/"+id+" 已删除", op.Type+"/"+id+" is deleted")
	}
	return nil
}

func refuse(kind fault.Kind, code, key, zh, en string) error {
	return fault.New(kind, "%s", en).With(fault.Issue{Severity: "error", Code: code, Key: key, Text: zh, TextEN: en})
}

func (a *applying) put(i int, id string, cur *row) (store.Outcome, error) {
	op, c := &a.p.tx.Ops[i], &a.p.ops[i]
	if cur != nil && c.drafted {
		if err := a.undraft(op, c, id); err != nil {
			return store.Outcome{}, err
		}
	}
	if cur != nil && c.sourceNS != 0 && c.sourceNS < cur.sourceNS {
		return store.Outcome{Status: 200, Version: cur.toVersion(op.Type, id)}, nil
	}
	if op.SkipSame && cur != nil && !cur.deleted() {
		eq, err := a.m.sameContent(c.json, cur.json)
		if err != nil {
			return store.Outcome{}, err
		}
		if eq {
			return store.Outcome{Status: 200, Version: cur.toVersion(op.Type, id)}, nil
		}
	}
	next := a.next(cur, op.Method, c)
	next.created = cur == nil || cur.deleted()
	next.json = a.final(c, next.version)
	status := 200
	if next.created {
		status = 201
	}
	return a.store(op.Type, id, cur, next, c, status)
}

func (a *applying) patch(op *store.Op, c *content, id string, cur *row) (store.Outcome, error) {
	if a.m.cfg.Patcher == nil {
		return store.Outcome{}, fault.New(fault.Unsupported, "patch is not available")
	}
	if c.sourceNS != 0 && c.sourceNS < cur.sourceNS {
		return store.Outcome{Status: 200, Version: cur.toVersion(op.Type, id)}, nil
	}
	patched, err := a.m.patchSafely(cur.json, op.PatchType, op.Resource)
	if err != nil {
		return store.Outcome{}, err
	}
	if err := a.m.fill(c, patched, op.Type, id, a.p.links, a.reference); err != nil {
		return store.Outcome{}, err
	}
	if op.SkipSame {
		if eq, err := a.m.sameContent(c.json, cur.json); err != nil || eq {
			return store.Outcome{Status: 200, Version: cur.toVersion(op.Type, id)}, err
		}
	}
	next := a.next(cur, store.Update, c)
	next.json = a.final(c, next.version)
	return a.store(op.Type, id, cur, next, c, 200)
}

func (a *applying) delete(op *store.Op, c *content, id string, cur *row) (store.Outcome, error) {
	if cur == nil {
		return store.Outcome{Status: 204}, nil
	}
	if cur.deleted() {
		return store.Outcome{Status: 204, Version: cur.toVersion(op.Type, id)}, nil
	}
	if c.sourceNS != 0 && c.sourceNS < cur.sourceNS {
		return store.Outcome{Status: 200, Version: cur.toVersion(op.Type, id)}, nil
	}
	return a.store(op.Type, id, cur, a.next(cur, store.Delete, c), c, 204)
}

// final is the JSON of a content as it is stored.
func (a *applying) final(c *content, version int64) []byte {
	c.stamp(a.time)
	return c.versioned(version)
}

// next is the header of the version after cur.
func (a *applying) next(cur *row, method store.Method, c *content) *row {
	w := &row{version: 1, offset: a.offset, updatedMS: a.ms, method: method, sourceNS: c.sourceNS}
	if cur != nil {
		w.version = cur.version + 1
		w.sourceNS = max(w.sourceNS, cur.sourceNS)
	}
	return w
}

// store writes next, which c is the content of, in place of cur: current row,
// history, change, index.
func (a *applying) store(typ, id string, cur, next *row, c *content, status int) (store.Outcome, error) {
	a.st.seq++
	next.seq = a.st.seq
	if err := a.reindex(typ, id, cur, next, c); err != nil {
		return store.Outcome{}, err
	}
	if cur != nil {
		if err := a.supersede(typ, id, cur); err != nil {
			return store.Outcome{}, err
		}
	}
	a.key, a.val = currentKey(a.key, typ, id), next.encode(a.val)
	a.m.rows.wrote(a.key, a.offset)
	if err := a.b.Set(a.key, a.val); err != nil {
		return store.Outcome{}, err
	}
	a.key, a.val = changeKey(a.key, next.seq), changeRow(a.val, typ, id, next.version)
	if err := a.b.Set(a.key, a.val); err != nil {
		return store.Outcome{}, err
	}
	a.key = typeKey(a.key, typ, next.seq)
	if err := a.b.Set(a.key, nil); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Status: status, Changed: true, Version: next.toVersion(typ, id)}, nil
}

// reindex collects the difference between the keys of cur and those of next,
// whose content is c.
func (a *applying) reindex(typ, id string, cur, next *row, c *content) (err error) {
	indexer := a.m.index.Load()
	var old, keys [][]byte
	if cur != nil && !cur.deleted() {
		if p := c.prior; p != nil && p.version == cur.version {
			old = p.keys
		} else if old, err = indexer.oldKeys(typ, id, cur.json); err != nil {
			return err
		}
	}
	if !next.deleted() {
		if keys, err = indexer.timeKeys(c.keys, typ, id, a.time); err != nil {
			return err
		}
	}
	if len(old) == 0 { // a new resource: flush puts its keys in order
		for _, k := range keys {
			a.index.add(posting{k, false})
		}
		return nil
	}
	slices.SortFunc(old, bytes.Compare)
	slices.SortFunc(keys, bytes.Compare)
	old, keys = slices.CompactFunc(old, bytes.Equal), slices.CompactFunc(keys, bytes.Equal)
	if indexer.before != nil { // what both have may not be written yet
		for _, k := range keys {
			a.index.add(posting{k, false})
		}
		old = slices.DeleteFunc(old, func(k []byte) bool {
			_, ok := slices.BinarySearchFunc(keys, k, bytes.Compare)
			return ok
		})
		keys = nil
	}
	for len(old) > 0 || len(keys) > 0 {
		c := 0
		switch {
		case len(old) == 0:
			c = 1
		case len(keys) == 0:
			c = -1
		default:
			c = bytes.Compare(old[0], keys[0])
		}
		switch {
		case c < 0:
			a.index.add(posting{old[0], true})
			old = old[1:]
		case c > 0:
			a.index.add(posting{keys[0], false})
			keys = keys[1:]
		default:
			old, keys = old[1:], keys[1:]
		}
	}
	return nil
}
