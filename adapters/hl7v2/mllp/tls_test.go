package mllp

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/internal/charset"
)

// authority issues certificates for the tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.issue("ca")
	return a
}

// issue writes name.crt and name.key; the first certificate is the authority's.
func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	cert := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if a.cert == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage, cert.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		a.cert, a.key = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert.IsCA {
		a.cert, _ = x509.ParseCertificate(der)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for kind, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(a.file(name+kind), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// startTLS listens with a certificate of hub; partners is the authority of the
// senders, nil = anybody.
func startTLS(t *testing.T, hub, partners *authority, stall time.Duration) (*queue, string) {
	t.Helper()
	hub.issue("hub")
	clientCA := ""
	if partners != nil {
		clientCA = partners.file("ca.crt")
	}
	cfg, err := LoadTLS(hub.file("hub.crt"), hub.file("hub.key"), clientCA)
	if err != nil {
		t.Fatal(err)
	}
	q, addr, _ := start(t, func(c *Config) { c.TLS, c.Stall = cfg, stall })
	return q, addr
}

func dialTLS(t *testing.T, addr string, cfg *tls.Config) *partner {
	t.Helper()
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &partner{t, c, bufio.NewReader(c)}
}

// TestTLS runs what plain connections do over TLS with client certificates:
// both modes, GBK, several messages in one write, one message in many.
func TestTLS(t *testing.T) {
	hub, partners := newAuthority(t), newAuthority(t)
	q, addr := startTLS(t, hub, partners, patience)
	p := dialTLS(t, addr, &tls.Config{RootCAs: hub.pool(), Certificates: []tls.Certificate{partners.issue("his")}})

	p.send(bytes.Join([][]byte{wrap(adt("1", "")), wrap(adt("2", "NE|NE")), wrap(adt("3", "AL|NE")), wrap(adt("4", "ER|NE"))}, nil))
	for _, want := range [][2]string{{"1", "AA"}, {"3", "CA"}} { // 2 wants no answer, 4 only one of a failure
		if a := p.ack(); a == nil || a.Get("MSA-2") != want[0] || a.Get("MSA-1") != want[1] {
			t.Errorf("want %v: %+v", want, a)
		}
	}

	name := "联通^齶黕黒" // in GBK: valid UTF-8 as well, and trail bytes | ^ \
	gbk := charset.Encode([]byte("MSH|^~\\&|HIS|37|HUB|TCM|20261012083105||ADT^A04^ADT_A01|5|P|2.5.1||||||GBK\rPID|1||100001||"+name+"\r"), charset.GB18030)
	for _, b := range wrap(gbk) {
		p.send([]byte{b})
	}
	if a := p.ack(); a == nil || a.Get("MSA-2") != "5" || a.Get("MSA-1") != "AA" || a.Get("MSH-18") != "GB 18030-2000" {
		t.Errorf("GBK: %+v", a)
	}
	if m, n := q.counts(); m != 5 || n != 0 {
		t.Fatalf("%d messages, %d letters", m, n)
	}
	last := q.messages[4]
	msg, _, err := hl7v2.Decode(last.Body)
	if err != nil || last.Charset != charset.GB18030 || !bytes.Equal(last.Body, gbk) || msg.Get("PID-5.1") != "联通" || msg.Get("PID-5.2") != "齶黕黒" {
		t.Errorf("%s %v: %q", last.Charset, err, msg.Get("PID-5"))
	}
}

// TestTLS_bad: who is not whom the other expects sends nothing.
func TestTLS_bad(t *testing.T) {
	hub, partners, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	q, addr := startTLS(t, hub, partners, patience)
	good := partners.issue("his")
	for name, cfg := range map[string]*tls.Config{
		"no certificate":            {RootCAs: hub.pool()},
		"certificate of another CA": {RootCAs: hub.pool(), Certificates: []tls.Certificate{stranger.issue("his")}},
		"hub's own CA":              {RootCAs: hub.pool(), Certificates: []tls.Certificate{hub.issue("his")}},
		"hub of another CA":         {RootCAs: stranger.pool(), Certificates: []tls.Certificate{good}},
		"TLS 1.1":                   {RootCAs: hub.pool(), Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		if c, err := tls.Dial("tcp", addr, cfg); err == nil { // TLS 1.3 tells the client with the first answer
			_, _ = c.Write(wrap(adt("1", "")))
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
				t.Errorf("%s: answered", name)
			}
			_ = c.Close()
		}
	}
	plain := dial(t, addr)
	plain.send(wrap(adt("1", "")))
	if plain.ack() != nil {
		t.Error("answered without TLS")
	}
	p := dialTLS(t, addr, &tls.Config{RootCAs: hub.pool(), Certificates: []tls.Certificate{good}})
	p.send(wrap(adt("2", "")))
	if a := p.ack(); a == nil || a.Get("MSA-1") != "AA" {
		t.Errorf("the right one: %+v", a)
	}
	if m, n := q.counts(); m != 1 || n != 0 {
		t.Errorf("%d messages, %d letters", m, n)
	}
}

// TestTLSSilence: who never begins the handshake is not kept longer than a
// stalled message.
func TestTLSSilence(t *testing.T) {
	_, addr := startTLS(t, newAuthority(t), nil, 50*time.Millisecond)
	silent := dial(t, addr)
	_ = silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a silent connection is kept: %v", err)
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// TestTLSWithoutClientCertificates takes everybody who trusts the hub.
func TestTLSWithoutClientCertificates(t *testing.T) {
	hub := newAuthority(t)
	_, addr := startTLS(t, hub, nil, patience)
	p := dialTLS(t, addr, &tls.Config{RootCAs: hub.pool()})
	p.send(wrap(adt("1", "AL|NE")))
	if a := p.ack(); a == nil || a.Get("MSA-1") != "CA" {
		t.Errorf("%+v", a)
	}
}

func TestLoadTLS_bad(t *testing.T) {
	a := newAuthority(t)
	a.issue("hub")
	a.issue("other")
	for _, c := range [][3]string{{"none.crt", "hub.key", ""}, {"hub.crt", "other.key", ""}, {"hub.crt", "hub.key", "none.crt"}, {"hub.crt", "hub.key", "hub.key"}} {
		ca := ""
		if c[2] != "" {
			ca = a.file(c[2])
		}
		if _, err := LoadTLS(a.file(c[0]), a.file(c[1]), ca); err == nil {
			t.Error(fmt.Sprint(c), "accepted")
		}
	}
}
