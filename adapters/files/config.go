// Package files takes in what partners put into folders: a watched folder of
// this machine or a share, an SFTP folder, an S3 prefix. Tables (CSV, XLSX, DBF)
// stream row by row; JSON, NDJSON and XML become messages as they are. A file is
// read when it has stopped growing, then moves to done/ or failed/, with
// <file>.errors.json beside it for what could not be taken.
package files

import (
	"path"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config says where a source's files are and how they are read.
type Config struct {
	Folder   string        `yaml:"folder"`   // directory; below it done/ and failed/
	Interval time.Duration `yaml:"interval"` // between two looks; a file must look the same twice
	Tables   []string      `yaml:"tables"`   // names of tables, for file names from which they cannot be told
	Key      []string      `yaml:"key"`      // columns that name the patient, the first present counts
	Batch    int           `yaml:"batch"`    // rows of one message
	MaxSize  int64         `yaml:"maxMB"`    // of one file, MB
	Stall    time.Duration `yaml:"stall"`    // a server that says nothing for so long is given up
	Check    bool          `yaml:"check"`    // try the map on every row before it is accepted: errors name row and column
}

// Default looks every five seconds and takes tables of a township HIS.
func Default() Config {
	return Config{Interval: 5 * time.Second, Tables: []string{}, Key: []string{"BRID", "PATID", "patientId", "patient_id", "病人ID", "患者ID"},
		Batch: 200, MaxSize: 4096, Stall: time.Minute, Check: true}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	switch {
	case c.Folder == "":
		return fault.New(fault.Invalid, "folder 不能为空")
	case c.Interval < 100*time.Millisecond:
		return fault.New(fault.Invalid, "interval 至少 100ms，现为 %s", c.Interval)
	case c.Batch < 1 || c.Batch > 5000:
		return fault.New(fault.Invalid, "batch 应为 1 到 5000，现为 %d", c.Batch)
	case c.Stall <= 0:
		return fault.New(fault.Invalid, "stall 应大于 0，现为 %s", c.Stall)
	case c.MaxSize < 1:
		return fault.New(fault.Invalid, "maxMB 至少为 1")
	}
	return nil
}

// SFTP is a folder on another machine. Its host key is pinned: an unknown one is
// refused.
type SFTP struct {
	Config   `yaml:",inline"`
	Address  string `yaml:"address"` // host:port
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	KeyFile  string `yaml:"keyFile"` // private key, instead of a password
	HostKey  string `yaml:"hostKey"` // of the server: "ssh-ed25519 AAAA…" or its SHA256:… fingerprint
}

// DefaultSFTP is Default.
func DefaultSFTP() SFTP {
	c := SFTP{Config: Default()}
	c.Interval = 30 * time.Second
	return c
}

// Validate tells what is wrong with c, nil if nothing.
func (c SFTP) Validate() error {
	switch {
	case c.Address == "" || c.User == "":
		return fault.New(fault.Invalid, "sftp 需要 address 与 user")
	case c.Password == "" && c.KeyFile == "":
		return fault.New(fault.Invalid, "sftp 需要 password 或 keyFile")
	case c.HostKey == "":
		return fault.New(fault.Invalid, "sftp 需要 hostKey（服务器公钥或 SHA256 指纹），防止连到冒名的服务器")
	}
	return c.Config.Validate()
}

// S3 is a prefix of a bucket; Folder is the prefix.
type S3 struct {
	Config    `yaml:",inline"`
	Endpoint  string `yaml:"endpoint"` // host:port
	Bucket    string `yaml:"bucket"`
	AccessKey string `yaml:"accessKey"`
	SecretKey string `yaml:"secretKey"`
	Secure    bool   `yaml:"secure"`
	Region    string `yaml:"region"`
}

// DefaultS3 is Default.
func DefaultS3() S3 {
	c := S3{Config: Default(), Secure: true, Region: "us-east-1"}
	c.Interval = 30 * time.Second
	return c
}

// Validate tells what is wrong with c, nil if nothing.
func (c S3) Validate() error {
	if c.Endpoint == "" || c.Bucket == "" || c.AccessKey == "" || c.SecretKey == "" {
		return fault.New(fault.Invalid, "s3 需要 endpoint、bucket、accessKey 与 secretKey")
	}
	own := c.Config
	if own.Folder == "" {
		own.Folder = "." // the whole bucket
	}
	return own.Validate()
}

// skipped reports names that are not files for us: still being written, hidden,
// or our own.
func skipped(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, ".") || strings.HasPrefix(lower, "~$") || strings.HasSuffix(lower, ".errors.json") {
		return true
	}
	switch path.Ext(lower) {
	case ".part", ".tmp", ".filepart", ".crdownload", ".uploading", ".dbt", ".fpt", ".lock":
		return true // memo files come with their .dbf
	}
	return false
}
