package machine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/stamp"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// prepared is a transaction with everything done that needs no state: JSON
// parsed, references rewritten, index keys extracted, as if every condition
// found nothing. Apply corrects what turns out otherwise.
type prepared struct {
	tx    *store.Transaction
	ids   []string
	links stamp.Links
	ops   []content
	run   *Run  // the keys of new resources, of a large transaction; else nil
	err   error // the transaction is refused whatever the state is
}

// content is the future current JSON of one op.
type content struct {
	json     []byte // stamped as version 1 of the time never
	verAt    int    // where the version's digits stand in json
	verLen   int
	updAt    int       // where lastUpdated's text stands
	keys     [][]byte  // but for those of lastUpdated
	indexer  *indexing // what made keys
	isNew    bool      // nothing stood in its place when it was prepared
	drafted  bool      // keys are in prepared.run
	prior    *prior    // what stood in its place; nil = not looked at
	open     bool      // has conditional references, only the state can finish it
	sourceNS int64     // IfNewer in ns, 0 = none
}

// never is the lastUpdated of contents until apply knows it.
const never = "1970-01-01T00:00:00.000Z"

// prepare never fails on its own; a refusal is in prepared.err.
func (m *Machine) prepare(tx *store.Transaction) *prepared {
	p := &prepared{tx: tx, ids: make([]string, len(tx.Ops)), ops: make([]content, len(tx.Ops))}
	if p.err = checkShape(tx); p.err != nil {
		return p
	}
	for i := range tx.Ops {
		op := &tx.Ops[i]
		p.ids[i] = op.ID
		if op.ID == "" && carries(op) {
			p.ids[i] = derivedID(tx.ID, i)
		}
	}
	p.links = linksOf(tx, p.ids)
	large := len(tx.Ops) >= store.Large
	p.err = parallel(len(tx.Ops), serialOps, store.Workers(len(tx.Ops)), func(i int) error {
		op := &tx.Ops[i]
		if op.IfNewer != "" {
			at, err := time.Parse(time.RFC3339, op.IfNewer)
			if err != nil {
				return opFault(tx, i, fault.New(fault.Invalid, "IfNewer is not an instant"))
			}
			p.ops[i].sourceNS = at.UnixNano()
		}
		if !carries(op) {
			return nil
		}
		if err := m.fill(&p.ops[i], op.Resource, op.Type, p.ids[i], p.links, nil); err != nil || !large {
			return opFault(tx, i, err)
		}
		m.foresee(&p.ops[i], op, p.ids[i])
		return nil
	})
	if p.err == nil && large {
		p.run = draft(p.ops)
	}
	return p
}

// prior is a version that a large transaction will probably supersede.
type prior struct {
	version int64
	keys    [][]byte
}

// foresee looks at what a resource will probably take the place of, so that
// apply, where all others wait, need not take it apart. Apply looks whether it
// came true; failing to read is left to it too.
func (m *Machine) foresee(c *content, op *store.Op, id string) {
	if op.Condition != "" || op.IfNoneExist != "" || c.open {
		return
	}
	if op.Method == store.Create { // of an id that the submitter drew
		c.isNew = true
		return
	}
	val, ok, err := m.kv.Get(nil, currentKey(nil, op.Type, id))
	if err != nil {
		return
	}
	if !ok {
		c.isNew = true
		return
	}
	if w, err := decodeRow(val); err == nil && !w.deleted() {
		if keys, err := c.indexer.oldKeys(op.Type, id, w.json); err == nil {
			c.prior = &prior{w.version, keys}
		}
	}
}

// carries reports whether an op brings a whole resource.
func carries(op *store.Op) bool { return op.Method == store.Create || op.Method == store.Update }

// fill makes the final JSON and index keys of resource src. With resolve nil,
// a resource with conditional references is left open.
func (m *Machine) fill(c *content, src []byte, typ, id string, l stamp.Links, resolve func(typ, query string, at fhir.Node) (string, error)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "index %s: %v", typ, r)
		}
	}()
	parser := m.parsers.Get().(*fhir.Parser)
	defer m.parsers.Put(parser)
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) // a byte order mark is no part of the JSON
	tree, err := parser.Parse(src)
	if err != nil {
		return err
	}
	root := tree.Root()
	if rt := root.ResourceType(); rt != typ && rt != "" {
		return fault.New(fault.Invalid, "resource is a %.40s, not a %s", rt, typ)
	}
	edits, open, err := stamp.Relink(root, l, resolve)
	c.isNew, c.drafted, c.prior = false, false, nil
	if c.open = open; err != nil || open {
		return err
	}
	stamps, err := stamp.Edits(root, id, 1, never)
	if err != nil {
		return err
	}
	c.json = fhir.Splice(src, append(edits, stamps...)...)
	if tree, err = parser.Parse(c.json); err != nil {
		return fault.New(fault.Internal, "stamp %s: %w", typ, err)
	}
	ver, upd := stamp.At(tree.Root())
	c.verAt, c.verLen, c.updAt = ver.Offset()+1, len(ver.Raw())-2, upd.Offset()+1
	c.indexer = m.index.Load()
	c.keys, err = c.indexer.timeless(typ, id, tree.Root())
	return err
}

