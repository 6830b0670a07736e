package terminology

// Verdict is the answer to "does it hold": yes, no, or not to be known here.
type Verdict uint8

// The verdicts.
const (
	No      Verdict = iota // it does not hold
	Yes                    // it holds
	Unknown                // the content that would decide is not loaded
)

// String returns no, yes or unknown.
func (v Verdict) String() string { return [...]string{"no", "yes", "unknown"}[v] }

// and is three-valued conjunction.
func (v Verdict) and(o Verdict) Verdict {
	if v == No || o == No {
		return No
	}
	if v == Unknown || o == Unknown {
		return Unknown
	}
	return Yes
}
