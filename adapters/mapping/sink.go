package mapping

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// The kinds of message that maps take. A transport names the kind; the map is
// found by what the message says of itself.
const (
	KindV2   = "hl7v2" // one HL7 v2 message
	KindXML  = "xml"   // one document
	KindJSON = "json"  // one document; header "name" says which
	KindRows = "rows"  // {"table":"MS_BRDA","rows":[{"BRID":"1",…},…]}
)

// HeaderMap is the header that holds, after a message was handled, which map did
// it: name@version.
const HeaderMap = "map"

// Sink gives messages of those kinds their effect by the maps in force: one
// transaction each. It is a [pipeline.Sink].
type Sink struct {
	book  *Book
	store store.Store
	codes func(source string, list []Unmapped)
}

// NewSink returns a sink that writes to st and tells codes without a target to
// unmapped, which may be nil.
func NewSink(book *Book, st store.Store, unmapped func(source string, list []Unmapped)) *Sink {
	return &Sink{book, st, unmapped}
}

// Handle implements [pipeline.Sink].
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	sources, err := Sources(m)
	if err != nil {
		return err
	}
	tx := &store.Transaction{ID: "map-" + m.ID, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID}
	snap, err := s.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, src := range sources {
		ops, err := s.ops(ctx, m, src, snap)
		if err != nil {
			return err
		}
		tx.Ops = append(tx.Ops, ops...)
	}
	if len(tx.Ops) == 0 {
		return nil
	}
	_, err = s.store.Commit(ctx, tx)
	return err
}

func (s *Sink) ops(ctx context.Context, m *pipeline.Message, src *Source, snap store.Snapshot) ([]store.Op, error) {
	mp, err := s.book.Find(ctx, src)
	if err != nil {
		return nil, err
	}
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	m.Headers[HeaderMap] = mp.ID()
	out, err := mp.Apply(ctx, src)
	if err != nil {
		err = refused{err, mp.ID()}
	}
	if s.codes != nil && len(out.Unmapped) > 0 {
		s.codes(m.Source, out.Unmapped)
	}
	if err != nil {
		return nil, err
	}
	return out.Ops(snap, m.Received)
}

// Sources reads a message into the trees that maps take: one, or one per row.
func Sources(m *pipeline.Message) ([]*Source, error) {
	if m.Kind == KindV2 {
		s, err := Read(FormatV2, "", m.Body)
		return []*Source{s}, err
	}
	if m.Kind == KindXML {
		s, err := Read(FormatXML, "", m.Body)
		return []*Source{s}, err
	}
	text, _, err := charset.Decode(m.Body, m.Charset)
	if err != nil {
		return nil, err
	}
	switch m.Kind {
	case KindJSON:
		s, err := JSON(m.Headers["name"], text)
		return []*Source{s}, err
	case KindRows:
		return Rows(text)
	}
	return nil, fault.New(fault.Unsupported, "不支持的消息种类 %s", m.Kind)
}

// Rows reads {"table":…,"rows":[…]}.
func Rows(text []byte) ([]*Source, error) {
	tree, err := fhir.Parse(text)
	if err != nil {
		return nil, err
	}
	table, rows := tree.Root().Get("table").Str(), tree.Root().Get("rows")
	if table == "" || rows.Kind() != fhir.Array {
		return nil, fault.New(fault.Invalid, "应为 {\"table\":\"表名\",\"rows\":[…]}")
	}
	out := make([]*Source, 0, rows.Len())
	for row := range rows.Children() {
		out = append(out, &Source{FormatRow, table, row})
	}
	return out, nil
}

// refused is an error that knows the map: see inbound.Mapped.
type refused struct {
	error
	id string
}

func (r refused) Map() string   { return r.id }
func (r refused) Unwrap() error { return r.error }
