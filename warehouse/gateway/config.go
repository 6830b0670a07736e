package gateway

import (
	"net/url"
	"regexp"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/login"
)

// User is one who may query.
type User struct {
	Name     string   `yaml:"name"`
	Password string   `yaml:"passwordSHA256"` // hex, as ClickHouse's password_sha256_hex
	Admin    bool     `yaml:"admin"`          // everything, without checks
	Identity bool     `yaml:"identity"`       // may read columns that identify people
	Orgs     []string `yaml:"orgs"`           // hall codes whose rows are seen; empty = all
}

// Limits hold for each user who is no administrator.
type Limits struct {
	Time    time.Duration // of one query
	Memory  int64         // bytes of one query
	Rows    int64         // of one result
	Queries int           // at once
	Tables  int           // read by one query
	Hourly  int           // queries in an hour
}

// Config says who may query what.
type Config struct {
	Upstream string // http://host:port of the engine or cluster
	User     string // of the upstream, which only the gateway knows
	Password string
	Database string
	Users    []User
	Limits   Limits
	Recorder Recorder // of the queries; nil = none
	Public   []string // tables without a jurisdiction that all may read
}

// Default returns a gateway without users: nobody gets in.
func Default() Config {
	return Config{Database: "qihuang", Limits: Limits{Time: time.Minute, Memory: 2 << 30, Rows: 10_000_000, Queries: 4, Tables: 40, Hourly: 2000},
		Public: []string{"hall", "practitioner"}}
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	orgCode   = regexp.MustCompile(`^[A-Za-z0-9_.\-]{1,64}$`)
)

// Validate says what is wrong.
func (c Config) Validate() error {
	if u, err := url.Parse(c.Upstream); err != nil || u.Host == "" {
		return fault.New(fault.Invalid, "gateway: upstream %q is no address", c.Upstream)
	}
	if !plainName.MatchString(c.Database) {
		return fault.New(fault.Invalid, "gateway: %q is no database name", c.Database)
	}
	if c.Limits.Time < time.Second || c.Limits.Memory < 1<<20 || c.Limits.Rows < 1 || c.Limits.Queries < 1 || c.Limits.Tables < 1 || c.Limits.Hourly < 1 {
		return fault.New(fault.Invalid, "gateway: limits must be positive")
	}
	if err := login.Validate("clickhouse.users", c.Users); err != nil {
		return err
	}
	for _, u := range c.Users {
		for _, o := range u.Orgs {
			if !orgCode.MatchString(o) {
				return fault.New(fault.Invalid, "gateway: user %s: %q is no hall code", u.Name, o)
			}
		}
	}
	return nil
}

// Credentials are what the user logs in with.
func (u User) Credentials() (name, passwordSHA256 string) { return u.Name, u.Password }
