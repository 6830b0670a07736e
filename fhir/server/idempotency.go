package server

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// headerKey names the field by which a client repeats a write safely
// (draft-ietf-httpapi-idempotency-key-header).
const headerKey = "Idempotency-Key"

// maxKeys is how many keys a node remembers the content of.
const maxKeys = 10_000

// keys remembers which content came with an Idempotency-Key, so that a key used
// for something else is refused instead of answered with another's result. It
// is a help against mistakes: the store, which remembers transaction ids in the
// log, makes the write take effect once.
type keys struct {
	mu      sync.Mutex
	content map[string][sha256.Size]byte
	order   []string // oldest first
}

// transactionID draws the id of a write. With Idempotency-Key it follows from
// the caller, the address and the key, so that a repeated request takes effect
// once. Errors: a key that came with another content.
func (s *Server) transactionID(r *Request) (string, error) {
	key := r.Header.Get(headerKey)
	if key == "" {
		return s.parts.NewID(), nil
	}
	h := sha256.New()
	for _, part := range []string{r.Actor, r.Method, r.Type, r.Target.ID, r.Query, key} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	id := "key-" + hex.EncodeToString(h.Sum(nil)[:16])
	if !s.keys.same(id, sha256.Sum256(r.Body)) {
		return "", fault.New(fault.Invalid, "idempotency key used twice").With(fault.Issue{Severity: "error", Code: "business-rule",
			Key: outcome.KeyIdempotent, Text: "同一 Idempotency-Key 曾用于另一内容，请换一个",
			TextEN: "this Idempotency-Key came with another content before: use a new one"})
	}
	return id, nil
}

// same notes the content of a key and reports whether it is the one noted before.
func (k *keys) same(id string, content [sha256.Size]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if had, ok := k.content[id]; ok {
		return had == content
	}
	if k.content == nil {
		k.content = map[string][sha256.Size]byte{}
	}
	if len(k.order) == maxKeys {
		delete(k.content, k.order[0])
		k.order = k.order[1:]
	}
	k.content[id] = content
	k.order = append(k.order, id)
	return true
}
