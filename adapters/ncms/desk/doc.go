// Package desk is the settlement desk: an [ncms.Scheme] before another one that
// writes down what it does in the hub's repository, and by what is written never
// lets a visit be settled twice (DESIGN.md).
package desk
