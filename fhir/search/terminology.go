package search

import "context"

// Terminology answers what :in, :not-in, :above and :below of tokens ask.
// Package terminology has it. An unknown value set or code system is a
// fault.NotFound or fault.Invalid.
type Terminology interface {
	// Members yields the codes of a value set, by its canonical address or
	// ValueSet/id, until yield returns false.
	Members(ctx context.Context, valueSet string, yield func(system, code string) bool) error
	// Below yields a code and everything it subsumes.
	Below(ctx context.Context, system, code string, yield func(code string) bool) error
	// Above yields a code and everything that subsumes it.
	Above(ctx context.Context, system, code string, yield func(code string) bool) error
}
