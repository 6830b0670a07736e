package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Search parameters come and go while everything runs, in three steps: a node
// builds their keys between transactions (Build), then it appends an Offer, and
// from that record on searches and conditions may use them, on every node at the
// same place in the log. A node that has not built them when it meets the Offer
// does so before it goes on. Keys of what an Offer leaves out are deleted by it.

// building is what a node makes ahead of an Offer.
type building struct {
	set      [sha256.Size]byte // of the resources
	indexer  store.Indexer
	owned    []search.Owned // where the keys of the resources lie
	fresh    []search.Owned // those that are made: not offered when it begins
	complete bool
}

func (b *building) touches(typ string) bool {
	return slices.ContainsFunc(b.fresh, func(o search.Owned) bool { return o.Type == typ })
}

func (b *building) makes(k []byte) bool { return prefixed(b.fresh, k) }

// Offered returns the SearchParameter resources that searches may use, as the
// last Offer listed them, and the log offset behind that; 0 = there was none.
func (m *Machine) Offered() (resources [][]byte, since int64, err error) {
	v := m.kv.View()
	defer v.Close()
	val, ok, err := v.Get(nil, stateKey)
	if err != nil {
		return nil, 0, err
	}
	st, err := decodeState(val, ok)
	if err != nil {
		return nil, 0, err
	}
	resources, err = offered(v)
	return resources, st.offered, err
}

func offered(v View) (list [][]byte, err error) {
	it := v.Iter([]byte{tabOffer}, []byte{tabOffer + 1})
	for it.Next() {
		list = append(list, bytes.Clone(it.Value()))
	}
	return list, it.Close()
}

// Changed tells, one value for any number of times, that a SearchParameter was
// written or an Offer applied.
func (m *Machine) Changed() <-chan struct{} { return m.changed }

func (m *Machine) notify() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Build makes the keys of search parameters that are not offered yet, between
// transactions, which go on. progress, which may be nil, is told how many
// resources are done. After it an Offer of the same resources costs nothing.
// Errors: those of Config.Extend, or of ctx.
func (m *Machine) Build(ctx context.Context, resources [][]byte, progress func(resources int64)) error {
	b, _, err := m.plan(resources)
	if err != nil {
		return err
	}
	return m.request(&reindexing{ctx: ctx, build: b, progress: progress})
}

// plan says what an Offer of resources would need.
func (m *Machine) plan(resources [][]byte) (*building, []search.Owned, error) {
	if m.cfg.Extend == nil {
		return nil, nil, fault.New(fault.Unsupported, "search parameters cannot be added")
	}
	indexer, owned, err := m.cfg.Extend(resources)
	if err != nil {
		return nil, nil, err
	}
	return &building{set: setOf(resources), indexer: indexer, owned: owned}, owned, nil
}

func setOf(resources [][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, r := range resources {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(r))))
		_, _ = h.Write(r)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// without returns those of a whose prefix is not in b.
func without(a, b []search.Owned) []search.Owned {
	return slices.DeleteFunc(slices.Clone(a), func(o search.Owned) bool {
		return slices.ContainsFunc(b, func(p search.Owned) bool { return bytes.Equal(o.Prefix, p.Prefix) })
	})
}

// beginBuild notes what is built, so that a crash leaves no keys behind, and
// lets writes make the new keys too.
func (m *Machine) beginBuild(b *building) error {
	batch := m.kv.Begin(false)
	defer batch.Discard()
	if err := m.abandon(batch); err != nil {
		return err
	}
	x := *m.index.Load()
	b.fresh = without(b.owned, x.owned) // an Offer may have come since it was planned
	for _, o := range b.fresh {
		if err := batch.Set(append([]byte{tabBuilt}, o.Prefix...), nil); err != nil {
			return err
		}
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	x.number, x.next = x.number+1, b.indexer
	m.built = b
	m.index.Store(&x)
	return nil
}

// abandon deletes the keys of a build that came to no Offer.
func (m *Machine) abandon(b Batch) error {
	it := b.Iter([]byte{tabBuilt}, []byte{tabBuilt + 1})
	var prefixes [][]byte
	for it.Next() {
		prefixes = append(prefixes, bytes.Clone(it.Key()[1:]))
	}
	if err := it.Close(); err != nil {
		return err
	}
	m.built = nil
	return dropKeys(b, prefixes)
}

// dropKeys deletes every index key that begins so, and the note that it is built.
func dropKeys(b Batch, prefixes [][]byte) error {
	for _, p := range prefixes {
		lower := indexKey(nil, p)
		if err := b.DeleteRange(lower, key.Next(lower)); err != nil {
			return err
		}
		if err := b.Delete(append([]byte{tabBuilt}, p...)); err != nil {
			return err
		}
	}
	return nil
}

// loadOffer makes the indexer of the state found at the start and cleans up after
// a build that a crash cut short.
func (m *Machine) loadOffer(v View) error {
	x := &indexing{now: m.cfg.Indexer}
	list, err := offered(v)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		if m.cfg.Extend == nil {
			return fault.New(fault.Unsupported, "the repository has added search parameters, which this program cannot use")
		}
		if x.now, x.owned, err = m.cfg.Extend(list); err != nil {
			return fmt.Errorf("search parameters of the repository: %w", err)
		}
	}
	m.index.Store(x)
	m.use(m.st.offered, x.now)
	m.notify()
	b := m.kv.Begin(false)
	defer b.Discard()
	if err := m.abandon(b); err != nil {
		return err
	}
	return b.Commit()
}

