package ncms

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Money is an exact amount in yuan.
type Money = decimal.Decimal

// maxMoneyText bounds an amount as sent: beyond it decimal arithmetic is the
// sender's weapon, not a bill.
const maxMoneyText = 24

// ParseMoney reads an amount as hospital systems write it: digits with an
// optional sign and fraction; "" and "null" are zero. Exponents are refused.
// fault.Invalid names the member, not the value.
func ParseMoney(member, text string) (Money, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "null" {
		return Money{}, nil
	}
	if len(text) <= maxMoneyText && strings.Trim(text, "+-.0123456789") == "" {
		if d, err := decimal.NewFromString(text); err == nil {
			return d, nil
		}
	}
	return Money{}, fault.New(fault.Invalid, "%s 不是金额", member).With(fault.Issue{Severity: "error", Code: "value", Key: "bad-money",
		Text: member + " 不是金额", TextEN: member + " is no amount", Expression: member, Hint: "应为元，例如 31.26"})
}

// FormatMoney writes an amount with at least two decimals, as bills show it.
func FormatMoney(m Money) string {
	if m.Exponent() < -2 {
		return m.String()
	}
	return m.StringFixed(2)
}
