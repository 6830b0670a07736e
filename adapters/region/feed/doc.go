// Package feed exchanges resources between hubs as a numbered, signed stream of
// changes: the national resource feed. A [Page] is what a hub changed between
// two sequence numbers; it is pulled ([Server] answers, [Follower] asks) or
// pushed the other way round. The receiver remembers where it stands in the same
// transaction that takes a page in, so a feed resumes where it broke off and a
// page that comes twice changes nothing. A page whose signature, version or place
// does not fit is refused and nothing of it is taken.
//
// Pages hold what happened here: resources that came from another hub keep its
// name in meta.tag and are not passed on.
package feed
