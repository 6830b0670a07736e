package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// cursorParam carries the page token in next links.
const cursorParam = "_cursor"

// cursor is where a page link goes on: a state of the repository and a place in
// the results.
type cursor struct {
	offset int64  // log position whose state the pages show
	total  int64  // what the first page counted, -1 = not known
	place  string // of the search engine or the history
}

// pager makes and opens page tokens. They are signed, so that a changed one is
// refused rather than misread.
type pager struct{ key []byte }

// seal returns the token of c for the request it belongs to.
func (p pager) seal(path, query string, c cursor) string {
	b := binary.AppendVarint(nil, c.offset)
	b = binary.AppendVarint(b, c.total)
	b = append(b, c.place...)
	return base64.RawURLEncoding.EncodeToString(append(p.sum(path, query, b), b...))
}

// open reads a token made by seal for the same path and query.
func (p pager) open(path, query, token string) (c cursor, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < sumLen || !hmac.Equal(raw[:sumLen], p.sum(path, query, raw[sumLen:])) {
		return c, rest.BadParam(cursorParam, token)
	}
	raw = raw[sumLen:]
	var n, m int
	c.offset, n = binary.Varint(raw)
	if n > 0 {
		c.total, m = binary.Varint(raw[n:])
	}
	if n <= 0 || m <= 0 {
		return c, rest.BadParam(cursorParam, token)
	}
	c.place = string(raw[n+m:])
	return c, nil
}

const sumLen = 9 // bytes: 72 bits, no padding in base64

func (p pager) sum(path, query string, body []byte) []byte {
	h := hmac.New(sha256.New, p.key)
	for _, s := range []string{path, query} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	_, _ = h.Write(body)
	return h.Sum(nil)[:sumLen]
}

// strip removes the edge's own parameters from a raw query and keeps the order
// and the encoding of the rest.
func strip(query string) string { return without(query, "_format", "_pretty", cursorParam) }

// without removes parameters from a raw query.
func without(query string, names ...string) string {
	if query == "" {
		return ""
	}
	var b strings.Builder
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); pair == "" || err == nil && slices.Contains(names, k) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pair)
	}
	return b.String()
}

// gone explains that the state a page link shows is no longer kept.
func gone(err error) error {
	if !fault.Is(err, fault.Gone) {
		return err
	}
	return fault.New(fault.Gone, "page link too old").With(fault.Issue{Severity: "error", Code: "expired", Key: "page-expired",
		Text: "翻页链接已过期，请重新查询", TextEN: "the page link has expired: search again"})
}
