// Package views runs ViewDefinitions of SQL on FHIR v2
// (https://sql-on-fhir.org/ig/2.0.0): resources in, rows out.
//
// A [View] is compiled once and used from any goroutine. Rows come from the
// parsed tree, cell by cell, without maps:
//
//	view, err := views.Compile(definition, eng)
//	cols := view.Columns()
//	err = view.Rows(tree.Root(), func(row []views.Cell) error {
//		for i := range row {
//			line = row[i].AppendJSON(append(line, '"', cols[i].Name, '"', ':'))
//		}
//		return nil
//	})
//
// The row and its cells are reused: they are valid until emit returns. [NewWriter]
// writes rows as CSV, NDJSON, JSON or Parquet.
package views
