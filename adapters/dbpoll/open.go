package dbpoll

import (
	"database/sql"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	mssql "github.com/microsoft/go-mssqldb"
	goora "github.com/sijms/go-ora/v2"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// open prepares a connection pool; nothing is dialled yet.
func open(c Config) (*sql.DB, error) {
	db, err := connector(c)
	if err != nil {
		return nil, fault.New(fault.Invalid, "dsn 无法使用（%s）", c.Driver) // the cause may hold the password
	}
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(c.Interval + c.Timeout)
	return db, nil
}

func connector(c Config) (*sql.DB, error) {
	switch c.Driver {
	case MySQL:
		cfg, err := mysql.ParseDSN(c.DSN)
		if err != nil {
			return nil, err
		}
		cfg.ParseTime, cfg.MultiStatements, cfg.AllowAllFiles = true, false, false
		cfg.ReadTimeout, cfg.Timeout = 2*c.Timeout, c.Timeout
		con, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(con), nil
	case Postgres:
		cfg, err := pgx.ParseConfig(c.DSN)
		if err != nil {
			return nil, err
		}
		cfg.ConnectTimeout = c.Timeout
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
		return stdlib.OpenDB(*cfg), nil
	case SQLServer:
		con, err := mssql.NewConnector(c.DSN)
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(con), nil
	}
	return sql.OpenDB(goora.NewConnector(c.DSN)), nil
}

// quote writes an identifier; validate has seen it.
func (d Driver) quote(name string) string {
	open, end := `"`, `"`
	switch d {
	case MySQL:
		open, end = "`", "`"
	case SQLServer:
		open, end = "[", "]"
	case Oracle:
		name = strings.ToUpper(name) // as unquoted names are kept
	}
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = open + parts[i] + end
	}
	return strings.Join(parts, ".")
}

// placeholder is the n-th parameter, from 1.
func (d Driver) placeholder() string {
	switch d {
	case Postgres:
		return "$1"
	case SQLServer:
		return "@p1"
	case Oracle:
		return ":1"
	}
	return "?"
}

// query is the SELECT of a table; since says whether it begins at a watermark.
func (d Driver) query(t Table, since bool) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	if len(t.Columns) == 0 {
		b.WriteString("*")
	}
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.quote(c))
	}
	b.WriteString(" FROM " + d.quote(t.Name))
	var where []string
	if t.Where != "" {
		where = append(where, "("+t.Where+")")
	}
	if since {
		where = append(where, d.quote(t.Watermark)+" >= "+d.placeholder())
	}
	if len(where) > 0 {
		b.WriteString(" WHERE " + strings.Join(where, " AND "))
	}
	if t.Watermark != "" {
		b.WriteString(" ORDER BY " + d.quote(t.Watermark))
	}
	return b.String()
}
