// Package xmlread is the one XML reader of the hub: FHIR XML, SOAP, CDA, ebXML and
// every vendor's messages go through it.
//
// It reads a whole document held in memory, refuses document type declarations
// (and with them external and recursive entities), and bounds size, depth,
// attributes and tokens. It knows the charsets that Chinese systems declare.
// Errors carry line and column.
//
// [Reader] gives tokens without allocating; [Parse] gives a small tree.
package xmlread
