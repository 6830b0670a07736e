// Package centre is a simulated scheme centre: the other side of the settlement
// port, for tests, training and demonstrations. It speaks both dialects, keeps
// its books in memory, and misbehaves as told ([Faults]), repeatably by seed.
//
// Its rules are its own and simple (no county's): a bill's items with a scheme
// code count; half of that is paid, to the cent, half up, to a ceiling a year.
package centre
