// Package gateway is the analysts' door to the warehouse: the ClickHouse HTTP
// interface with users, in front of an engine or a cluster.
//
// An analyst reads only: SELECT, SHOW, DESCRIBE, EXISTS. Before a query runs,
// the engine itself resolves it (EXPLAIN QUERY TREE), so that tables, columns
// and table functions are checked by what they are, not by how they are
// written: identity columns need the role, other jurisdictions' rows are
// filtered out by the engine (additional_table_filters), and limits of time,
// memory and number hold. An administrator passes unchanged.
package gateway
