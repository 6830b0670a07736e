package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/adapters/region"
	"github.com/qihuang-health/qihuang/apps/supervision"
	"github.com/qihuang-health/qihuang/apps/supervision/publish"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/outbound"
	"github.com/qihuang-health/qihuang/internal/trace"
	"github.com/qihuang-health/qihuang/warehouse/exports"
	"github.com/qihuang-health/qihuang/warehouse/gateway"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/sink"
)

// Config is the hub's one configuration file. Every part has a working default,
// so that no file is needed on one machine.
type Config struct {
	Data       string           `yaml:"data"`       // folder of everything the hub keeps
	Listen     string           `yaml:"listen"`     // address of every listener
	PortOffset int              `yaml:"portOffset"` // shifts every port
	Zone       string           `yaml:"zone"`       // of dates without a zone; "" = $TZ, else Asia/Shanghai
	PublicBase string           `yaml:"publicBase"` // address told to FHIR clients; "" = the one they used
	Log        LogConfig        `yaml:"log"`
	Ports      Ports            `yaml:"ports"`
	Kafka      KafkaConfig      `yaml:"kafka"`
	ClickHouse ClickHouseConfig `yaml:"clickhouse"`
	S3         S3Config         `yaml:"s3"`
	FHIR       FHIRConfig       `yaml:"fhir"`
	Outbound   outbound.Config  `yaml:"outbound"`
	Region     region.Config    `yaml:"region"`
	Maps       MapsConfig       `yaml:"maps"`
	Trace      trace.Config     `yaml:"trace"`
	Sources    []SourceConfig   `yaml:"sources"`

	Housekeeping HousekeepingConfig `yaml:"housekeeping"`
	Supervision  SupervisionConfig  `yaml:"supervision"`
}

// LogConfig says how the hub logs. No health data is ever logged.
type LogConfig struct {
	Level string `yaml:"level"` // debug | info | warn | error
	JSON  bool   `yaml:"json"`
}

// Ports of the listeners, before the offset.
type Ports struct {
	HTTP       int `yaml:"http"`
	MLLP       int `yaml:"mllp"`
	ClickHouse int `yaml:"clickhouse"`
	Kafka      int `yaml:"kafka"`
	S3         int `yaml:"s3"`
}

// KafkaConfig names the log; without brokers one is embedded.
type KafkaConfig struct {
	Brokers     []string `yaml:"brokers"`
	Prefix      string   `yaml:"prefix"`
	Partitions  int      `yaml:"inboundPartitions"`
	Replication int      `yaml:"replication"`
}

