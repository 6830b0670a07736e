package ncms

// Told is a settlement or reversal that happened between a hall and its centre
// without the hub, as one of them tells it.
type Told struct {
	Visit   Visit
	ID      string // bxid, setl_id
	Invoice string
	Card    string
	Time    string // "" = not said
	Sums    Sums
	Void    bool
}
