// Package offer keeps the search parameters that searches may use in step with
// the SearchParameter resources that are stored
// (https://hl7.org/fhir/R4/searchparameter.html).
//
// A new active one is first built, which a job shows the progress of, then
// offered; one that was changed, retired or deleted is taken away at once. The
// offers are records of the log, so that all nodes agree and a restart finds
// them again. Every node with a [Keeper] builds for itself; whoever is ready first
// appends the offer.
package offer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Repository is what a Keeper needs of the repository; *pebble.Store and
// *memory.Store have it.
type Repository interface {
	store.Store
	// Build makes the keys of parameters that are not offered yet.
	Build(ctx context.Context, resources [][]byte, progress func(resources int64)) error
	// Offered returns what is offered, and since which record.
	Offered() (resources [][]byte, since int64, err error)
	// Changed tells that a SearchParameter was written or an offer applied.
	Changed() <-chan struct{}
}

// Parts are what a Keeper is made of.
type Parts struct {
	Store Repository
	Model *definitions.Model
	// Check returns why a set of SearchParameter resources cannot be used together.
	Check func(resources [][]byte) error
	// Count guesses how many resources of a type there are, for the progress.
	Count func(ctx context.Context, typ string) int
	Jobs  *jobs.Manager
	Log   *slog.Logger
}

// Status is where a stored SearchParameter stands.
type Status string

// The statuses.
const (
	Offered  Status = "offered"  // searches may use it
	Building Status = "building" // its index is being built
	Refused  Status = "refused"  // it cannot be used, Reason says why
	Standard Status = "standard" // R4 has it: it is there anyway
	Inactive Status = "inactive" // its status is not active
)

// Parameter is a stored SearchParameter and where it stands.
type Parameter struct {
	ID, URL, Code string
	Base          []string
	Status        Status
	Reason        string // of Refused
	Done, Total   int64  // of Building: resources; Total is a guess
	Job           string // of Building: the job that shows it
}

const maxOffered = 500 // parameters; each costs every write of its types a look

// Keeper does the work of the package: Use, then Run it. The zero Keeper lists
// nothing. It is safe for concurrent use.
type Keeper struct {
	parts Parts

	mu   sync.Mutex
	list []Parameter  // by id
	done int64        // resources built
	sum  int64        // resources to be built, a guess
	job  string       // that shows it
	tell func(string) // the job's progress; nil = nobody watches
}

// Use gives the keeper its parts, once and before Run; some of them may be made
// later than whoever lists its parameters.
func (k *Keeper) Use(p Parts) { k.parts = p }

// List returns every stored SearchParameter, by id.
func (k *Keeper) List() []Parameter {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := slices.Clone(k.list)
	for i := range list {
		if list[i].Status == Building {
			list[i].Done, list[i].Total, list[i].Job = k.done, max(k.sum, k.done), k.job
		}
	}
	return list
}

// Run keeps the offers in step until ctx ends. Begin it when the repository has
// caught up with the log. A failed attempt is logged and waits for the next change.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		again, err := k.step(ctx)
		if err != nil && ctx.Err() == nil {
			k.parts.Log.WarnContext(ctx, "offer search parameters", "error", err)
		}
		if again && err == nil {
			continue
		}
		select {
		case <-k.parts.Store.Changed():
		case <-ctx.Done():
		}
	}
	return nil
}

// step brings the offer nearer to what is stored; again tells to look once more.
func (k *Keeper) step(ctx context.Context) (again bool, err error) {
	now, since, err := k.parts.Store.Offered()
	if err != nil {
		return false, err
	}
	kept, added, err := k.plan(ctx, now)
	switch {
	case err != nil:
		return false, err
	case len(kept) < len(now): // what left goes at once
		return true, k.offer(ctx, kept, since)
	case len(added) == 0:
		return false, nil
	}
	want := append(kept, added...)
	built, err := k.build(ctx, want)
	if err != nil || !built {
		return err == nil, err
	}
	return true, k.offer(ctx, want, since)
}