// ClickHouseConfig names the warehouse; without an address chDB is embedded.
type ClickHouseConfig struct {
	Address  string `yaml:"address"` // host:port of the HTTP interface
	Database string `yaml:"database"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Memory   int64  `yaml:"memoryMB"` // cap of the embedded engine; 0 = a share of the machine
	Library  string `yaml:"library"`  // libchdb.so; "" = the set-up's cache

	Exports []exports.Export `yaml:"exports"` // Parquet files into the object store

	Layout sink.Layout `yaml:"layout"` // of the tables on a cluster; zero = one server

	Users []gateway.User `yaml:"users"` // of the SQL port; none = everybody on this machine
}

// S3Config names the blob store; without an endpoint one is embedded.
type S3Config struct {
	Endpoint  string `yaml:"endpoint"`
	AccessKey string `yaml:"accessKey"`
	SecretKey string `yaml:"secretKey"`
	Bucket    string `yaml:"bucket"`
	Secure    bool   `yaml:"secure"`
}

// FHIRConfig says how strictly writes are checked.
type FHIRConfig struct {
	Validation string            `yaml:"validation"` // off | structure | full
	Sources    map[string]string `yaml:"sources"`    // the same for one source by its name, e.g. his: full
	History    HistoryConfig     `yaml:"history"`
	Rate       float64           `yaml:"rate"`      // requests per second and client address; 0 = no limit
	Burst      int               `yaml:"burst"`     // requests a client may send at once above rate
	MaxBodyMB  int64             `yaml:"maxBodyMB"` // largest request body
}

// HistoryConfig says which superseded versions of resources are dropped: those
// that both bounds allow. All nodes of one log must agree on it.
type HistoryConfig struct {
	Versions int64 `yaml:"versions"` // superseded versions kept for each resource; with days 0, 0 = all
	Days     int   `yaml:"days"`     // no younger version is dropped; with versions 0, all older ones are
}

// Default returns the configuration of a single machine: everything embedded,
// on loopback only.
func Default() Config {
	return Config{Data: "./data", Listen: "127.0.0.1", Log: LogConfig{Level: "info"},
		Ports:      Ports{HTTP: 8080, MLLP: 2575, ClickHouse: 8123, Kafka: 9092, S3: 9000},
		Kafka:      KafkaConfig{Brokers: []string{}, Prefix: "qihuang.", Partitions: 1, Replication: -1},
		ClickHouse: ClickHouseConfig{Database: "qihuang", User: "default", Exports: []exports.Export{}, Users: []gateway.User{}},
		S3:         S3Config{Bucket: "qihuang"}, FHIR: FHIRConfig{Validation: "structure", Sources: map[string]string{}, Burst: 100, MaxBodyMB: 50},
		Outbound:     outbound.Config{Allow: []string{}},
		Region:       region.Default(),
		Trace:        trace.Config{Ratio: 1},
		Sources:      []SourceConfig{},
		Housekeeping: HousekeepingConfig{Snapshot: "@hourly", Keep: 3, Optimize: "0 4 * * *"},
		Supervision:  SupervisionConfig{Schedule: "30 6 * * *", Thresholds: []measures.Threshold{}, Publish: []publish.Publication{}, Patience: supervision.Default().Patience, Users: []supervision.User{}}}
}

// LoadConfig reads a YAML file over the defaults; unknown keys are errors.
func LoadConfig(path string) (Config, error) {
	cfg := Default()
	if path == "" {
		return cfg, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return cfg, fault.New(fault.Invalid, "读不到配置文件：%w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) {
		return cfg, fault.New(fault.Invalid, "配置文件 %s 有误：%w", path, err)
	}
	return cfg, cfg.Validate()
}

// Validate reports the first setting that cannot work.
func (c Config) Validate() error {
	if c.Data == "" {
		return fault.New(fault.Invalid, "配置 data 不能为空")
	}
	if net.ParseIP(c.Listen) == nil && c.Listen != "localhost" {
		return fault.New(fault.Invalid, "配置 listen 应为 IP 地址，现为 %q", c.Listen)
	}
	for name, p := range map[string]int{"http": c.Ports.HTTP, "mllp": c.Ports.MLLP, "clickhouse": c.Ports.ClickHouse, "kafka": c.Ports.Kafka, "s3": c.Ports.S3} {
		if p+c.PortOffset < 1 || p+c.PortOffset > 65535 {
			return fault.New(fault.Invalid, "端口 ports.%s 加偏移后为 %d，超出 1–65535", name, p+c.PortOffset)
		}
	}
	if _, err := validate.ParseLevel(c.FHIR.Validation); err != nil {
		return fault.New(fault.Invalid, "配置 fhir.validation 应为 off、structure 或 full，现为 %q", c.FHIR.Validation)
	}
	for name, level := range c.FHIR.Sources {
		if _, err := validate.ParseLevel(level); err != nil {
			return fault.New(fault.Invalid, "配置 fhir.sources.%s 应为 off、structure 或 full，现为 %q", name, level)
		}
	}
	if c.FHIR.Rate < 0 || c.FHIR.Burst < 1 || c.FHIR.MaxBodyMB < 1 || c.FHIR.MaxBodyMB > 500 {
		return fault.New(fault.Invalid, "配置 fhir 的 rate 不能为负，burst 至少为 1，maxBodyMB 在 1 与 500 之间")
	}
	if c.FHIR.History.Versions < 0 || c.FHIR.History.Days < 0 || c.FHIR.History.Days > 36500 {
		return fault.New(fault.Invalid, "配置 fhir.history 的 versions 与 days 不能为负，days 不超过 36500")
	}
	if err := errors.Join(c.Housekeeping.validate(), c.Outbound.Validate(), c.Trace.Validate(), validateSources(c.Sources), c.Supervision.validate(), c.ClickHouse.Layout.Validate(), exports.Validate(c.ClickHouse.Exports)); err != nil {
		return err
	}
	if err := c.Maps.validate(); err != nil {
		return err
	}
	_, err := c.zone()
	return err
}

// loopback reports whether the hub listens on this machine only.
func (c Config) loopback() bool {
	ip := net.ParseIP(c.Listen)
	return c.Listen == "localhost" || ip != nil && ip.IsLoopback()
}

// addr returns the address of a listener.
func (c Config) addr(port int) string {
	return net.JoinHostPort(c.Listen, strconv.Itoa(port+c.PortOffset))
}

// zone returns the zone of dates that carry none.
func (c Config) zone() (*time.Location, error) {
	name := c.Zone
	if name == "" {
		name = os.Getenv("TZ")
	}
	if name == "" {
		name = "Asia/Shanghai"
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "时区 %q 不存在（配置 zone 或环境变量 TZ）：%w", name, err)
	}
	return loc, nil
}

// String names the addresses for people.
func (c Config) String() string {
	return fmt.Sprintf("网页      http://%s/\nFHIR      http://%s/fhir\nSQL       http://%s/?query=SELECT+1\nKafka     %s\nS3        http://%s\nMLLP      %s", c.addr(c.Ports.HTTP), c.addr(c.Ports.HTTP), c.addr(c.Ports.ClickHouse), c.addr(c.Ports.Kafka), c.addr(c.Ports.S3), c.addr(c.Ports.MLLP))
}
