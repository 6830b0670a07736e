// Package store is the contract of the FHIR repository: a deterministic state
// machine over the log of transactions (see DESIGN.md beside this file).
//
// Every door of the hub (REST, IHE, adapters, applications) writes through
// [Writer] and reads through [Reader]; access, consent and audit are decorators
// of the same interfaces.
package store

import (
	"context"
	"iter"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search"
)

// Method is the kind of change, by the HTTP verb that FHIR uses for it.
type Method string

// The methods of an [Op].
const (
	Create Method = "POST"
	Update Method = "PUT"
	Patch  Method = "PATCH"
	Delete Method = "DELETE"
	// Purge deletes a resource and erases every earlier version of it: only the
	// deletion stays in its history. What the log still holds goes when it is trimmed.
	Purge Method = "PURGE"
	// Offer says which SearchParameter resources searches may use from here on.
	// Its Resource is a JSON array of them; it stands alone in its transaction.
	Offer Method = "OFFER"
)

// AnyVersion as Op.IfMatch wants the resource to exist, in whatever version
// (If-Match: *, RFC 9110 §13.1.1).
const AnyVersion = -1

// Op is one change inside a transaction. References inside Resource to another
// op's FullURL are rewritten when the transaction is applied.
type Op struct {
	Method      Method `json:"m"`
	Type        string `json:"t"`
	ID          string `json:"id,omitempty"`    // Create: the id the submitter drew for it; empty for conditional ops
	FullURL     string `json:"url,omitempty"`   // Bundle.entry.fullUrl, to resolve references
	IfMatch     int64  `json:"im,omitempty"`    // version the resource must have, or AnyVersion; 0 = no condition
	IfNoneMatch bool   `json:"inm,omitempty"`   // PUT only if there is none (If-None-Match: *)
	IfNoneExist string `json:"ine,omitempty"`   // conditional create: search query without '?'
	Condition   string `json:"cond,omitempty"`  // conditional update/patch/delete: search query without '?'
	Many        bool   `json:"many,omitempty"`  // conditional delete of every match
	IfNewer     string `json:"newer,omitempty"` // RFC 3339 instant; skip if the stored resource's source time is later (see DESIGN.md, "late messages")
	SkipSame    bool   `json:"same,omitempty"`  // make no new version if the content is the same (adapters set it; REST does not)
	PatchType   string `json:"pt,omitempty"`    // application/json-patch+json | application/xml-patch+xml | application/fhir+json
	Resource    []byte `json:"r,omitempty"`     // resource or patch body, JSON (or XML Patch) as the client sent it
}

// Transaction is what one append to the log carries. It takes effect whole or
// not at all. Applying one ID twice has the effect of applying it once.
type Transaction struct {
	ID     string    `json:"id"`              // unique; the submitter draws it (UUID) or derives it from a message key
	Actor  string    `json:"actor,omitempty"` // who: user, client or source name; no health data
	Time   time.Time `json:"time"`            // submit time, UTC, ms; gives meta.lastUpdated
	Ops    []Op      `json:"ops"`
	Source string    `json:"src,omitempty"` // trace: inbound message id, request id
}

// Outcome is what became of one op.
type Outcome struct {
	Status  int      // HTTP status of the entry: 200, 201, 204, 304 …
	Version *Version // the version now current (the deleted marker for deletes); nil if nothing matched
	Changed bool     // false if the content was the same and no version was made
}

// Result is what became of a transaction.
type Result struct {
	Offset   int64 // position in the log; readers may ask for "at least this"
	Outcomes []Outcome
}

// Version is one stored version of a resource. Resource shares memory with the
// store and must not be changed.
type Version struct {
	Type, ID    string
	Version     int64     // 1, 2, 3 …; a deletion takes a number too
	LastUpdated time.Time // UTC, ms
	Method      Method    // what made it: Create, Update or Delete
	Created     bool      // it made the resource exist (first version, or again after a deletion)
	Offset      int64     // log position that made it
	Resource    []byte    // JSON as sent, with id, meta.versionId, meta.lastUpdated set; nil for a deletion
}

// Deleted reports whether the version is a deletion.
func (v *Version) Deleted() bool { return v.Method == Delete }

// Writer commits transactions. Safe for concurrent use.
type Writer interface {
	// Commit appends tx to the log durably, waits until this node has applied
	// it and returns what became of it. A refused transaction (failed
	// precondition, conflict, unknown id …) is an error of that fault.Kind and
	// changes nothing. If ctx ends first the transaction may still take
	// effect; committing the same ID again tells.
	Commit(ctx context.Context, tx *Transaction) (*Result, error)
}

// Reader gives consistent views. Safe for concurrent use.
type Reader interface {
	// Snapshot pins the state that has applied at least offset min (0 = any),
	// waiting for it until ctx ends. The caller must Close it.
	Snapshot(ctx context.Context, min int64) (Snapshot, error)
	// SnapshotAt pins exactly the state after offset, as paging links do;
	// fault.Gone when that state is no longer kept.
	SnapshotAt(ctx context.Context, offset int64) (Snapshot, error)
}

// Store is the whole repository as doors see it.
type Store interface {
	Writer
	Reader
}

// HistoryQuery selects versions. Empty Type = system, empty ID = type.
type HistoryQuery struct {
	Type, ID string
	Since    time.Time // only versions at or after it; zero = all
	Before   int64     // continue below this change sequence (from Change); 0 = newest
	Limit    int
}

// Change is a version with its place in the order of all changes.
type Change struct {
	Seq int64 // strictly increasing over all versions of the store
	*Version
}

// Snapshot is an unchanging view of the repository. One goroutine at a time.
type Snapshot interface {
	// Offset is the log position the view has applied.
	Offset() int64
	// Read returns the current version; fault.NotFound, or fault.Gone if deleted.
	Read(typ, id string) (*Version, error)
	// VRead returns one version; fault.NotFound, or fault.Gone for a deletion.
	VRead(typ, id string, version int64) (*Version, error)
	// History yields versions, newest first.
	History(q HistoryQuery) iter.Seq2[Change, error]
	// Index is the ordered index that package search runs on.
	Index() search.Index
	// Close releases the view.
	Close() error
}
