// Package alerts watches the indicators: rules as data (thresholds, sudden
// changes, deviation from peers, silence, impossible combinations) are held
// against the daily series of every hall, and what fires becomes a FHIR Task
// that is assigned, handled, escalated and closed.
//
// Detection is a function of the daily series and the day, so history can be
// run again: a back-test gives what would have fired.
package alerts
