package store

import "runtime"

// Large is from how many ops on a transaction is large: nobody waits for the end
// of its preparation but its own submitter.
const Large = 256

// Workers returns how many goroutines may work at the content of a transaction
// of n ops at once. A large one leaves a processor to the others: a small write
// takes a dozen steps between goroutines, and with every processor taken each of
// them would wait its turn.
func Workers(n int) int {
	if n < Large {
		return runtime.GOMAXPROCS(0)
	}
	return max(1, runtime.GOMAXPROCS(0)-1)
}
