// Package dbpoll reads the tables of a partner's database, without writing to it,
// and sends on what has changed: rows beyond a watermark where the table has
// one, all rows where it has not, each compared with what was sent before by a
// hash. MySQL, PostgreSQL, SQL Server and Oracle, by drivers in pure Go.
package dbpoll

import (
	"regexp"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Driver is a kind of database.
type Driver string

// The databases.
const (
	MySQL     Driver = "mysql" // also MariaDB
	Postgres  Driver = "postgres"
	SQLServer Driver = "sqlserver"
	Oracle    Driver = "oracle"
)

// Config says what to read and how often.
type Config struct {
	Driver   Driver        `yaml:"driver"`
	DSN      string        `yaml:"dsn"`     // as the driver writes it; a read-only account, please
	Charset  string        `yaml:"charset"` // of texts that the database hands out undecoded: GBK …; "" = UTF-8
	Interval time.Duration `yaml:"interval"`
	Timeout  time.Duration `yaml:"timeout"` // of one query
	Batch    int           `yaml:"batch"`   // rows of one message
	Patient  []string      `yaml:"patient"` // columns that name the patient, the first present counts
	Tables   []Table       `yaml:"tables"`
}

// Table is one table or view.
type Table struct {
	Name      string        `yaml:"name"`      // as in the database, with its schema if need be
	As        string        `yaml:"as"`        // name in messages; "" = without the schema
	Key       []string      `yaml:"key"`       // columns of the primary key
	Watermark string        `yaml:"watermark"` // a column that grows with every change: time, number or text; "" = compare all rows
	Overlap   time.Duration `yaml:"overlap"`   // looked at again below a watermark of time: transactions commit out of order
	Columns   []string      `yaml:"columns"`   // to read; empty = all
	Where     string        `yaml:"where"`     // a condition in the database's SQL, by the operator
}

// Default asks every minute.
func Default() Config {
	return Config{Interval: time.Minute, Timeout: time.Minute, Batch: 200, Patient: []string{"BRID", "PATID", "patient_id"}}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	switch c.Driver {
	case MySQL, Postgres, SQLServer, Oracle:
	default:
		return fault.New(fault.Invalid, "driver 应为 mysql、postgres、sqlserver 或 oracle，现为 %q", c.Driver)
	}
	switch {
	case c.DSN == "":
		return fault.New(fault.Invalid, "dsn 不能为空")
	case c.Interval < time.Second || c.Timeout < time.Second:
		return fault.New(fault.Invalid, "interval 与 timeout 至少 1s")
	case c.Batch < 1 || c.Batch > 5000:
		return fault.New(fault.Invalid, "batch 应为 1 到 5000")
	case len(c.Tables) == 0:
		return fault.New(fault.Invalid, "tables 不能为空")
	}
	for _, t := range c.Tables {
		if err := t.validate(); err != nil {
			return err
		}
	}
	return nil
}

// identifier is a name that may stand in SQL: letters, also Chinese ones,
// digits, _ $ # and a schema before a dot.
var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_$#]*(\.[\p{L}_][\p{L}\p{N}_$#]*)?$`)

func (t Table) validate() error {
	if len(t.Key) == 0 {
		return fault.New(fault.Invalid, "表 %s 需要 key（主键列）", t.Name)
	}
	names := append(append([]string{t.Name}, t.Key...), t.Columns...)
	if t.Watermark != "" {
		names = append(names, t.Watermark)
	}
	for _, n := range names {
		if !identifier.MatchString(n) {
			return fault.New(fault.Invalid, "表 %s 的名称 %q 不是标识符", t.Name, n)
		}
	}
	if t.Overlap < 0 {
		return fault.New(fault.Invalid, "表 %s 的 overlap 不能小于 0", t.Name)
	}
	return nil
}
