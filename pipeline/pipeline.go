// Package pipeline carries messages from partners to the repository and from
// the repository to its views, losing nothing: a message is acknowledged only
// when the log holds it.
package pipeline

import (
	"context"
	"time"
)

// Message is one inbound message as it arrived.
type Message struct {
	ID          string            // ours, unique, sortable by arrival (ULID)
	Source      string            // configured source name, e.g. "his"
	Kind        string            // format, e.g. "his-visit", "tcm-his-01"; selects the map
	Key         string            // source + patient: messages of one key stay in order
	DedupKey    string            // the sender's message key or a content hash; same key = one effect
	ContentType string            // media type as sent
	Charset     string            // of Body as sent, "" = UTF-8
	Received    time.Time         // UTC
	Headers     map[string]string // transport facts worth keeping; no secrets
	Body        []byte            // the original bytes
}

// Position is where the log keeps a record.
type Position struct {
	Topic     string
	Partition int
	Offset    int64
}

// Ack tells the fate of a delivery to its source, exactly once: nil = the
// effect is durable; an error = deliver again later.
type Ack func(ctx context.Context, err error) error

// Inbound accepts messages durably.
type Inbound interface {
	// Append returns only after the message is on disk (fsync, or all in-sync
	// replicas). fault.Busy when the queue is full, fault.Unavailable when the
	// log is away: the sender must try again.
	Append(ctx context.Context, m *Message) (Position, error)
}

// Sink takes messages and makes their effect durable.
type Sink interface {
	// Handle gives m its effect. A fault of kind Invalid, NotFound, Conflict,
	// Precondition or Unsupported sends m to the dead letters; Unavailable,
	// Busy and Internal are tried again; a *Later parks it.
	Handle(ctx context.Context, m *Message) error
}

// Later is a sink's answer for a message whose effect needs somebody who is
// away: it waits aside, with what follows it for the same patient, and the
// others go on.
type Later struct {
	After time.Duration // when to try again
	Cause error
}

// Error tells the cause.
func (l *Later) Error() string { return l.Cause.Error() }

// Unwrap returns the cause.
func (l *Later) Unwrap() error { return l.Cause }

// HeadCopyOf is the header of an edited copy: the id of the dead letter that it
// mends. When the copy takes effect the original leaves the dead letters.
const HeadCopyOf = "copy-of"

// DeadLetter is a message that could not take effect, kept for repair.
type DeadLetter struct {
	ID       string    // the message's ID
	Message  *Message  // with the original bytes
	Time     time.Time // when it was refused, UTC
	Reason   string    // a sentence in Chinese; no health data
	Location string    // place in the message: FHIRPath, XPath, row/column, line:col
	Map      string    // name@version of the map that refused it; may be empty
	Attempts int
	Until    time.Time // parked: to be tried again by the hub itself then; zero = a person must look
}

// Parked reports whether the hub itself will try again.
func (d *DeadLetter) Parked() bool { return !d.Until.IsZero() }

// DeadLetters keeps refused messages.
type DeadLetters interface {
	// Put keeps d durably; the same ID again replaces it.
	Put(ctx context.Context, d *DeadLetter) error
	// List returns the newest first, at most limit, and how many there are.
	// Parked ones are not among them.
	List(ctx context.Context, limit int) (items []*DeadLetter, total int, err error)
	// Get returns one; fault.NotFound.
	Get(ctx context.Context, id string) (*DeadLetter, error)
	// Resolve removes one after its message took effect.
	Resolve(ctx context.Context, id string) error
}
