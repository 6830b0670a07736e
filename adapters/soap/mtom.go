package soap

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxParts bounds the attachments of a request.
const maxParts = 64

// xopNS is the namespace of XOP (https://www.w3.org/TR/xop10/).
const xopNS = "http://www.w3.org/2004/08/xop/include"

// Package takes a request apart: a plain envelope is returned as it is; of
// multipart/related (SOAP with attachments, MTOM) the root part, and the others
// by their Content-ID without angle brackets.
func Package(contentType string, body []byte) (envelope []byte, attached map[string][]byte, err error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(media, "multipart/") {
		return body, nil, nil
	}
	if params["boundary"] == "" {
		return nil, nil, broken("Content-Type 没有 boundary")
	}
	root := strings.Trim(params["start"], "<>")
	attached = map[string][]byte{}
	for r, n := multipart.NewReader(bytes.NewReader(body), params["boundary"]), 0; ; n++ {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n >= maxParts {
			return nil, nil, broken("附件不完整或多于 64 个")
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, broken("附件没有发完")
		}
		id := strings.Trim(part.Header.Get("Content-Id"), "<> ")
		if envelope == nil && (root == "" || id == root) {
			envelope = b
			continue
		}
		attached[id] = b
	}
	if envelope == nil {
		return nil, nil, broken("没有 start 指定的根部分")
	}
	return envelope, attached, nil
}

func broken(text string) error {
	return fault.New(fault.Invalid, "MTOM 请求有误").With(fault.Issue{Severity: "fatal", Code: "structure", Key: "mtom",
		Text: "MTOM 请求有误：" + text, Hint: "请按 multipart/related 发送"})
}

// Included returns the Content-IDs that the element's xop:Include elements name,
// in document order.
func Included(e *Element) (ids []string) {
	if e == nil {
		return nil
	}
	if e.Space == xopNS && e.Name == "Include" {
		for _, a := range e.Attrs {
			if a.Name == "href" {
				id, err := url.PathUnescape(strings.TrimPrefix(a.Value, "cid:"))
				if err != nil {
					id = strings.TrimPrefix(a.Value, "cid:")
				}
				ids = append(ids, id)
			}
		}
	}
	for _, c := range e.Children {
		ids = append(ids, Included(c)...)
	}
	return ids
}

// Outer writes the element with the namespaces it needs, so that it can stand
// alone. Text between its children comes before them.
func (e *Element) Outer() []byte {
	var b bytes.Buffer
	e.write(&b, "")
	return b.Bytes()
}

func (e *Element) write(b *bytes.Buffer, space string) {
	b.WriteString("<" + e.Name)
	if e.Space != space {
		b.WriteString(` xmlns="` + Escape(e.Space) + `"`)
	}
	for _, a := range e.Attrs {
		if a.Name == "xmlns" || strings.Contains(a.Name, ":") {
			continue // declarations, and attributes of prefixes that are not kept
		}
		b.WriteString(" " + a.Name + `="` + Escape(a.Value) + `"`)
	}
	b.WriteString(">")
	if text := strings.TrimSpace(e.Text); text != "" || len(e.Children) == 0 {
		b.WriteString(Escape(e.Text))
	}
	for _, c := range e.Children {
		c.write(b, e.Space)
	}
	b.WriteString("</" + e.Name + ">")
}