// plan compares the offer with what is stored: what stays, with the bytes it was
// offered with, and what is new.
func (k *Keeper) plan(ctx context.Context, now [][]byte) (kept, added [][]byte, err error) {
	stored, err := k.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	var list []Parameter
	for _, raw := range now {
		id := idOf(raw)
		if s := stored[id]; s.sp != nil && s.entry.Status == "" && same(raw, s.raw) && k.fits(append(slices.Clone(kept), raw)) == nil {
			kept = append(kept, raw)
			s.entry.Status = Offered
			stored[id] = s
		}
	}
	for _, id := range inOrder(stored) {
		s := stored[id]
		if s.entry.Status == "" {
			want := append(append(slices.Clone(kept), added...), s.raw)
			s.entry.Status = Building
			if err := k.fits(want); err != nil {
				s.entry.Status, s.entry.Reason = Refused, err.Error()
			} else {
				added = append(added, s.raw)
			}
		}
		list = append(list, s.entry)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = list
	return kept, added, nil
}

func (k *Keeper) fits(resources [][]byte) error {
	if len(resources) > maxOffered {
		return fault.New(fault.TooCostly, "more than %d added search parameters", maxOffered)
	}
	return k.parts.Check(resources)
}

// build makes the index of want, shown by a job that can be watched and
// cancelled; false if something changed meanwhile that must be looked at first.
func (k *Keeper) build(ctx context.Context, want [][]byte) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.begin(k.total(ctx, want))
	var failed error
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		failed = k.parts.Store.Build(ctx, want, k.progress)
	}()
	job, err := k.parts.Jobs.Start("search-parameters", "", func(watch context.Context, progress func(string)) (any, error) {
		k.watch(progress)
		defer k.watch(nil)
		select {
		case <-finished:
		case <-watch.Done():
			cancel()
			<-finished
		}
		return nil, failed
	})
	if err != nil { // the build goes on unseen
		k.parts.Log.WarnContext(ctx, "show the building of search parameters", "error", err)
	}
	k.mu.Lock()
	k.job = job
	k.mu.Unlock()
	select {
	case <-finished:
		k.fail(failed)
		return failed == nil, failed
	case <-k.parts.Store.Changed():
		cancel()
		<-finished
		return false, nil
	}
}

func (k *Keeper) begin(total int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done, k.sum, k.job = 0, total, ""
}

func (k *Keeper) progress(n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done = n; k.tell != nil {
		k.tell(strconv.FormatInt(n, 10) + " / " + strconv.FormatInt(max(n, k.sum), 10))
	}
}

// watch says whom to tell the progress, nil = nobody.
func (k *Keeper) watch(tell func(string)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell = tell
}

// fail notes why what was being built is not offered.
func (k *Keeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.list {
		if err != nil && k.list[i].Status == Building {
			k.list[i].Status, k.list[i].Reason = Refused, err.Error()
		}
	}
}

// total guesses how many resources a build looks at.
func (k *Keeper) total(ctx context.Context, resources [][]byte) (n int64) {
	types := map[string]bool{}
	for _, raw := range resources {
		tree, err := fhir.Parse(raw)
		if err != nil {
			continue
		}
		for b := range tree.Root().Get("base").Each() {
			base := b.Str()
			for _, typ := range k.parts.Model.Resources() {
				if k.parts.Model.Type(typ).IsA(base) {
					types[typ] = true
				}
			}
		}
	}
	for typ := range types {
		n += int64(k.parts.Count(ctx, typ))
	}
	return n
}

// offer appends the record. Its id is the same on every node that offers the
// same in the place of the same.
func (k *Keeper) offer(ctx context.Context, resources [][]byte, since int64) error {
	body := []byte("[")
	for i, r := range resources {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r...)
	}
	body = append(body, ']')
	sum := sha256.Sum256(strconv.AppendInt(slices.Clone(body), since, 10))
	_, err := k.parts.Store.Commit(ctx, &store.Transaction{ID: "offer-" + hex.EncodeToString(sum[:16]), Actor: "search-parameters",
		Ops: []store.Op{{Method: store.Offer, Type: "SearchParameter", Resource: body}}})
	return err
}
