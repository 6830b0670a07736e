package views

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// parquetWriter writes optional columns, repeated ones for collections, in the
// order of the view. Dates stay text: FHIR's may be partial; decimals are
// doubles.
type parquetWriter struct {
	columns []Column
	w       *parquet.GenericWriter[any]
	row     parquet.Row
}

// orderedGroup is a parquet.Group that keeps the order of its fields.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

// Fields returns the fields in column order.
func (g orderedGroup) Fields() []parquet.Field { return g.fields }

func newParquet(w io.Writer, columns []Column) (*parquetWriter, error) {
	group := orderedGroup{Group: parquet.Group{}}
	for _, c := range columns {
		leaf := parquet.String()
		switch c.Type {
		case "boolean":
			leaf = parquet.Leaf(parquet.BooleanType)
		case "integer", "positiveInt", "unsignedInt", "integer64":
			leaf = parquet.Int(64)
		case "decimal":
			leaf = parquet.Leaf(parquet.DoubleType)
		}
		if c.Collection {
			leaf = parquet.Repeated(leaf)
		} else {
			leaf = parquet.Optional(leaf)
		}
		group.Group[c.Name] = leaf
	}
	named := map[string]parquet.Field{}
	for _, f := range group.Group.Fields() {
		named[f.Name()] = f
	}
	for _, c := range columns {
		group.fields = append(group.fields, named[c.Name])
	}
	schema := parquet.NewSchema("row", group)
	return &parquetWriter{columns: columns, w: parquet.NewGenericWriter[any](w, schema, parquet.Compression(&parquet.Zstd))}, nil
}

func (p *parquetWriter) Write(row []Cell) error {
	p.row = p.row[:0]
	for i := range row {
		cell := &row[i]
		n := cell.Len()
		if n == 0 {
			p.row = append(p.row, parquet.NullValue().Level(0, 0, i))
		}
		for k := range n {
			one := cell.At(k)
			v, err := p.value(&one, p.columns[i].Type)
			if err != nil {
				return fmt.Errorf("column %s: %w", p.columns[i].Name, err)
			}
			p.row = append(p.row, v.Level(min(k, 1), 1, i))
		}
	}
	_, err := p.w.WriteRows([]parquet.Row{p.row})
	return err
}

func (p *parquetWriter) value(c *Cell, typ string) (parquet.Value, error) {
	switch typ {
	case "boolean":
		b, err := c.Bool()
		return parquet.BooleanValue(b), err
	case "integer", "positiveInt", "unsignedInt", "integer64":
		n, err := c.Int()
		return parquet.Int64Value(n), err
	case "decimal":
		f, err := c.Float()
		return parquet.DoubleValue(f), err
	}
	s, err := c.Text()
	if err != nil {
		s = string(c.AppendJSON(nil))
	}
	return parquet.ByteArrayValue([]byte(s)), nil
}

func (p *parquetWriter) Close() error { return p.w.Close() }