// use notes who makes the keys from an Offer on.
func (m *Machine) use(offer int64, x store.Indexer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made[offer] = x
}

// engineOf returns who made the keys that a view shows.
func (m *Machine) engineOf(offer int64) *search.Engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.made[offer].(*search.Engine)
	return e
}

func isOffer(tx *store.Transaction) bool {
	return len(tx.Ops) == 1 && tx.Ops[0].Method == store.Offer
}

// applyOffer gives an Offer its effect. Its refusal depends on the state and the
// record only.
func (m *Machine) applyOffer(st *state, tx *store.Transaction) (outs []store.Outcome, refusal, fatal error) {
	resources, err := items(tx.Ops[0].Resource)
	if err != nil {
		return nil, err, nil
	}
	before, _, err := m.Offered()
	if err != nil {
		return nil, nil, err
	}
	plan, owned, err := m.plan(resources)
	if err == nil {
		err = unchanged(before, resources, m.index.Load().owned, owned)
	}
	if err != nil {
		return nil, err, nil
	}
	if err := m.finishBuild(plan); err != nil {
		return nil, nil, err
	}
	b := &guarded{Batch: m.kv.Begin(false)}
	defer b.Discard()
	st.offered = st.applied + 1
	outs = []store.Outcome{{Status: 200, Changed: true}}
	if err := m.writeOffer(b, st, tx.ID, resources, owned, outs); err != nil {
		return nil, nil, err
	}
	x := *m.index.Load()
	m.use(st.offered, plan.indexer)
	if err := b.Commit(); err != nil {
		return nil, nil, err
	}
	m.st, m.built = *st, nil
	m.index.Store(&indexing{number: x.number + 1, now: plan.indexer, owned: owned})
	m.notify()
	return outs, nil, nil
}

// writeOffer writes the list, and takes the keys away that nobody may use any more.
func (m *Machine) writeOffer(b *guarded, st *state, id string, resources [][]byte, owned []search.Owned, outs []store.Outcome) error {
	var gone [][]byte
	for _, o := range without(m.index.Load().owned, owned) {
		gone = append(gone, o.Prefix)
	}
	if err := dropKeys(b, gone); err != nil {
		return err
	}
	if err := b.DeleteRange([]byte{tabBuilt}, []byte{tabBuilt + 1}); err != nil {
		return err
	}
	if err := b.DeleteRange([]byte{tabOffer}, []byte{tabOffer + 1}); err != nil {
		return err
	}
	for i, r := range resources {
		if err := b.Set(binary.BigEndian.AppendUint32([]byte{tabOffer}, uint32(i)), r); err != nil {
			return err
		}
	}
	return m.remember(b, st, id, outs, nil)
}

// finishBuild makes sure that the keys of a plan are there: what is active is
// carried to its end first, and what was not built before is built now.
func (m *Machine) finishBuild(plan *building) error {
	for m.active != nil && (m.active.build == nil || m.active.build.set == plan.set) {
		if err := m.advance(); err != nil {
			return err
		}
	}
	if r := m.active; r != nil {
		m.active = nil
		r.done <- fault.New(fault.Conflict, "other search parameters were offered meanwhile")
	}
	if m.built != nil && m.built.set == plan.set && m.built.complete {
		return nil
	}
	r := &reindexing{ctx: context.Background(), build: plan, cursor: []byte{tabCurrent}, done: make(chan error, 1)}
	if err := m.begin(r); err != nil || len(plan.fresh) == 0 {
		m.active = nil
		return err
	}
	for m.active != nil {
		if err := m.advance(); err != nil {
			return err
		}
	}
	return nil
}

// items takes the resources from the array of an Offer.
func items(array []byte) (list [][]byte, err error) {
	tree, err := fhir.Parse(array)
	if err != nil {
		return nil, err
	}
	if tree.Root().Kind() != fhir.Array {
		return nil, fault.New(fault.Invalid, "an offer is an array")
	}
	for n := range tree.Root().Children() {
		list = append(list, []byte(n.Raw()))
	}
	return list, nil
}

// unchanged refuses a parameter that takes the place of another, or of its own
// earlier content, at once: the old must go first, with its keys.
func unchanged(before, now [][]byte, was, is []search.Owned) error {
	for _, o := range is {
		for _, p := range was {
			if bytes.Equal(o.Prefix, p.Prefix) && !bytes.Equal(now[o.Definition], before[p.Definition]) {
				return fault.New(fault.Conflict, "a search parameter of %s was offered with another content: leave it out first", o.Type)
			}
		}
	}
	return nil
}
