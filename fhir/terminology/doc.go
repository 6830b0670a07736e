// Package terminology answers questions about codes: is this code in that value
// set, what does it mean, which codes lie below it, what is it called in
// another system (http://hl7.org/fhir/R4/terminology-service.html).
//
// A [Service] holds code systems, value sets and concept maps. Resources of the
// base definitions are compiled on first use and kept in a lean form: one text
// arena per code system, a sorted permutation of the codes, and int32 edges for
// the hierarchy. Resources added at run time replace the service's state
// atomically, so readers never lock.
//
// Verdicts have three values ([Yes], [No], [Unknown]): a code of a system whose
// content nobody loaded (SNOMED CT, LOINC) is neither valid nor invalid, and
// only the caller can say what to do then.
//
// Some systems are defined by a grammar and not by a list: UCUM, BCP 47
// languages, MIME types, ISO 4217 currencies and ISO 3166 countries. They
// validate codes, and where the list is finite they expand too.
package terminology
