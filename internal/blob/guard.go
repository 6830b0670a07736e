package blob

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
)

// guard lets through only requests signed with the store's keys: AWS Signature
// Version 4, in the Authorization header or in the URL (presigned).
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type guard struct {
	keys  keys
	clock clock.Clock
	next  http.Handler
}

// skew is how far a signed header's time may be from ours.
const skew = 15 * time.Minute

// ServeHTTP checks the signature.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bad := g.check(r)
	if bad == nil {
		if err := unchunk(r); err != nil {
			bad = &refusal{"InvalidRequest", err.Error()}
		}
	}
	if bad != nil {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, bad.code, bad.text)
		return
	}
	g.next.ServeHTTP(w, r)
}

// refusal is an S3 error.
type refusal struct{ code, text string }

// signature is what a request claims.
type signature struct {
	access, scope, signed, value string
	at                           time.Time
	payload                      string
	query                        url.Values // to be signed
}

func (g *guard) check(r *http.Request) *refusal {
	s, bad := g.read(r)
	if bad != nil {
		return bad
	}
	if s.access != g.keys.Access {
		return &refusal{"InvalidAccessKeyId", "The access key is not known here."}
	}
	if want := s.sign(r, g.keys.Secret); !hmac.Equal([]byte(want), []byte(s.value)) {
		return &refusal{"SignatureDoesNotMatch", "The signature does not match."}
	}
	return nil
}

// read finds the signature's parts.
func (g *guard) read(r *http.Request) (*signature, *refusal) {
	denied := &refusal{"AccessDenied", "Sign the request (AWS Signature Version 4)."}
	q := r.URL.Query()
	s := &signature{query: q}
	now := g.clock.Now()
	if q.Has("X-Amz-Signature") {
		var err error
		if s.at, err = time.Parse(stamp, q.Get("X-Amz-Date")); err != nil {
			return nil, denied
		}
		seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
		if err != nil || seconds < 0 || seconds > 7*24*3600 || now.After(s.at.Add(time.Duration(seconds)*time.Second)) || now.Before(s.at.Add(-skew)) {
			return nil, &refusal{"AccessDenied", "The request has expired."}
		}
		s.access, s.scope, _ = strings.Cut(q.Get("X-Amz-Credential"), "/")
		s.signed, s.value, s.payload = q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"), "UNSIGNED-PAYLOAD"
		q.Del("X-Amz-Signature")
		return s, nil
	}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return nil, denied
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			s.access, s.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			s.signed = value
		case "Signature":
			s.value = value
		}
	}
	var err error
	if s.at, err = time.Parse(stamp, r.Header.Get("X-Amz-Date")); err != nil {
		return nil, denied
	}
	if now.Sub(s.at).Abs() > skew {
		return nil, &refusal{"RequestTimeTooSkewed", "The clocks differ too much."}
	}
	if s.payload = r.Header.Get("X-Amz-Content-Sha256"); s.payload == "" || !slices.Contains(strings.Split(s.signed, ";"), "host") {
		return nil, denied
	}
	return s, nil
}

const stamp = "20060102T150405Z"

// sign computes the signature the request should have.
func (s *signature) sign(r *http.Request, secret string) string {
	var headers strings.Builder
	for name := range strings.SplitSeq(s.signed, ";") {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		headers.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	query := strings.ReplaceAll(s.query.Encode(), "+", "%20")
	canonical := strings.Join([]string{r.Method, escapePath(r.URL.Path), query, headers.String(), s.signed, s.payload}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", s.at.Format(stamp), s.scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(s.scope, "/") { // date/region/s3/aws4_request
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escapePath encodes a path once, as S3 signs it.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return strings.ReplaceAll(strings.Join(parts, "/"), "%7E", "~")
}
