package kafka

import (
	"encoding/json"
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

// HeadLetter is the header of a dead letter's facts; absent in a resolution.
const HeadLetter = "letter"

// LetterRecord is the record of a dead letter; Resolution that of its end.
func LetterRecord(d *pipeline.DeadLetter) (Record, error) {
	m := *d.Message
	m.Body = nil
	facts := *d
	facts.Message = &m
	text, err := json.Marshal(&facts)
	if err != nil {
		return Record{}, err
	}
	return Record{Key: []byte(d.ID), Value: d.Message.Body, Headers: []Header{{Key: HeadLetter, Value: string(text)}}}, nil
}

// Letter reads a record of the topic dead-letter; the message is without its
// body, which is the record's value. nil for a resolution, fault.Invalid for
// what is neither.
func Letter(r *Record) (*pipeline.DeadLetter, error) {
	text := r.Header(HeadLetter)
	if text == "" {
		return nil, nil
	}
	var d pipeline.DeadLetter
	if err := json.Unmarshal([]byte(text), &d); err != nil || d.Message == nil {
		return nil, fault.New(fault.Invalid, "record %d of the dead letters is no letter", r.Offset)
	}
	return &d, nil
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
