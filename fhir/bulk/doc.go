// Package bulk moves many resources at once: [Loader] sends files to a FHIR
// server (transaction bundles, single resources, NDJSON), resumable and with
// errors that name the row; [ExportOperations] and [ImportOperation] are the
// Bulk Data operations of the hub itself (https://hl7.org/fhir/uv/bulkdata/).
package bulk
