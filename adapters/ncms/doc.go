// Package ncms is the settlement port (新农合/城乡居民医保结算): what a hall asks
// of a scheme centre, in terms that no dialect owns. The same interface is
// implemented by
//
//	xnh.Client, yb.Client   a centre reached over the wire, in two dialects
//	desk.Desk               a decorator that records every step in the hub's log
//	                        and never lets a visit be settled twice
//	centre.Centre           a simulated centre, for tests and training
//
// and served to hospital systems by xnh.Server and yb.Server, so that a hall
// whose HIS speaks one dialect settles at a centre that speaks the other.
//
// Money is exact: amounts are decimals, never floating point.
package ncms
