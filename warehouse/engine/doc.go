// Package engine runs ClickHouse inside the installation: libchdb.so, loaded
// without cgo by a child process of the hub, behind ClickHouse's own HTTP
// interface. Whoever speaks that interface (curl, clickhouse-go, JDBC, Grafana)
// cannot tell it from a server; moving to a real cluster is an address.
//
// The child: [Run] loads the library and serves. Each request opens its own
// session of the engine (0.3 ms), so that settings, temporary tables and
// read-only mode never leak from one request into another. Results leave the
// engine through a pipe (INTO OUTFILE), so any format streams; insert bodies
// enter as a file (FROM INFILE), never as part of a statement, so no byte of
// them can be taken for SQL. The hub: [Supervisor] starts the child, restarts
// it and ends it.
package engine
