package store

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
)

// Log is one totally ordered, durable sequence of records. Safe for concurrent
// use. It is the source of truth; a store is a view of it.
type Log interface {
	// Append returns when every record is durable (fsync, or all in-sync
	// replicas), with the offset of the first; the others follow it without a
	// gap. Records may be appended twice after a lost reply: readers must
	// recognise them. fault.Unavailable when the log is away until ctx ends.
	Append(ctx context.Context, records [][]byte) (first int64, err error)
	// Read calls fn for each record at or after from, in order, waiting for new
	// ones until ctx ends or fn fails; it returns that error. fn may keep record.
	// fault.Gone when from lies below the log's first record.
	Read(ctx context.Context, from int64, fn func(offset int64, record []byte) error) error
	// Bounds returns the first offset kept and the next to be written.
	Bounds(ctx context.Context) (first, next int64, err error)
}

// Indexer knows search; the store holds no search semantics of its own. It is
// satisfied by *search.Engine. Its answers must depend on its arguments only.
type Indexer interface {
	// Keys appends every index key of a current resource to dst, each once.
	Keys(dst [][]byte, typ, id string, res fhir.Node) ([][]byte, error)
	// TimeKeys appends those of the keys that come of meta.lastUpdated: they are
	// the same whatever else the resource holds.
	TimeKeys(dst [][]byte, typ, id, lastUpdated string) ([][]byte, error)
	// IDs returns the logical ids of the resources of type typ that match
	// query (a search query without '?'), at most limit.
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Patcher applies a patch body of media type patchType to a resource and
// returns the patched JSON, all else byte-true. Pure and deterministic.
type Patcher interface {
	Patch(resource []byte, patchType string, patch []byte) ([]byte, error)
}

// Pinner is a [Snapshot] whose state can be kept for SnapshotAt beyond the
// recently used ones, as a page link needs.
type Pinner interface {
	// Pin keeps the state for the store's retention time after its last use.
	Pin()
}

// Feed gives the changes of a store in the order they happened, for those who
// carry them on. Safe for concurrent use.
type Feed interface {
	// FirstSeq returns the sequence of the first change made at or after a log
	// offset; the next to be given if there is none yet.
	FirstSeq(ctx context.Context, offset int64) (int64, error)
	// Changes returns the changes from sequence from on, in order, until about
	// maxBytes are reached; it waits until there is one, or until records without
	// changes were applied (then changes is empty), or ctx ends. Every change of
	// the records up to offset through has then been given.
	Changes(ctx context.Context, from int64, maxBytes int) (changes []Change, through int64, err error)
}
