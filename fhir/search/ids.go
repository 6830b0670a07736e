package search

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
)

// idSet is a sorted set of encoded ids. Build with add, then close.
type idSet struct {
	buf []byte
	pos []uint32 // beginning of each id; its end is the next one's beginning
	ids [][]byte
}

func (s *idSet) add(id []byte) {
	s.pos = append(s.pos, uint32(len(s.buf)))
	s.buf = append(s.buf, id...)
}

// close sorts the set and drops what is there twice.
func (s *idSet) close() *idSet {
	s.ids = make([][]byte, len(s.pos))
	end := uint32(len(s.buf))
	for i := len(s.pos) - 1; i >= 0; i-- {
		s.ids[i] = s.buf[s.pos[i]:end:end]
		end = s.pos[i]
	}
	s.pos = nil
	if !slices.IsSortedFunc(s.ids, bytes.Compare) {
		slices.SortFunc(s.ids, bytes.Compare)
	}
	s.ids = slices.CompactFunc(s.ids, bytes.Equal)
	return s
}

func (s *idSet) has(id []byte) bool {
	_, ok := slices.BinarySearchFunc(s.ids, id, bytes.Compare)
	return ok
}

// identities builds _id=a,b.
func (b *builder) identities(t *param.Table, name *query.Name, value string) (*node, error) {
	if name.Modifier == "missing" && (value == "true" || value == "false") { // every resource has one
		n := &node{op: opAll, typ: t}
		if value == "true" {
			n = not(n)
		}
		return n, nil
	}
	set := &idSet{}
	for _, v := range query.Split(value, ',') {
		v = query.Unescape(v)
		if typ, id, ok := cutType(v); ok && typ == t.Name {
			v = id
		}
		if v == "" {
			return nil, invalid("bad-search-value", "_id 缺少值", "_id needs a value", "")
		}
		set.add(key.AppendID(nil, v))
	}
	n := &node{op: opIDs, typ: t, ids: set.close()}
	switch name.Modifier {
	case "":
		return n, nil
	case "not":
		return not(n), nil
	}
	return nil, invalid("bad-search-modifier", "_id 不支持修饰符 :"+name.Modifier, "_id has no modifier :"+name.Modifier, "可用 (allowed): :missing :not")
}

func cutType(s string) (typ, id string, ok bool) {
	i := bytes.IndexByte([]byte(s), '/')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
