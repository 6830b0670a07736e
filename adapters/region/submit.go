package region

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/adapters/region/envelope"
	"github.com/qihuang-health/qihuang/adapters/region/xds"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Submit sends a DocumentReference with its document to a peer.
func (s *Service) Submit(ctx context.Context, peer, id string) error {
	p, err := s.peer(peer)
	if err != nil {
		return err
	}
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	doc, err := read(snap, "DocumentReference", id)
	if err != nil {
		return err
	}
	e, err := xds.FromDocumentReference(doc)
	if err != nil {
		return err
	}
	_, data, err := content(snap, doc)
	if err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return fault.New(fault.Invalid, "文档的内容不是 base64：%w", err)
	}
	e.Seal(raw)
	_, err = s.send(ctx, p, DocumentSubmit, string(xds.SubmitObjectsRequest(e))+"<Content>"+data+"</Content>")
	return err
}

func (s *Service) peer(name string) (Peer, error) {
	for _, p := range s.cfg.Peers {
		if p.Name == name {
			if p.Documents == "" && p.Base != "" {
				p.Documents = strings.TrimRight(p.Base, "/") + "/services/region"
			}
			if p.Documents == "" {
				return p, fault.New(fault.Unsupported, "平台 %s 没有配置地址", name)
			}
			return p, nil
		}
	}
	return Peer{}, fault.New(fault.NotFound, "没有配置平台 %.40q", name)
}

// send asks a peer's service and returns the answer's body.
func (s *Service) send(ctx context.Context, p Peer, service, body string) (string, error) {
	t := s.cfg.Envelope
	if p.Envelope != nil {
		t = *p.Envelope
	}
	ask := t.Request(envelope.Message{Service: service, ID: uuid.NewString(), Sender: s.cfg.Name, Receiver: p.Name, Time: s.parts.Clock.Now().In(s.parts.Zone), Body: body})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Documents, bytes.NewReader(ask))
	if err != nil {
		return "", fault.New(fault.Invalid, "平台 %s 的地址不是有效的 URL：%w", p.Name, err)
	}
	req.Header = http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Soapaction": {`""`}}
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	res, err := s.parts.Client.Do(req)
	if fault.Is(err, fault.Forbidden) {
		return "", err
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "平台 %s 不通：%w", p.Name, err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil || res.StatusCode/100 != 2 {
		return "", fault.New(fault.Unavailable, "平台 %s 没有受理（HTTP %d）", p.Name, res.StatusCode)
	}
	_, m, err := t.Read(reply, s.parts.Zone)
	if err != nil {
		return "", fault.New(fault.Unavailable, "平台 %s 的应答不能读取：%w", p.Name, err)
	}
	if m.Code != t.OK {
		return "", fault.New(fault.Precondition, "平台 %s 拒绝：%.200s", p.Name, m.Text)
	}
	return m.Body, nil
}

func (s *Service) submitNow(c *gin.Context) {
	if err := s.Submit(c.Request.Context(), c.Param("peer"), c.Param("id")); err != nil {
		c.Data(outcome.Status(err), "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
		return
	}
	c.JSON(http.StatusOK, gin.H{"peer": c.Param("peer"), "document": c.Param("id"), "status": "submitted"})
}
