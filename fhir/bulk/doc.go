// Package bulk moves many resources at once: [Loader] sends files to a FHIR
// server's base (transaction bundles, single resources, NDJSON), resumable and
// with errors that name the row.
package bulk
