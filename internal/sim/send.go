package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// client talks to the hub's doors as HIS systems do.
type client struct {
	base     string
	http     *http.Client
	patience time.Duration
	sent     atomic.Int64
	retried  atomic.Int64
}

func newClient(cfg Config) *client {
	t := &http.Transport{MaxIdleConnsPerHost: cfg.Parallel + 2, MaxIdleConns: cfg.Parallel + 2, IdleConnTimeout: time.Minute}
	return &client{base: strings.TrimRight(cfg.BaseURL, "/"), http: &http.Client{Transport: t, Timeout: 30 * time.Second}, patience: cfg.Patience}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// post sends until the hub acknowledges; it tries again while the hub is away or
// busy, and gives up when refused or out of patience.
func (c *client) post(ctx context.Context, path, contentType string, body []byte, acknowledged func(status int, reply []byte) bool) error {
	c.sent.Add(1)
	wait, deadline := 100*time.Millisecond, time.Now().Add(c.patience)
	for {
		status, reply, err := c.once(ctx, path, contentType, body)
		if err == nil && acknowledged(status, reply) {
			return nil
		}
		again := err != nil || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable ||
			bytes.Contains(reply, []byte("soapenv:Server"))
		if !again || ctx.Err() != nil || time.Now().After(deadline) {
			if err == nil {
				err = fmt.Errorf("%s：%d %s", path, status, excerpt(reply))
			}
			return err
		}
		c.retried.Add(1)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, 3*time.Second)
	}
}

func (c *client) once(ctx context.Context, path, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if strings.HasPrefix(path, "/services/") {
		req.Header.Set("SOAPAction", `""`)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, reply, err
}

func excerpt(b []byte) string {
	if len(b) > 300 {
		b = b[:300]
	}
	return string(b)
}

func (c *client) document(ctx context.Context, v *visit) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.post(ctx, "/ingest/his", "application/json", body, func(status int, _ []byte) bool {
		return status == http.StatusOK || status == http.StatusAccepted
	})
}

// push01 opens a visit, in the dialect of its hall: payload escaped, in CDATA, or
// raw in GBK.
func (c *client) push01(ctx context.Context, v *visit, h int, at time.Time) error {
	gender := map[string]string{"male": "1", "female": "2"}[v.Patient.Gender]
	p, when := v.Patient, at.Format("20060102150405")
	msg := `<Request><Header><sender>HIS</sender><receiver>EMR,HEAL</receiver><sendTime>` + when + `</sendTime><msgType>TCM_HIS_01</msgType><msgID>HIS` +
		when + `</msgID></Header><Patient><id>` + p.ID + `</id><name>` + p.Name + `</name><genderCode>` + gender + `</genderCode><birthday>` +
		strings.ReplaceAll(p.BirthDate, "-", "") + `</birthday><cardTypeCode>01</cardTypeCode><cardNo>` + p.IDNo + `</cardNo><occupationCode>null</occupationCode><streetInfo>` +
		p.Address + `</streetInfo><patiType>` + p.InsuranceType + `</patiType><telephone>` + p.Phone + `</telephone><outpatientNo>` + v.VisitNo +
		`</outpatientNo><orgCode>` + v.OrgCode + `</orgCode></Patient></Request>`
	return c.soap(ctx, "TCM_HIS_01", msg, h)
}

// push02 tells one herb of a hall's dictionary.
func (c *client) push02(ctx context.Context, h int, code, name string, at time.Time) error {
	when := at.Format("20060102150405")
	return c.soap(ctx, "TCM_HIS_02", `<Request><Header><sender>HIS</sender><receiver>AE</receiver><sendTime>`+when+
		`</sendTime><msgType>TCM_HIS_02</msgType><msgID>HIS`+when+`</msgID></Header><Medicine><id>`+code+`</id><code>`+code+`</code><name>`+name+
		`</name><specification>1g</specification><manufacturer>1g</manufacturer><activeFlg>Y</activeFlg><orgCode>`+hallCode(h)+`</orgCode></Medicine></Request>`, h)
}

func (c *client) soap(ctx context.Context, service, msg string, h int) error {
	switch h % 3 {
	case 0:
		msg = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(msg)
	case 1:
		msg = "<![CDATA[" + msg + "]]>"
	}
	body := []byte(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns1:acceptMessage xmlns:ns1="http://DefaultNamespace"><in0>` +
		msg + `</in0></ns1:acceptMessage></soapenv:Body></soapenv:Envelope>`)
	contentType := "text/xml; charset=utf-8"
	if h%3 == 2 {
		if b, err := simplifiedchinese.GBK.NewEncoder().Bytes(body); err == nil {
			body, contentType = b, "text/xml"
		}
	}
	return c.post(ctx, "/services/"+service, contentType, body, func(_ int, reply []byte) bool {
		return bytes.Contains(reply, []byte("has been successfully received"))
	})
}
