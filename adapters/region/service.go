package region

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/region/envelope"
	"github.com/qihuang-health/qihuang/adapters/region/xds"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The services, by the part of WS/T 790 they stand for.
const (
	PatientRegister  = "PatientRegister"  // .6 居民注册
	DocumentRegister = "DocumentRegister" // .11 健康档案管理: ITI-42's content
	DocumentSubmit   = "DocumentSubmit"   // .10 健康档案存储: metadata and document
	DocumentRetrieve = "DocumentRetrieve" // .13 健康档案调阅
)

// Parts is what the service needs of the hub.
type Parts struct {
	Store  store.Store
	Search Searcher
	Clock  clock.Clock
	Log    *slog.Logger
	Client Doer
	Zone   *time.Location
}

// Doer sends HTTP requests; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Service serves the messages of other platforms at /services/region and submits
// documents to them. Safe for concurrent use.
type Service struct {
	cfg     Config
	parts   Parts
	encoder model.Encoder
}

// New returns a service. cfg must be valid.
func New(cfg Config, parts Parts) *Service { return &Service{cfg: cfg, parts: parts} }

// Mount adds the routes.
func (s *Service) Mount(r gin.IRouter) {
	r.POST("/services/region", s.serve)
	r.POST("/api/regions/:peer/documents/:id", s.submitNow)
}

const maxMessage = 50 << 20

// serve answers one message. Every answer is a message; what is wrong is code AE
// with words.
func (s *Service) serve(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxMessage))
	if err != nil {
		err = fault.New(fault.TooCostly, "消息超过 50 MB 或中断")
	}
	var call = &soap.Call{Operation: s.cfg.Envelope.Operation, Namespace: s.cfg.Envelope.Namespace}
	var m envelope.Message
	if err == nil {
		var text []byte
		if text, _, err = charset.Decode(body, ""); err == nil {
			call, m, err = s.cfg.Envelope.Read(text, s.parts.Zone)
		}
	}
	out := envelope.Message{Service: m.Service, ID: uuid.NewString(), Sender: s.cfg.Name, Receiver: m.Sender, Time: s.parts.Clock.Now().In(s.parts.Zone), Code: s.cfg.Envelope.OK, Text: "成功"}
	if err == nil {
		out.Body, err = s.answer(c.Request.Context(), m)
	}
	if err != nil {
		out.Code, out.Text = "AE", fault.Sentence(err)
		s.parts.Log.WarnContext(c, "region message refused", "service", m.Service, "fault", fault.KindOf(err).String())
	}
	c.Data(http.StatusOK, call.Version.ContentType(), s.cfg.Envelope.Answer(call, out))
}

func (s *Service) answer(ctx context.Context, m envelope.Message) (string, error) {
	switch m.Service {
	case PatientRegister:
		return "", s.registerPatient(ctx, m)
	case DocumentRegister:
		return s.registerDocuments(ctx, m)
	case DocumentSubmit:
		return s.storeDocument(ctx, m)
	case DocumentRetrieve:
		return s.retrieve(ctx, m)
	}
	return "", fault.New(fault.Unsupported, "没有服务 %.40q", m.Service)
}

