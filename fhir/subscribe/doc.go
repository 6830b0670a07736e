// Package subscribe tells others what changes in the repository: topic-based
// subscriptions as in R5, in R4 by the Subscriptions R5 Backport guide
// (http://hl7.org/fhir/uv/subscriptions-backport), and the classic ones of R4
// whose criteria is a search.
//
// A [Service] follows the repository's feed of changes, numbers the events of
// each subscription, and delivers them at least once and in order. Its state is
// a view of the feed; see DESIGN.md.
package subscribe
