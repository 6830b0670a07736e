package feed

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// The algorithms of a signature.
const (
	Ed25519 = "Ed25519"
	SM2     = "SM2-SM3" // GB/T 32918, with the default user id
)

// Signer signs pages.
type Signer struct {
	alg  string
	id   string // of the public key: the first 16 hex digits of its SHA-256
	sign func(message []byte) ([]byte, error)
	pub  []byte // PKIX, DER
}

// Verifier knows one hub's public key.
type Verifier struct {
	alg, id string
	verify  func(message, signature []byte) bool
}

// NewKey makes a private key as PKCS#8 PEM.
func NewKey(alg string) ([]byte, error) {
	var key any
	var err error
	switch alg {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case SM2:
		key, err = sm2.GenerateKey(rand.Reader)
	default:
		return nil, fault.New(fault.Invalid, "签名算法应为 %s 或 %s", Ed25519, SM2)
	}
	if err != nil {
		return nil, err
	}
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// NewSigner reads a private key; its kind decides the algorithm.
func NewSigner(text []byte) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Invalid, "签名私钥应为 PEM（PKCS#8）")
	}
	key, err := smx509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "签名私钥不能读取：%w", err)
	}
	s := &Signer{}
	var public any
	switch k := key.(type) {
	case ed25519.PrivateKey:
		s.alg, public = Ed25519, k.Public()
		s.sign = func(m []byte) ([]byte, error) { return ed25519.Sign(k, m), nil }
	case *sm2.PrivateKey:
		s.alg, public = SM2, &k.PublicKey
		s.sign = func(m []byte) ([]byte, error) { return k.Sign(rand.Reader, m, sm2.NewSM2SignerOption(true, nil)) }
	default:
		return nil, fault.New(fault.Unsupported, "签名私钥应为 Ed25519 或 SM2")
	}
	if s.pub, err = smx509.MarshalPKIXPublicKey(public); err != nil {
		return nil, err
	}
	s.id = keyID(s.pub)
	return s, nil
}

func keyID(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8])
}

// Public returns the public key as PEM, for the other hub's configuration.
func (s *Signer) Public() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.pub})
}

// NewVerifier reads a public key.
func NewVerifier(text []byte) (*Verifier, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Invalid, "公钥应为 PEM")
	}
	key, err := smx509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "公钥不能读取：%w", err)
	}
	v := &Verifier{id: keyID(block.Bytes)}
	switch k := key.(type) {
	case ed25519.PublicKey:
		v.alg = Ed25519
		v.verify = func(m, sig []byte) bool { return ed25519.Verify(k, m, sig) }
	case *ecdsa.PublicKey:
		if k.Curve != sm2.P256() {
			return nil, fault.New(fault.Unsupported, "公钥应为 Ed25519 或 SM2")
		}
		v.alg = SM2
		v.verify = func(m, sig []byte) bool { return sm2.VerifyASN1WithSM2(k, nil, m, sig) }
	default:
		return nil, fault.New(fault.Unsupported, "公钥应为 Ed25519 或 SM2")
	}
	return v, nil
}
