// Package machine is the FHIR repository's state machine: it reads transaction
// records from the log in order and applies them to an ordered key-value map.
// What it writes depends on the records and the state alone, so two machines at
// one offset hold the same bytes. The key layout is in ../DESIGN.md.
package machine

import (
	"github.com/qihuang-health/qihuang/fhir/search"
)

// View reads an ordered map of byte keys at one moment. Safe for concurrent use.
type View interface {
	// Get returns a copy of the value of key appended to dst[:0]; ok false if absent.
	Get(dst, key []byte) (value []byte, ok bool, err error)
	// Iter walks keys in [lower, upper) in ascending order; nil upper = to the end.
	Iter(lower, upper []byte) search.Iterator
	// Close releases the view.
	Close() error
}

// Batch collects writes that take effect together. For one goroutine.
type Batch interface {
	// Get and Iter see the state before the batch; with its own writes on top if
	// the batch was begun with overlay true.
	Get(dst, key []byte) (value []byte, ok bool, err error)
	Iter(lower, upper []byte) search.Iterator
	// Before is Get on the state before the batch, fast for many keys.
	Before(dst, key []byte) (value []byte, ok bool, err error)
	// Set and Delete copy what they are given.
	Set(key, value []byte) error
	Delete(key []byte) error
	// SetRun sets every key of r to nothing. It keeps r.
	SetRun(r *Run) error
	// DeleteRange deletes the keys in [lower, upper), at a cost that does not
	// grow with their number where the map can.
	DeleteRange(lower, upper []byte) error
	// Commit makes every write visible at once; durability is KV's affair, but
	// what survives a crash is the state after some whole batch.
	Commit() error
	// Discard drops an uncommitted batch; after Commit it does nothing.
	Discard()
}

// KV is an ordered map of bytes with atomic batches and views.
type KV interface {
	// Get reads the latest state, as View.Get does.
	Get(dst, key []byte) (value []byte, ok bool, err error)
	// View pins the latest state.
	View() View
	// Begin starts a batch; one at a time.
	Begin(overlay bool) Batch
}
