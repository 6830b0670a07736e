package store

import (
	"encoding/binary"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// The record format, version 1 (see DESIGN.md):
//
//	byte    1                      format version
//	byte    flags                  bit 0: body is zstd
//	uint64  time                   big endian, ms since 1970 UTC
//	bytes   transaction id         uvarint length, bytes
//	body    actor, source: bytes; count: uvarint; per op: a bit set of the
//	        members present (uvarint), then those members in the order below
const (
	recordVersion  = 1
	flagZstd       = 1
	compressOver   = 1 << 10 // smaller bodies gain nothing
	maxRecordBytes = 512 << 20
)

// The bits of an op's member set.
const (
	hasFullURL = 1 << iota
	hasIfMatch
	hasIfNoneExist
	hasCondition
	hasIfNewer
	hasPatchType
	isIfNoneMatch
	isMany
	isSkipSame
)

// Codec encodes and decodes transaction records. Safe for concurrent use.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// NewCodec returns a codec of the current record version.
func NewCodec() *Codec {
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxRecordBytes))
	return &Codec{enc, dec}
}

// Encode returns the record of tx.
func (c *Codec) Encode(tx *Transaction) []byte {
	size := 64
	for i := range tx.Ops {
		size += 96 + len(tx.Ops[i].Resource)
	}
	body := make([]byte, 0, size)
	body = appendBytes(body, tx.Actor)
	body = appendBytes(body, tx.Source)
	body = binary.AppendUvarint(body, uint64(len(tx.Ops)))
	for i := range tx.Ops {
		body = appendOp(body, &tx.Ops[i])
	}
	head := make([]byte, 0, 24+len(tx.ID)+len(body))
	head = append(head, recordVersion, 0)
	head = binary.BigEndian.AppendUint64(head, uint64(tx.Time.UnixMilli()))
	head = appendBytes(head, tx.ID)
	if len(body) < compressOver {
		return append(head, body...)
	}
	head[1] = flagZstd
	return c.enc.EncodeAll(body, head)
}

func appendOp(b []byte, op *Op) []byte {
	var set uint64
	mark := func(on bool, bit uint64) {
		if on {
			set |= bit
		}
	}
	mark(op.FullURL != "", hasFullURL)
	mark(op.IfMatch != 0, hasIfMatch)
	mark(op.IfNoneExist != "", hasIfNoneExist)
	mark(op.Condition != "", hasCondition)
	mark(op.IfNewer != "", hasIfNewer)
	mark(op.PatchType != "", hasPatchType)
	mark(op.IfNoneMatch, isIfNoneMatch)
	mark(op.Many, isMany)
	mark(op.SkipSame, isSkipSame)
	b = binary.AppendUvarint(b, set)
	b = append(b, methodCode(op.Method))
	b = appendBytes(b, op.Type)
	b = appendBytes(b, op.ID)
	if set&hasFullURL != 0 {
		b = appendBytes(b, op.FullURL)
	}
	if set&hasIfMatch != 0 {
		b = binary.AppendUvarint(b, uint64(op.IfMatch))
	}
	if set&hasIfNoneExist != 0 {
		b = appendBytes(b, op.IfNoneExist)
	}
	if set&hasCondition != 0 {
		b = appendBytes(b, op.Condition)
	}
	if set&hasIfNewer != 0 {
		b = appendBytes(b, op.IfNewer)
	}
	if set&hasPatchType != 0 {
		b = appendBytes(b, op.PatchType)
	}
	return appendBytes(b, op.Resource)
}

// Header is the part of a record that is readable without decoding the body.
type Header struct {
	ID   string
	Time time.Time // UTC, ms
	zstd bool
	body []byte
}

// Header reads the front of a record. fault.Unsupported for a record version
// this build does not know, fault.Invalid for a damaged one.
func (c *Codec) Header(record []byte) (Header, error) {
	if len(record) < 11 {
		return Header{}, fault.New(fault.Invalid, "transaction record of %d bytes", len(record))
	}
	if record[0] != recordVersion {
		return Header{}, fault.New(fault.Unsupported, "transaction record version %d", record[0])
	}
	r := reader{b: record[10:]}
	h := Header{Time: time.UnixMilli(int64(binary.BigEndian.Uint64(record[2:]))).UTC(), zstd: record[1]&flagZstd != 0}
	h.ID = r.str()
	h.body = r.b
	return h, r.err
}

// Decode returns the transaction of a record. Op resources share memory with
// the record or with one buffer of their own.
func (c *Codec) Decode(record []byte) (*Transaction, error) {
	h, err := c.Header(record)
	if err != nil {
		return nil, err
	}
	body := h.body
	if h.zstd {
		if body, err = c.dec.DecodeAll(body, nil); err != nil {
			return nil, fault.New(fault.Invalid, "decompress transaction record: %w", err)
		}
	}
	r := reader{b: body}
	tx := &Transaction{ID: h.ID, Time: h.Time, Actor: r.str(), Source: r.str()}
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		return nil, fault.New(fault.Invalid, "transaction record claims %d ops", n)
	}
	tx.Ops = make([]Op, n)
	for i := range tx.Ops {
		r.op(&tx.Ops[i])
	}
	if r.err == nil && len(r.b) != 0 {
		r.fail()
	}
	if r.err != nil {
		return nil, r.err
	}
	return tx, nil
}

type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fault.New(fault.Invalid, "damaged transaction record")
	}
	r.b = nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) str() string { return string(r.bytes()) }

func (r *reader) op(op *Op) {
	set := r.uvarint()
	if len(r.b) == 0 {
		r.fail()
		return
	}
	op.Method = codeMethod(r.b[0])
	r.b = r.b[1:]
	if op.Method == "" {
		r.fail()
	}
	op.Type, op.ID = r.str(), r.str()
	if set&hasFullURL != 0 {
		op.FullURL = r.str()
	}
	if set&hasIfMatch != 0 {
		op.IfMatch = int64(r.uvarint())
	}
	if set&hasIfNoneExist != 0 {
		op.IfNoneExist = r.str()
	}
	if set&hasCondition != 0 {
		op.Condition = r.str()
	}
	if set&hasIfNewer != 0 {
		op.IfNewer = r.str()
	}
	if set&hasPatchType != 0 {
		op.PatchType = r.str()
	}
	op.IfNoneMatch, op.Many, op.SkipSame = set&isIfNoneMatch != 0, set&isMany != 0, set&isSkipSame != 0
	if op.Resource = r.bytes(); len(op.Resource) == 0 {
		op.Resource = nil
	}
}

func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func methodCode(m Method) byte {
	switch m {
	case Purge:
		return 'X'
	case Offer:
		return 'O'
	case Create:
		return 'C'
	case Update:
		return 'U'
	case Patch:
		return 'P'
	default:
		return 'D'
	}
}

func codeMethod(c byte) Method {
	switch c {
	case 'C':
		return Create
	case 'U':
		return Update
	case 'P':
		return Patch
	case 'D':
		return Delete
	case 'X':
		return Purge
	case 'O':
		return Offer
	}
	return ""
}
