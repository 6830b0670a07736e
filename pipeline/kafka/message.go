package kafka

import (
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// The headers of a message record; the value is the original body, the key is
// Message.Key. Transport headers carry the prefix "h.".
const (
	headID       = "id"
	headSource   = "source"
	headKind     = "kind"
	headDedup    = "dedup"
	headType     = "content-type"
	headCharset  = "charset"
	headReceived = "received"
	headPrefix   = "h."
)

// MessageRecord is the record of a message, with further headers of the caller.
func MessageRecord(m *pipeline.Message, more ...Header) Record {
	r := Record{Key: []byte(m.Key), Value: m.Body}
	r.Headers = append(r.Headers, Header{headID, m.ID}, Header{headSource, m.Source}, Header{headKind, m.Kind},
		Header{headDedup, m.DedupKey}, Header{headReceived, m.Received.UTC().Format(time.RFC3339Nano)})
	if m.ContentType != "" {
		r.Headers = append(r.Headers, Header{headType, m.ContentType})
	}
	if m.Charset != "" {
		r.Headers = append(r.Headers, Header{headCharset, m.Charset})
	}
	for k, v := range m.Headers {
		r.Headers = append(r.Headers, Header{headPrefix + k, v})
	}
	r.Headers = append(r.Headers, more...)
	return r
}

// Message reads a record made by MessageRecord. fault.Invalid if it is none.
func (r *Record) Message() (*pipeline.Message, error) {
	m := &pipeline.Message{Key: string(r.Key), Body: r.Value}
	var err error
	for _, h := range r.Headers {
		switch h.Key {
		case headID:
			m.ID = h.Value
		case headSource:
			m.Source = h.Value
		case headKind:
			m.Kind = h.Value
		case headDedup:
			m.DedupKey = h.Value
		case headType:
			m.ContentType = h.Value
		case headCharset:
			m.Charset = h.Value
		case headReceived:
			m.Received, err = time.Parse(time.RFC3339Nano, h.Value)
		default:
			if len(h.Key) > len(headPrefix) && h.Key[:len(headPrefix)] == headPrefix {
				if m.Headers == nil {
					m.Headers = map[string]string{}
				}
				m.Headers[h.Key[len(headPrefix):]] = h.Value
			}
		}
	}
	if m.ID == "" || err != nil {
		return nil, fault.New(fault.Invalid, "record %d/%d is no message", r.Partition, r.Offset)
	}
	return m, nil
}
