package ncms

import (
	"context"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Nowhere is the scheme of a hub that has no centre: every question is
// fault.Unavailable with words that say what to do.
type Nowhere struct{}

func nowhere() error {
	return fault.New(fault.Unavailable, "平台没有配置结算中心（sources 中 kind: ncms 的 centre），请联系管理员")
}

// Eligible implements [Enrolment].
func (Nowhere) Eligible(context.Context, Card) ([]Person, error) { return nil, nowhere() }

// Register implements [Registry].
func (Nowhere) Register(context.Context, Registration) (string, error) { return "", nowhere() }

// Cancel implements [Registry].
func (Nowhere) Cancel(context.Context, Visit) error { return nowhere() }

// Upload implements [Registry].
func (Nowhere) Upload(context.Context, Details) error { return nowhere() }

// Retract implements [Registry].
func (Nowhere) Retract(context.Context, Visit) error { return nowhere() }

// Try implements [Cashier].
func (Nowhere) Try(context.Context, Bill) (*Trial, error) { return nil, nowhere() }

// Settle implements [Cashier].
func (Nowhere) Settle(context.Context, Bill) (*Settlement, error) { return nil, nowhere() }

// Reverse implements [Cashier].
func (Nowhere) Reverse(context.Context, Reversal) error { return nowhere() }

// Day implements [Ledger].
func (Nowhere) Day(context.Context, Days) ([]Entry, error) { return nil, nowhere() }