// stamp gives the content its lastUpdated, written as stamp.Layout says.
func (c *content) stamp(lastUpdated string) { copy(c.json[c.updAt:], lastUpdated) }

// versioned returns the JSON with its version number.
func (c *content) versioned(version int64) []byte {
	if version == 1 {
		return c.json
	}
	out := make([]byte, 0, len(c.json)+8)
	out = append(out, c.json[:c.verAt]...)
	out = strconv.AppendInt(out, version, 10)
	return append(out, c.json[c.verAt+c.verLen:]...)
}

// derivedID is the id of a resource whose submitter drew none: a function of
// the transaction and the op's place, so that every node gives the same.
func derivedID(tx string, op int) string {
	h := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(tx+"\x00"), uint32(op)))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // a version 8 UUID (RFC 9562)
	s := hex.EncodeToString(h[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func linksOf(tx *store.Transaction, ids []string) stamp.Links {
	var l stamp.Links
	for i := range tx.Ops {
		if op := &tx.Ops[i]; op.FullURL != "" && ids[i] != "" {
			if l == nil {
				l = stamp.Links{}
			}
			l.Add(op.FullURL, op.Type, ids[i])
		}
	}
	return l
}

// checkShape refuses what no state can make right.
func checkShape(tx *store.Transaction) error {
	if tx.ID == "" || len(tx.ID) > 256 {
		return fault.New(fault.Invalid, "transaction id of %d bytes", len(tx.ID))
	}
	if len(tx.Ops) == 0 || isOffer(tx) {
		return nil
	}
	seen := make(map[string]bool, len(tx.Ops))
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if err := checkOp(op); err != nil {
			return opFault(tx, i, err)
		}
		if op.ID == "" {
			continue
		}
		key := op.Type + "/" + op.ID
		if seen[key] {
			return opFault(tx, i, overlap(key))
		}
		seen[key] = true
	}
	return nil
}

func overlap(key string) error {
	return fault.New(fault.Invalid, "%s appears twice in one transaction", key).With(fault.Issue{Severity: "error",
		Code: "invalid", Key: "transaction-overlap", Text: "同一事务中重复写入 " + key, TextEN: key + " is written twice in one transaction"})
}

func checkOp(op *store.Op) error {
	if !validType(op.Type) {
		return fault.New(fault.Invalid, "bad resource type %.40q", op.Type)
	}
	if op.ID != "" && !ValidID(op.ID) {
		return fault.New(fault.Invalid, "bad resource id").With(fault.Issue{Severity: "error", Code: "value", Key: "bad-id",
			Text: "资源 id 只能含字母、数字、“-”和“.”，最长 64 位", TextEN: "an id has 1 to 64 letters, digits, '-' or '.'"})
	}
	switch op.Method {
	case store.Create, store.Update, store.Patch:
		if len(op.Resource) == 0 {
			return fault.New(fault.Invalid, "%s without a body", op.Method)
		}
	case store.Delete, store.Purge:
	default:
		return fault.New(fault.Invalid, "bad method %.10q", op.Method)
	}
	if op.ID == "" && op.Condition == "" && op.Method != store.Create {
		return fault.New(fault.Invalid, "%s without an id or a condition", op.Method)
	}
	return nil
}

// ValidID reports whether s is a FHIR id ([A-Za-z0-9\-\.]{1,64}).
func ValidID(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}

func validType(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(s) > 2 && len(s) <= 64 && s[0] <= 'Z'
}

// opFault adds the place in the bundle to a refusal of a transaction of several ops.
func opFault(tx *store.Transaction, i int, err error) error {
	if err == nil || len(tx.Ops) == 1 {
		return err
	}
	place := "Bundle.entry[" + strconv.Itoa(i) + "]"
	e := fault.New(fault.KindOf(err), "%s: %w", place, err)
	for _, is := range fault.IssuesOf(err) {
		if is.Expression == "" {
			is.Expression = place
		} else {
			is.Expression = place + ".resource." + is.Expression
		}
		e.Issues = append(e.Issues, is)
	}
	return e
}

const serialOps = 8 // fewer are not worth a goroutine

// parallel calls fn(0..n-1) from at most so many workers, each with grain calls
// or more to do, and returns the error of the lowest index that failed, so that
// the answer does not depend on timing.
func parallel(n, grain, workers int, fn func(i int) error) error {
	workers = min(workers, n/grain+1)
	if workers <= 1 {
		for i := range n {
			if err := fn(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		first = n
		cause error
	)
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					mu.Lock()
					if i < first {
						first, cause = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return cause
}
