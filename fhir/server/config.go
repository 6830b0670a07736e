package server

import (
	"net/url"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config are the operator's choices for the REST interface.
type Config struct {
	PublicBase     string        // absolute base URL told to clients, e.g. https://hub.example.cn/fhir; empty = the address the client used
	TrustForwarded bool          // honour X-Forwarded-Proto and X-Forwarded-Host (only behind a proxy that sets them)
	MaxBody        int64         // bytes of a request body, also after decompression; over it is 413
	Bodies         int64         // bytes that large bodies of all requests may hold together; over it is 429
	DefaultCount   int           // page size without _count
	MaxCount       int           // largest page size
	Timeout        time.Duration // longest time one interaction may take
	Origins        []string      // CORS: allowed origins; "*" = any (credentials are never allowed)
	GzipMin        int           // smallest body in bytes worth compressing
	DeleteMany     bool          // conditional delete may delete several matches; else several are 412
	BatchWorkers   int           // entries of one batch handled at the same time
	Rate           float64       // requests per second and client address; 0 = no limit
	Burst          int           // requests a client may send at once above Rate
	PageKey        []byte        // secret that signs page links; share it between nodes
	Jobs           int           // asynchronous jobs running at the same time
	Version        string        // of the software, told in the CapabilityStatement
}

// Default returns the configuration used without a file.
func Default() Config {
	return Config{
		MaxBody:      50 << 20,
		Bodies:       512 << 20,
		DefaultCount: 20,
		MaxCount:     1000,
		Timeout:      2 * time.Minute,
		Origins:      []string{"*"},
		GzipMin:      1400, // below one Ethernet frame compression saves nothing
		BatchWorkers: 64,   // they mostly wait for one fsync, which they share
		Jobs:         2,
		Version:      "dev",
	}
}

// Validate reports the first wrong setting.
func (c Config) Validate() error {
	switch {
	case c.MaxBody <= 0:
		return fault.New(fault.Invalid, "fhir.maxBody must be positive")
	case c.Bodies < c.MaxBody:
		return fault.New(fault.Invalid, "fhir.bodies must be at least fhir.maxBody")
	case c.DefaultCount < 1 || c.MaxCount < c.DefaultCount:
		return fault.New(fault.Invalid, "fhir.defaultCount must be between 1 and fhir.maxCount")
	case c.Timeout <= 0:
		return fault.New(fault.Invalid, "fhir.timeout must be positive")
	case c.BatchWorkers < 1 || c.Jobs < 1:
		return fault.New(fault.Invalid, "fhir.batchWorkers and fhir.jobs must be at least 1")
	case c.Rate < 0 || c.Rate > 0 && c.Burst < 1:
		return fault.New(fault.Invalid, "fhir.rate needs a burst of at least 1")
	}
	if c.PublicBase != "" {
		u, err := url.Parse(c.PublicBase)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return fault.New(fault.Invalid, "fhir.publicBase must be an absolute URL")
		}
	}
	return nil
}
