// Package search is FHIR search: which index keys a resource has ([Engine] extract),
// what a query means, and how it runs over an ordered index. It holds no state
// and does no I/O; the store gives it an [Index].
package search

// Index is an ordered map of byte keys at one moment. One goroutine at a time.
type Index interface {
	// Iter iterates keys in [lower, upper) in ascending order; nil = unbounded.
	Iter(lower, upper []byte) Iterator
	// Get returns the value of key, ok false if absent. Valid until the next call.
	Get(key []byte) (value []byte, ok bool, err error)
	// Resource returns the current JSON of a resource, ok false if absent or deleted.
	Resource(typ, id string) (json []byte, ok bool, err error)
}

// Iterator walks an Index. It starts before the first key.
type Iterator interface {
	// Next moves on; false at the end or on error.
	Next() bool
	// SeekGE moves to the first key >= key; false at the end or on error.
	SeekGE(key []byte) bool
	// Key and Value are valid until the next move.
	Key() []byte
	Value() []byte
	// Close releases the iterator and returns the first error met.
	Close() error
}

// Reverser is an [Iterator] that can also walk backwards; with it a descending
// sort need not read every match.
type Reverser interface {
	Iterator
	// Last moves to the last key; false if there is none or on error.
	Last() bool
	// Prev moves one key back; false at the beginning or on error.
	Prev() bool
}
