package subscribe

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/shelf"
)

// record is what is kept of one subscription.
type record struct {
	ID        string          `json:"id"`
	Started   int64           `json:"started"`  // change that made it
	Resource  json.RawMessage `json:"resource"` // as last seen
	Status    Status          `json:"status"`
	Error     string          `json:"error,omitempty"`
	Greeted   bool            `json:"greeted"`   // the handshake succeeded
	Events    int64           `json:"events"`    // number of the last event
	Delivered int64           `json:"delivered"` // number of the last event delivered
	Failures  int             `json:"failures"`  // in a row
	LastEvent time.Time       `json:"lastEvent"`
	LastSent  time.Time       `json:"lastSent"`
	LastError time.Time       `json:"lastError"`
	NextTry   time.Time       `json:"nextTry"`
}

// Event is one event of a subscription: a version of a resource.
type Event struct {
	Number  int64        `json:"-"`
	Type    string       `json:"t"`
	ID      string       `json:"i"`
	Version int64        `json:"v"`
	Time    time.Time    `json:"ts"`
	Method  store.Method `json:"m"`
	Created bool         `json:"c,omitempty"`
}

// The keys of the state: c = the last change handled; s id = a subscription;
// t id = a topic; e id 0 number = an event.
const (
	keyCursor       = "c"
	keySubscription = "s"
	keyTopic        = "t"
	keyEvent        = "e"
)

// state is the database of subscriptions.
type state struct{ db *pebble.DB }

func openState(dir string) (*state, error) {
	db, err := shelf.Open(dir, shelf.Options{})
	if err != nil {
		return nil, fmt.Errorf("open subscriptions %s: %w", dir, err)
	}
	return &state{db}, nil
}

func (s *state) close() error { return s.db.Close() }

// cursor returns the last change handled, ok false if none ever was.
func (s *state) cursor() (seq int64, ok bool, err error) {
	v, err := shelf.Get(s.db, []byte(keyCursor))
	if err != nil || v == nil {
		return 0, false, err
	}
	if len(v) != 8 {
		return 0, false, errors.New("damaged cursor")
	}
	return int64(binary.BigEndian.Uint64(v)), true, nil
}

func setCursor(b *pebble.Batch, seq int64) error {
	return b.Set([]byte(keyCursor), binary.BigEndian.AppendUint64(nil, uint64(seq)), nil)
}

func putRecord(w pebble.Writer, r *record, o *pebble.WriteOptions) error {
	v, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return w.Set([]byte(keySubscription+r.ID), v, o)
}

func eventKey(id string, number int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(keyEvent+id+"\x00"), uint64(number))
}

func putEvent(b *pebble.Batch, id string, e *Event) error {
	v, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return b.Set(eventKey(id, e.Number), v, nil)
}

// events returns the events from to through, at most limit.
func (s *state) events(id string, from, through int64, limit int) (out []Event, err error) {
	if from > through {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: eventKey(id, max(from, 0)), UpperBound: eventKey(id, through+1)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		var e Event
		if err := json.Unmarshal(it.Value(), &e); err != nil {
			return nil, errors.Join(err, it.Close())
		}
		k := it.Key()
		e.Number = int64(binary.BigEndian.Uint64(k[len(k)-8:]))
		out = append(out, e)
	}
	return out, it.Close()
}

// forget removes a subscription's events below a number.
func forget(w pebble.Writer, id string, below int64, o *pebble.WriteOptions) error {
	return w.DeleteRange(eventKey(id, 0), eventKey(id, below), o)
}

// each calls fn with the rest of the key and the value of each key of a prefix.
func (s *state) each(prefix string, fn func(id string, value []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: []byte{prefix[0] + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(string(it.Key()[1:]), append([]byte(nil), it.Value()...)); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}
