package sink

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Layout says how tables lie on the warehouse. The zero value is one server, as
// embedded. The statements are the same but for what the layout adds.
type Layout struct {
	Cluster    string `yaml:"cluster"`    // name of the cluster in ClickHouse's configuration; DDL runs ON CLUSTER
	Replicated bool   `yaml:"replicated"` // Replicated* engines, one copy per replica
	Sharded    bool   `yaml:"sharded"`    // rows lie in <table>_local on the shards; <table> is Distributed over them
}

// Validate reports what cannot be.
func (l Layout) Validate() error {
	switch {
	case l.Cluster == "" && (l.Replicated || l.Sharded):
		return fault.New(fault.Invalid, "clickhouse: replicated and sharded need a cluster")
	case l.Cluster != "" && !identifier(l.Cluster):
		return fault.New(fault.Invalid, "clickhouse: %q is no name of a cluster", l.Cluster)
	}
	return nil
}

// on is the clause that runs DDL everywhere.
func (l Layout) on() string {
	if l.Cluster == "" {
		return ""
	}
	return " ON CLUSTER `" + l.Cluster + "`"
}

// window is how many insert tokens a table remembers: more than batches can be
// under way.
const window = 10_000

// engine is a ReplacingMergeTree over the columns named, ordered by a key. The
// path of replicas holds the table's uuid, so that tables can be exchanged.
func (l Layout) engine(args, order string) string {
	if l.Replicated {
		return fmt.Sprintf("ReplicatedReplacingMergeTree(%s) ORDER BY %s SETTINGS replicated_deduplication_window = %d",
			strings.TrimSuffix("'/clickhouse/tables/{uuid}/{shard}', '{replica}', "+args, ", "), order, window)
	}
	return fmt.Sprintf("ReplacingMergeTree(%s) ORDER BY %s SETTINGS non_replicated_deduplication_window = %d", args, order, window)
}

// stored is the name of the table that holds the rows of a table.
func (l Layout) stored(name string) string {
	if l.Sharded {
		return name + "_local"
	}
	return name
}

// create is the DDL of a table: columns in parentheses, engine arguments, sort
// key, and the column rows are spread over shards by.
func (l Layout) create(database, name, columns, args, order, shard string) []string {
	path := func(n string) string { return "`" + database + "`.`" + n + "`" }
	out := []string{"CREATE TABLE IF NOT EXISTS " + path(l.stored(name)) + l.on() + " " + columns + " ENGINE = " + l.engine(args, order)}
	if l.Sharded {
		out = append(out, "CREATE TABLE IF NOT EXISTS "+path(name)+l.on()+" AS "+path(l.stored(name))+
			fmt.Sprintf(" ENGINE = Distributed('%s', '%s', '%s', cityHash64(%s))", l.Cluster, database, l.stored(name), shard))
	}
	return out
}

// drop removes a table.
func (l Layout) drop(database, name string) []string {
	out := []string{"DROP TABLE IF EXISTS `" + database + "`.`" + name + "`" + l.on()}
	if l.Sharded {
		out = append(out, "DROP TABLE IF EXISTS `"+database+"`.`"+l.stored(name)+"`"+l.on())
	}
	return out
}

// replace puts a fresh table in the place of a table, which may not be there
// yet.
func (l Layout) replace(database, fresh, name string, exists bool) []string {
	path := func(n string) string { return "`" + database + "`.`" + n + "`" }
	if !exists {
		out := []string{"RENAME TABLE " + path(l.stored(fresh)) + " TO " + path(l.stored(name)) + l.on()}
		if l.Sharded { // the Distributed one names its local table: make it anew
			out = append(out, "DROP TABLE IF EXISTS "+path(fresh)+l.on(), l.create(database, name, "", "", "", "_resource")[1])
		}
		return out
	}
	out := []string{"EXCHANGE TABLES " + path(l.stored(name)) + " AND " + path(l.stored(fresh)) + l.on()}
	if l.Sharded { // its columns are those of the local table: make it anew
		out = append(out, "DROP TABLE IF EXISTS "+path(name)+l.on(), l.create(database, name, "", "", "", "_resource")[1])
	}
	return append(out, l.drop(database, fresh)...)
}

// index adds the index of a column and fills it for the rows there are.
func (l Layout) index(database, name, column string) []string {
	table := fmt.Sprintf("ALTER TABLE `%s`.`%s`%s ", database, l.stored(name), l.on())
	return []string{table + "ADD INDEX IF NOT EXISTS " + index(column), table + "MATERIALIZE INDEX by_" + column}
}

// alter adds a column where it is missing.
func (l Layout) alter(database, name, column, after string) []string {
	out := []string{}
	for _, n := range []string{l.stored(name), name} {
		if len(out) == 0 || l.Sharded {
			out = append(out, fmt.Sprintf("ALTER TABLE `%s`.`%s`%s ADD COLUMN IF NOT EXISTS %s %s", database, n, l.on(), column, after))
		}
	}
	return out
}
