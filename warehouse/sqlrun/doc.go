// Package sqlrun serves the operations of SQL on FHIR
// (https://hl7.org/fhir/uv/sql-on-fhir): $sql-run answers the rows of a view at
// once, $sql-export makes files of one or many in the background. A subject is a
// ViewDefinition, run over the repository or over resources sent along, or a
// Library with SQL (SQLQuery, SQLView), run by the warehouse over the tables of
// the views it names.
//
// The names that older clients send ($viewdefinition-run, ViewDefinition/$run,
// $sqlquery-run, $viewdefinition-export, $sqlquery-export) are accepted too.
package sqlrun
