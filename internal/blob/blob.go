package blob

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config says where objects are kept.
type Config struct {
	Endpoint  string // host:port of an S3; empty = embedded
	AccessKey string // of that S3
	SecretKey string
	Secure    bool   // TLS to that S3
	Bucket    string // made if absent
	Data      string // embedded: folder
	Listen    string // embedded: address, port 0 = any
}

// Default returns the embedded store on 127.0.0.1:9000 with its data in dir.
func Default(dir string) Config {
	return Config{Bucket: "qihuang", Data: dir, Listen: "127.0.0.1:9000"}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	switch {
	case c.Bucket == "":
		return fault.New(fault.Invalid, "s3: bucket is missing")
	case c.Endpoint == "" && (c.Data == "" || c.Listen == ""):
		return fault.New(fault.Invalid, "s3: the embedded store needs a folder and an address")
	case c.Endpoint != "" && (c.AccessKey == "" || c.SecretKey == ""):
		return fault.New(fault.Invalid, "s3: %s needs accessKey and secretKey", c.Endpoint)
	}
	return nil
}

// Store is an open object store.
type Store struct {
	Client   *minio.Client
	Bucket   string
	Endpoint string // host:port

	server  *http.Server // embedded only
	ended   chan error
	backend *backend
}

// Embedded says that the store is in this process.
func (s *Store) Embedded() bool { return s.server != nil }

// Open connects to the configured S3 or starts the embedded one, and makes the
// bucket. fault.Unavailable when it cannot.
func Open(ctx context.Context, cfg Config, c clock.Clock, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{Bucket: cfg.Bucket, Endpoint: cfg.Endpoint}
	if cfg.Endpoint == "" {
		if err := s.embed(&cfg, c, log); err != nil {
			return nil, err
		}
	}
	if err := s.connect(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context, cfg Config) error {
	client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: cfg.Secure, Region: region})
	if err != nil {
		return fault.New(fault.Invalid, "s3 %s: %w", s.Endpoint, err)
	}
	s.Client = client
	have, err := client.BucketExists(ctx, cfg.Bucket)
	if err == nil && !have {
		err = client.MakeBucket(ctx, cfg.Bucket, minio.MakeBucketOptions{Region: region})
	}
	if err != nil {
		return fault.New(fault.Unavailable, "s3 %s, bucket %s: %w", s.Endpoint, cfg.Bucket, err)
	}
	return nil
}

// region is what S3 servers without regions are called.
const region = "us-east-1"

// embed starts the store in this process and fills in its keys.
func (s *Store) embed(cfg *Config, c clock.Clock, log *slog.Logger) error {
	k, err := loadKeys(cfg.Data)
	if err != nil {
		return err
	}
	cfg.AccessKey, cfg.SecretKey, cfg.Secure = k.Access, k.Secret, false
	if s.backend, err = openBackend(cfg.Data, c); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errors.Join(fault.New(fault.Unavailable, "s3: listen on %s: %w", cfg.Listen, err), s.backend.close())
	}
	s.Endpoint = ln.Addr().String()
	api := gofakes3.New(s.backend, gofakes3.WithoutVersioning(), gofakes3.WithLogger(gofakes3.DiscardLog()), gofakes3.WithTimeSource(timeSource{c}))
	s.server = &http.Server{Handler: &guard{keys: k, clock: c, next: api.Server()}, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.server.Serve(ln) }()
	return nil
}

// Close stops the embedded store, letting running requests finish for a while.
func (s *Store) Close() error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	<-s.ended
	return errors.Join(err, s.backend.close())
}

// keys are the root keys of an embedded store.
type keys struct {
	Access string `json:"accessKey"`
	Secret string `json:"secretKey"`
}

// loadKeys reads the folder's keys, making them the first time.
func loadKeys(dir string) (keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keys{}, err
	}
	name := filepath.Join(dir, "keys.json")
	var k keys
	data, err := os.ReadFile(name)
	if err == nil {
		if err := json.Unmarshal(data, &k); err != nil || k.Access == "" || k.Secret == "" {
			return keys{}, fault.New(fault.Invalid, "s3: %s is damaged; remove it to have new keys made", name)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return keys{}, err
	}
	k = keys{Access: "qihuang-" + rand.Text()[:12], Secret: rand.Text() + rand.Text()}
	if data, err = json.Marshal(k); err != nil {
		return keys{}, err
	}
	return k, writeWhole(name, data)
}

// writeWhole writes a small file so that it is there whole or not at all.
func writeWhole(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// timeSource lends the clock to gofakes3.
type timeSource struct{ clock clock.Clock }

// Now returns the time.
func (t timeSource) Now() time.Time { return t.clock.Now() }

// Since returns the time passed.
func (t timeSource) Since(at time.Time) time.Duration { return t.clock.Now().Sub(at) }