// save writes resources in one transaction.
func (s *Service) save(ctx context.Context, from string, rs ...tcm.Resource) error {
	tx := &store.Transaction{ID: uuid.NewString(), Actor: "region:" + from, Time: s.parts.Clock.Now().UTC().Truncate(time.Millisecond)}
	for _, r := range rs {
		body, err := s.encoder.Marshal(r.Model)
		if err != nil {
			return err
		}
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	_, err := s.parts.Store.Commit(ctx, tx)
	return err
}

// registerPatient takes <Patient> with the members of TCM_HIS_01.
func (s *Service) registerPatient(ctx context.Context, m envelope.Message) error {
	root, err := soap.ParseXML([]byte(m.Body))
	if err != nil {
		return err
	}
	p := tcm.Patient{OrgCode: root.Value("orgCode"), No: root.Value("id"), Name: root.Value("name"), NationalID: root.Value("cardNo"), Phone: root.Value("telephone"),
		Address: root.Value("streetInfo"), Gender: map[string]string{"1": "male", "2": "female"}[root.Value("genderCode")]}
	if p.OrgCode == "" {
		p.OrgCode = m.Sender
	}
	if p.No == "" || p.OrgCode == "" {
		return fault.New(fault.Invalid, "缺少 id 或 orgCode")
	}
	if t, err := time.Parse("20060102", root.Value("birthday")); err == nil {
		p.BirthDate = t.Format(time.DateOnly)
	}
	return s.save(ctx, m.Sender, p.Resources()...)
}

// registerDocuments takes a SubmitObjectsRequest.
func (s *Service) registerDocuments(ctx context.Context, m envelope.Message) (string, error) {
	entries, err := xds.Parse(outer(m.Body, "SubmitObjectsRequest"))
	if err != nil {
		return "", err
	}
	var rs []tcm.Resource
	var ids strings.Builder
	for _, e := range entries {
		r := e.DocumentReference(m.Sender, "")
		rs = append(rs, r)
		ids.WriteString("<DocumentReference>" + r.ID + "</DocumentReference>")
	}
	return ids.String(), s.save(ctx, m.Sender, rs...)
}

// outer cuts an element out of a body that has the answer's parts before it.
func outer(body, name string) []byte {
	if i := strings.Index(body, name); i >= 0 {
		if j := strings.LastIndexByte(body[:i], '<'); j >= 0 {
			return []byte(body[j:])
		}
	}
	return []byte(body)
}

// storeDocument takes metadata and the document itself: `<SubmitObjectsRequest/>
// <Content>base64</Content>`.
func (s *Service) storeDocument(ctx context.Context, m envelope.Message) (string, error) {
	meta, rest, ok := strings.Cut(m.Body, "<Content>")
	content, _, closed := strings.Cut(rest, "</Content>")
	if !ok || !closed {
		return "", fault.New(fault.Invalid, "缺少 <Content>（文档的 base64）")
	}
	entries, err := xds.Parse(outer(meta, "SubmitObjectsRequest"))
	if err != nil {
		return "", err
	}
	document, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
	if err != nil || len(entries) != 1 {
		return "", fault.New(fault.Invalid, "应有一份文档的元数据和它的 base64 内容")
	}
	e := entries[0]
	if err := e.Check(document); err != nil {
		return "", err
	}
	id := tcm.ID("bin", m.Sender, e.UniqueID)
	data := base64.StdEncoding.EncodeToString(document)
	binary := r4.Binary{Id: &id, ContentType: e.MimeType, Data: &data}
	r := e.DocumentReference(m.Sender, id)
	return "<DocumentReference>" + r.ID + "</DocumentReference>", s.save(ctx, m.Sender, tcm.Resource{Type: "Binary", ID: id, Model: binary}, r)
}

// retrieve answers a document by its unique id: `<UniqueId>…</UniqueId>`.
func (s *Service) retrieve(ctx context.Context, m envelope.Message) (string, error) {
	root, err := soap.ParseXML([]byte("<Body>" + m.Body + "</Body>"))
	if err != nil {
		return "", err
	}
	id := root.Value("UniqueId")
	if id == "" {
		return "", fault.New(fault.Invalid, "缺少 UniqueId")
	}
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return "", err
	}
	defer snap.Close()
	ids, err := s.parts.Search.IDs(ctx, snap.Index(), "DocumentReference", "identifier="+escaper.Replace(id), 2)
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		return "", fault.New(fault.NotFound, "没有这份文档")
	}
	doc, err := read(snap, "DocumentReference", ids[0])
	if err != nil {
		return "", err
	}
	kind, data, err := content(snap, doc)
	return "<MimeType>" + soap.Escape(kind) + "</MimeType><Content>" + data + "</Content>", err
}

var escaper = strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D", "#", "%23", " ", "%20", "|", "%5C%7C", ",", "%5C%2C", "$", "%5C%24", "\\", "%5C%5C")

func read(snap store.Snapshot, typ, id string) (fhir.Node, error) {
	v, err := snap.Read(typ, id)
	if err != nil {
		return fhir.Node{}, err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}

// content is the document of a DocumentReference as base64: in the attachment or
// in a Binary.
func content(snap store.Snapshot, doc fhir.Node) (mimeType, data string, err error) {
	a := doc.Path("content", "attachment")
	if d := a.Get("data").Str(); d != "" {
		return a.Get("contentType").Str(), d, nil
	}
	id, ok := strings.CutPrefix(a.Get("url").Str(), "Binary/")
	if !ok {
		return "", "", fault.New(fault.NotFound, "文档不在本平台，只有地址")
	}
	b, err := read(snap, "Binary", id)
	return b.Get("contentType").Str(), b.Get("data").Str(), err
}
