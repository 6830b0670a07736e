package feed

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Version of the format. A page of another version is refused.
const Version = "1"

const (
	maxPage    = 64 << 20 // bytes of a page, opened
	maxEntries = 100_000
)

// Entry is one change of a resource.
type Entry struct {
	Seq      int64           `json:"seq"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Version  int64           `json:"version"`
	At       time.Time       `json:"lastUpdated"`
	Deleted  bool            `json:"deleted,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
}

// Page is the changes of one hub from one sequence number to another.
type Page struct {
	Version   string    `json:"version"`
	Source    string    `json:"source"`  // name of the hub
	From      int64     `json:"from"`    // changes after this number …
	Next      int64     `json:"next"`    // … up to this one
	More      bool      `json:"more"`    // there are further ones
	Payload   string    `json:"payload"` // entries: NDJSON, gzip, base64
	Signature Signature `json:"signature"`
}

// Signature over everything else in the page.
type Signature struct {
	Algorithm string `json:"alg"`
	Key       string `json:"key"`
	Value     string `json:"value"` // base64
}

// message is what is signed: every member, one a line.
func (p *Page) message() []byte {
	return []byte(strings.Join([]string{"qihuang-feed", p.Version, p.Source, strconv.FormatInt(p.From, 10), strconv.FormatInt(p.Next, 10),
		strconv.FormatBool(p.More), p.Payload}, "\n"))
}

// Seal makes a page of entries.
func Seal(s *Signer, source string, from, next int64, more bool, entries []Entry) (*Page, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range entries {
		line, err := json.Marshal(&entries[i])
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(append(line, '\n')); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	p := &Page{Version: Version, Source: source, From: from, Next: next, More: more, Payload: base64.StdEncoding.EncodeToString(b.Bytes())}
	sig, err := s.sign(p.message())
	if err != nil {
		return nil, err
	}
	p.Signature = Signature{s.alg, s.id, base64.StdEncoding.EncodeToString(sig)}
	return p, nil
}

// refuse says why a page is not taken.
func refuse(kind fault.Kind, text, en string) error {
	return fault.New(kind, "%s", text).With(fault.Issue{Severity: "error", Code: "security", Key: "feed-refused", Text: text, TextEN: en})
}

// Open checks a page against the public key of the hub it says it is from, and
// returns its entries. fault.Unsupported for another version, fault.Forbidden
// for a signature that does not fit, fault.Invalid for contents that do not.
func (p *Page) Open(v *Verifier) ([]Entry, error) {
	if p.Version != Version {
		return nil, refuse(fault.Unsupported, "资源流的版本是 "+quote(p.Version)+"，本平台只接受 "+Version, "unsupported feed version")
	}
	sig, err := base64.StdEncoding.DecodeString(p.Signature.Value)
	if err != nil || p.Signature.Algorithm != v.alg || p.Signature.Key != v.id || !v.verify(p.message(), sig) {
		return nil, refuse(fault.Forbidden, "资源流的签名不符，已拒收", "the feed's signature does not verify")
	}
	packed, err := base64.StdEncoding.DecodeString(p.Payload)
	if err != nil {
		return nil, refuse(fault.Invalid, "资源流的内容不是 base64", "the payload is no base64")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, refuse(fault.Invalid, "资源流的内容不是 gzip", "the payload is no gzip")
	}
	text, err := io.ReadAll(io.LimitReader(z, maxPage+1))
	if err != nil || len(text) > maxPage {
		return nil, refuse(fault.TooCostly, "资源流的一页超过 64 MB 或不完整", "the page is too large or broken")
	}
	return entries(p, text)
}

func quote(s string) string { return strconv.QuoteToASCII(s[:min(len(s), 20)]) }

func entries(p *Page, text []byte) ([]Entry, error) {
	var out []Entry
	last := p.From
	for line := range bytes.Lines(text) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil || len(out) >= maxEntries {
			return nil, refuse(fault.Invalid, "资源流的第 "+strconv.Itoa(len(out)+1)+" 条不能读取", "an entry cannot be read")
		}
		if e.Seq <= last || e.Seq > p.Next || e.Type == "" || e.ID == "" {
			return nil, refuse(fault.Invalid, "资源流的第 "+strconv.Itoa(len(out)+1)+" 条次序不对", "an entry is out of order")
		}
		if !e.Deleted {
			tree, err := fhir.Parse(e.Resource)
			if err != nil || tree.Root().ResourceType() != e.Type || tree.Root().Get("id").Str() != e.ID {
				return nil, refuse(fault.Invalid, "资源流的第 "+strconv.Itoa(len(out)+1)+" 条不是它所说的资源", "an entry is not the resource it names")
			}
		}
		last = e.Seq
		out = append(out, e)
	}
	if p.Next < last {
		return nil, refuse(fault.Invalid, "资源流的 next 小于最后一条", "next is below the last entry")
	}
	return out, nil
}
