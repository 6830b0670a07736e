package machine

import (
	"encoding/binary"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The first byte of a key names its table.
const (
	tabMeta    = 'a' // the one state row
	tabChange  = 'c' // ^seq → type, id, version
	tabType    = 'h' // type 0 ^seq → nothing: the changes of one type
	tabIndex   = 'i' // index key → nothing
	tabBuilt   = 'b' // beginning of index keys → nothing: this node builds them, nobody may use them yet
	tabCurrent = 'r' // type 0 id → the current version
	tabTx      = 't' // transaction id → offset, outcome
	tabOffer   = 's' // place → a SearchParameter that searches may use
	tabOld     = 'v' // type 0 id 0 ^version → an older version
	tabTxOrder = 'w' // offset → transaction id, to forget old ones
)

var stateKey = []byte{tabMeta}

// Walked reports whether a key belongs to a table that is only walked over and
// hardly ever asked for one key: a filter of keys gains nothing from it, and
// nine of ten keys are of this kind.
func Walked(key []byte) bool { return len(key) > 0 && (key[0] == tabIndex || key[0] == tabType) }

// state is the row that says where the view stands.
type state struct {
	format  uint64 // layout version
	applied int64  // last log offset applied; -1 = none
	seq     int64  // last change sequence given
	lastMS  int64  // running maximum of record times
	offered int64  // log offset of the last Offer plus one; 0 = none
	swept   int64  // changes up to this sequence were looked at for Retention.Age
}

const layoutVersion = 1

func (s *state) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst[:0], layoutVersion)
	dst = binary.AppendVarint(dst, s.applied)
	dst = binary.AppendVarint(dst, s.seq)
	dst = binary.AppendVarint(dst, s.lastMS)
	dst = binary.AppendVarint(dst, s.swept)
	return binary.AppendVarint(dst, s.offered)
}

func decodeState(b []byte, ok bool) (state, error) {
	if !ok {
		return state{format: layoutVersion, applied: -1}, nil
	}
	var s state
	r := rowReader{b: b}
	s.format = r.uvarint()
	s.applied, s.seq, s.lastMS = r.varint(), r.varint(), r.varint()
	if r.bad || s.format != layoutVersion {
		return s, fault.New(fault.Internal, "repository state row: layout version %d, want %d", s.format, layoutVersion)
	}
	if len(r.b) > 0 { // rows of earlier builds end here
		s.swept = r.varint()
	}
	if len(r.b) > 0 {
		s.offered = r.varint()
	}
	return s, nil
}

func currentKey(dst []byte, typ, id string) []byte {
	dst = append(append(append(dst[:0], tabCurrent), typ...), 0)
	return append(dst, id...)
}

func oldKey(dst []byte, typ, id string, version int64) []byte {
	dst = append(append(append(dst[:0], tabOld), typ...), 0)
	dst = append(append(dst, id...), 0)
	return binary.BigEndian.AppendUint64(dst, ^uint64(version))
}

func changeKey(dst []byte, seq int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], tabChange), ^uint64(seq))
}

func typeKey(dst []byte, typ string, seq int64) []byte {
	dst = append(append(append(dst[:0], tabType), typ...), 0)
	return binary.BigEndian.AppendUint64(dst, ^uint64(seq))
}

// seqOf reads the sequence at the end of a change or type key.
func seqOf(key []byte) int64 {
	return int64(^binary.BigEndian.Uint64(key[len(key)-8:]))
}

func indexKey(dst, key []byte) []byte { return append(append(dst[:0], tabIndex), key...) }

func txKey(dst []byte, id string) []byte { return append(append(dst[:0], tabTx), id...) }

func txOrderKey(dst []byte, offset int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], tabTxOrder), uint64(offset))
}

// row is a stored version: a short header before the JSON.
type row struct {
	version, seq, offset int64
	updatedMS            int64
	sourceNS             int64 // source time for late messages, ns; 0 = none
	method               store.Method
	created              bool
	json                 []byte // nil for a deletion
}

func (w *row) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst[:0], uint64(w.version))
	dst = binary.AppendUvarint(dst, uint64(w.seq))
	dst = binary.AppendUvarint(dst, uint64(w.offset))
	dst = binary.AppendVarint(dst, w.updatedMS)
	dst = binary.AppendVarint(dst, w.sourceNS)
	var m byte
	switch w.method {
	case store.Create:
		m = 1
	case store.Update:
		m = 2
	}
	if w.created {
		m |= 4
	}
	dst = append(dst, m)
	return append(dst, w.json...)
}

func decodeRow(b []byte) (row, error) {
	r := rowReader{b: b}
	w := row{version: int64(r.uvarint()), seq: int64(r.uvarint()), offset: int64(r.uvarint()), updatedMS: r.varint(), sourceNS: r.varint()}
	if r.bad || len(r.b) == 0 {
		return w, fault.New(fault.Internal, "damaged version row")
	}
	m := r.b[0]
	w.created = m&4 != 0
	switch m & 3 {
	case 1:
		w.method = store.Create
	case 2:
		w.method = store.Update
	default:
		w.method = store.Delete
	}
	if w.method != store.Delete {
		w.json = r.b[1:]
	}
	return w, nil
}

func (w *row) deleted() bool { return w.method == store.Delete }

func (w *row) toVersion(typ, id string) *store.Version {
	return &store.Version{Type: typ, ID: id, Version: w.version, LastUpdated: time.UnixMilli(w.updatedMS).UTC(),
		Method: w.method, Created: w.created, Offset: w.offset, Resource: w.json}
}

// changeRow is the value of a change key.
func changeRow(dst []byte, typ, id string, version int64) []byte {
	dst = binary.AppendUvarint(dst[:0], uint64(version))
	dst = append(append(dst, typ...), 0)
	return append(dst, id...)
}

func decodeChange(b []byte) (typ, id string, version int64, err error) {
	r := rowReader{b: b}
	version = int64(r.uvarint())
	for i, c := range r.b {
		if c == 0 {
			return string(r.b[:i]), string(r.b[i+1:]), version, nil
		}
	}
	return "", "", 0, fault.New(fault.Internal, "damaged change row")
}

type rowReader struct {
	b   []byte
	bad bool
}

func (r *rowReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}
