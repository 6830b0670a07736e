package pebble

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/qihuang-health/qihuang/fhir/store/machine"
)

// lookups is a Bloom filter of the keys that are looked up one by one. It bears
// the name of the filter of all keys and reads those too, so that files of both
// kinds live in one database.
type lookups struct{ bloom.FilterPolicy }

// MayContain implements pebble.FilterPolicy.
func (l lookups) MayContain(t pebble.FilterType, filter, key []byte) bool {
	return machine.Walked(key) || l.FilterPolicy.MayContain(t, filter, key)
}

// NewWriter implements pebble.FilterPolicy.
func (l lookups) NewWriter(t pebble.FilterType) pebble.FilterWriter {
	return lookupWriter{l.FilterPolicy.NewWriter(t)}
}

type lookupWriter struct{ pebble.FilterWriter }

// AddKey implements pebble.FilterWriter.
func (w lookupWriter) AddKey(key []byte) {
	if !machine.Walked(key) {
		w.FilterWriter.AddKey(key)
	}
}
