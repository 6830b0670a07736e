package fhirfeed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// HeadIDs is the message header that says what becomes of ids; without it they
// are kept.
const HeadIDs = "ids"

const maxEntries = 20_000

// Sink writes resources and Bundles that came as messages: one transaction per
// message. It is a [pipeline.Sink].
type Sink struct {
	store store.Store
	xml   func([]byte) ([]byte, error) // FHIR XML to JSON
}

// NewSink returns a sink that writes to st.
func NewSink(st store.Store, xml func([]byte) ([]byte, error)) *Sink { return &Sink{st, xml} }

// Handle implements pipeline.Sink. A batch or transaction does what its requests
// say; of every other Bundle each resource is put in place; a single resource
// too.
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	body := bytes.TrimPrefix(bytes.TrimSpace(m.Body), []byte("\ufeff"))
	if bytes.HasPrefix(body, []byte("<")) {
		var err error
		if body, err = s.xml(body); err != nil {
			return err
		}
	}
	tree, err := fhir.Parse(body)
	if err != nil {
		return err
	}
	w := &writing{source: m.Source, message: m.ID, derive: IDs(m.Headers[HeadIDs]) == Derive, ids: map[string]string{}}
	ops, err := w.ops(tree.Root())
	if err != nil || len(ops) == 0 {
		return err
	}
	_, err = s.store.Commit(ctx, &store.Transaction{ID: "fhir-" + m.ID, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Ops: ops, Source: m.ID})
	return err
}

// writing turns one message's resources into ops.
type writing struct {
	source, message string
	derive          bool
	ids             map[string]string
}

func (w *writing) ops(root fhir.Node) ([]store.Op, error) {
	switch root.ResourceType() {
	case "":
		return nil, refuse(root, "resourceType", "缺少 resourceType")
	case "OperationOutcome":
		return nil, refuse(root, "resourceType", "消息是 OperationOutcome，没有可保存的资源")
	case "Bundle":
	default:
		op, err := w.put(root, "", root.ResourceType())
		return []store.Op{op}, err
	}
	entries := root.Get("entry")
	if entries.Len() > maxEntries {
		return nil, fault.New(fault.TooCostly, "Bundle 超过 %d 条", maxEntries)
	}
	var ops []store.Op
	i := 0
	for e := range entries.Children() {
		place := "Bundle.entry[" + strconv.Itoa(i) + "]"
		i++
		op, skip, err := w.entry(e, place)
		if err != nil {
			return nil, err
		}
		if !skip {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

// entry is one entry of a Bundle; reads and outcomes are passed over.
func (w *writing) entry(e fhir.Node, place string) (op store.Op, skip bool, err error) {
	method, url := e.Path("request", "method").Str(), e.Path("request", "url").Str()
	res := e.Get("resource")
	if method == "DELETE" || res.Get("resourceType").Str() == "" && method != "" {
		if method != "DELETE" {
			return op, true, nil
		}
		ref := fhir.ParseReference(url)
		if typ, query, ok := strings.Cut(url, "?"); ok {
			return store.Op{Method: store.Delete, Type: typ, Condition: query}, false, nil
		}
		if ref.Type == "" {
			return op, false, refuse(e, place+".request.url", "DELETE 的地址无法识别")
		}
		return store.Op{Method: store.Delete, Type: ref.Type, ID: w.id(ref.Type, ref.ID)}, false, nil
	}
	if !res.Exists() || res.ResourceType() == "OperationOutcome" {
		return op, true, nil
	}
	op, err = w.put(res, e.Get("fullUrl").Str(), place+".resource")
	if err != nil {
		return op, false, err
	}
	if typ, query, ok := strings.Cut(url, "?"); ok && method == "PUT" && typ == op.Type {
		op.Condition, op.ID = query, ""
	}
	if q := e.Path("request", "ifNoneExist").Str(); q != "" && method == "POST" {
		op.Method, op.IfNoneExist, op.SkipSame = store.Create, strings.TrimPrefix(q, "?"), false
	}
	return op, false, nil
}

// put is the op that puts a resource in place. Without an id of its own it gets
// one from its fullUrl, or its place in the message.
func (w *writing) put(res fhir.Node, fullURL, place string) (store.Op, error) {
	typ, id := res.ResourceType(), res.Get("id").Str()
	if typ == "" {
		return store.Op{}, refuse(res, place, "缺少 resourceType")
	}
	switch {
	case id == "" && fullURL != "":
		id = hash(w.source, typ, fullURL)
	case id == "":
		id = hash(w.source, w.message, place)
	case !fhir.IsID(id):
		return store.Op{}, refuse(res.Get("id"), place+".id", "id 的格式不对")
	default:
		id = w.id(typ, id)
	}
	edits := []fhir.Edit{fhir.SetMember(res, "id", fhir.AppendString(nil, id))}
	if w.derive {
		edits = references(res, edits, func(typ, id string) string { return typ + "/" + w.id(typ, id) })
	}
	return store.Op{Method: store.Update, Type: typ, ID: id, FullURL: fullURL, SkipSame: true, Resource: rebase(res, edits)}, nil
}

// rebase applies edits, whose places are of the whole message, to one resource.
func rebase(res fhir.Node, edits []fhir.Edit) []byte {
	own := make([]fhir.Edit, len(edits))
	for i, e := range edits {
		own[i] = fhir.Edit{Start: e.Start - res.Offset(), End: e.End - res.Offset(), Text: e.Text}
	}
	return fhir.Splice(res.Raw(), own...)
}

// references are edits that make relative references what to says.
func references(n fhir.Node, edits []fhir.Edit, to func(typ, id string) string) []fhir.Edit {
	for c := range n.Children() {
		switch {
		case c.Kind() == fhir.Object || c.Kind() == fhir.Array:
			edits = references(c, edits, to)
		case n.Kind() == fhir.Object && c.Key() == "reference" && c.Kind() == fhir.String:
			typ, id, ok := strings.Cut(c.Str(), "/")
			if ok && fhir.IsID(id) && typ != "" && !strings.Contains(typ, ":") {
				edits = append(edits, fhir.Replace(c, fhir.AppendString(nil, to(typ, id))))
			}
		}
	}
	return edits
}

func (w *writing) id(typ, id string) string {
	if !w.derive {
		return id
	}
	return hash(w.source, typ, id)
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func refuse(n fhir.Node, place, text string) error {
	is := fault.Issue{Severity: "error", Code: "structure", Key: "fhir-message", Text: text, Expression: place}
	if n.Exists() {
		is.Line, is.Col = n.Tree().Position(n.Offset())
	}
	return fault.New(fault.Invalid, "FHIR 消息不符合格式").With(is)
}
