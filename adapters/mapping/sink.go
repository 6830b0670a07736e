package mapping

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// The kinds of message that maps take. A transport names the kind; the map is
// found by what the message says of itself.
const (
	KindV2   = "hl7v2"    // one HL7 v2 message
	KindXML  = "xml"      // one document
	KindJSON = "json"     // one document; header "name" says which
	KindRows = table.Kind // {"table":"MS_BRDA","rows":[{"BRID":"1",…},…]}
)

// HeaderMap is the header that holds, after a message was handled, which map did
// it: name@version.
const HeaderMap = "map"

// Sink gives messages of those kinds their effect by the maps in force: one
// transaction each. It is a [pipeline.Sink].
type Sink struct {
	book  *Book
	store store.Store
	parts SinkParts
	turns sync.Map // source → *sync.Mutex: joins of one source take turns
}

// SinkParts are what a sink may be given beside the store; all may be nil.
type SinkParts struct {
	Rows     Rows                                                              // for maps that join rows
	Shapes   map[string]func(context.Context, *pipeline.Message, []byte) error // takes documents of a shape
	Unmapped func(m *pipeline.Message, list []Unmapped)                        // is told codes without a target
}

// NewSink returns a sink that writes to st by the maps in force.
func NewSink(book *Book, st store.Store, parts SinkParts) *Sink {
	return &Sink{book: book, store: st, parts: parts}
}

// Handle implements [pipeline.Sink].
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	list, err := Sources(m)
	if err != nil {
		return err
	}
	if m.Kind == KindRows && len(list) > 0 && s.parts.Rows != nil {
		joined := s.book.Joined(list[0].Name)
		if len(joined) > 0 {
			// Else one message could write a visit without rows that another kept
			// and wrote meanwhile.
			turn, _ := s.turns.LoadOrStore(m.Source, &sync.Mutex{})
			turn.(*sync.Mutex).Lock()
			defer turn.(*sync.Mutex).Unlock()
		}
		for _, mp := range joined {
			sources, err := mp.Join(ctx, s.parts.Rows, m.Source, list)
			if err == nil {
				err = s.each(ctx, m, sources, mp)
			}
			if err != nil {
				return err
			}
		}
		if len(joined) > 0 {
			return nil
		}
	}
	return s.each(ctx, m, list, nil)
}

// each maps sources and commits what they give: one transaction each, so that
// rows of one resource build on each other. What is wrong with one source keeps
// none of the others; the first such error is the message's. mp is nil where
// each source finds its own map.
func (s *Sink) each(ctx context.Context, m *pipeline.Message, list []*Source, mp *Map) (first error) {
	for i, src := range list {
		id := "map-" + m.ID
		if i > 0 {
			id += "-" + strconv.Itoa(i)
		}
		err := s.one(ctx, m, id, src, mp)
		switch fault.KindOf(err) {
		case fault.Internal, fault.Unavailable, fault.Busy:
			if err != nil {
				return err
			}
		default:
			if first == nil {
				first = err
			}
		}
	}
	return first
}

func (s *Sink) one(ctx context.Context, m *pipeline.Message, id string, src *Source, mp *Map) (err error) {
	if mp == nil {
		if mp, err = s.book.Find(ctx, src); err != nil {
			return err
		}
	}
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	m.Headers[HeaderMap] = mp.ID()
	out, err := mp.Apply(ctx, src)
	if s.parts.Unmapped != nil && len(out.Unmapped) > 0 {
		s.parts.Unmapped(m, out.Unmapped)
	}
	if err == nil {
		err = s.write(ctx, m, id, out)
	}
	if err != nil && fault.KindOf(err) != fault.Unavailable {
		err = refused{err, mp.ID()}
	}
	return err
}

// write hands documents of other shapes on and commits the resources.
func (s *Sink) write(ctx context.Context, m *pipeline.Message, id string, out *Result) error {
	rest := out.Resources[:0:0]
	for _, r := range out.Resources {
		take, ok := s.parts.Shapes[r.Type]
		if !ok {
			rest = append(rest, r)
			continue
		}
		if err := take(ctx, m, r.Body); err != nil {
			return err
		}
	}
	if out.Resources = rest; len(rest) == 0 {
		return nil
	}
	snap, err := s.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	tx := &store.Transaction{ID: id, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID}
	if tx.Ops, err = out.Ops(snap, m.Received); err != nil || len(tx.Ops) == 0 {
		return err
	}
	_, err = s.store.Commit(ctx, tx)
	return err
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
		s, err := JSON(m.Headers["name"], withOrg(text, m.Headers["org"]))
		return []*Source{s}, err
	case KindRows:
		return ReadRows(text)
	}
	return nil, fault.New(fault.Unsupported, "不支持的消息种类 %s", m.Kind)
}

// ReadRows reads {"table":"T","rows":[{…},…]}. An organisation beside them,
// "org", is given to every row as _org: many systems do not say whose they are.
func ReadRows(text []byte) ([]*Source, error) {
	tree, err := fhir.Parse(text)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	table, rows, org := root.Get("table").Str(), root.Get("rows"), root.Get("org").Str()
	if table == "" || rows.Kind() != fhir.Array {
		return nil, fault.New(fault.Invalid, "应为 {\"table\":\"表名\",\"rows\":[…]}")
	}
	out := make([]*Source, 0, rows.Len())
	for row := range rows.Children() {
		if row.Kind() != fhir.Object {
			return nil, fault.New(fault.Invalid, "表 %s 的行应为对象", table)
		}
		if org != "" {
			own, err := fhir.Parse(withOrg(row.Raw(), org))
			if err != nil {
				return nil, err
			}
			row = own.Root()
		}
		out = append(out, &Source{FormatRow, table, row})
	}
	return out, nil
}

// withOrg puts the source's organisation into a JSON object as its first member.
func withOrg(object []byte, org string) []byte {
	i := bytes.IndexByte(object, '{')
	if org == "" || i < 0 {
		return object
	}
	out := append(fhir.AppendString([]byte(`{"_org":`), org), ',')
	rest := bytes.TrimLeft(object[i+1:], " \t\r\n")
	if len(rest) > 0 && rest[0] == '}' {
		out = out[:len(out)-1]
	}
	return append(out, rest...)
}

// refused is an error that knows the map: see inbound.Mapped.
type refused struct {
	error
	id string
}

func (r refused) Map() string   { return r.id }
func (r refused) Unwrap() error { return r.error }
