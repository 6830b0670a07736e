package mllp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// LoadTLS reads the certificate and the key of a listener, PEM files. With
// clientCA, also a file, senders must show a certificate of that authority.
func LoadTLS(cert, key, clientCA string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "MLLP 的 cert 与 key 无法使用：%w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, fault.New(fault.Invalid, "读不到 clientCA：%w", err)
	}
	if cfg.ClientCAs = x509.NewCertPool(); !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "clientCA %s 里没有 PEM 证书", clientCA)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	return cfg, nil
}

// greet does the handshake of a TLS connection, for which a partner has as much
// time as within a message.
func greet(ctx context.Context, conn net.Conn, limit time.Duration) error {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.HandshakeContext(ctx)
}
