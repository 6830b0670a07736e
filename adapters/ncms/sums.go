package ncms

import "fmt"

// Sums are the results of a computation by their number in the xnh dialect:
// sum01 … sum40, as exact decimal text. Absent = "0".
type Sums map[string]string

// The sums that every settlement has.
const (
	SumTotal   = "sum31" // 费用总额
	SumScheme  = "sum01" // 本次补偿
	SumPatient = "sum21" // 个人负担
)

// SumNames are the meanings of the sums that are documented.
var SumNames = map[string]string{
	"sum01": "本次门诊补偿费用", "sum04": "本次列入可补偿范围医疗费用", "sum05": "本次二次补偿金额", "sum06": "本年补偿累计金额",
	"sum07": "本年住院累计列入可补偿范围医疗费用", "sum08": "本年累计补偿次数", "sum09": "妇幼保健补偿", "sum10": "优抚补偿金额",
	"sum11": "本次门诊医疗救助补偿金额", "sum13": "本年累计门诊医疗救助补偿金额", "sum14": "本年累计住院医疗救助补偿金额",
	"sum18": "病种核定价格", "sum19": "实际医疗费用", "sum20": "合作医疗基金负担金额", "sum21": "个人负担金额", "sum22": "医院盈利",
	"sum23": "单独结算按比例补偿部分", "sum24": "单独结算按比例补偿部分", "sum25": "单独结算按比例补偿部分",
	"sum26": "单独结算自费部分", "sum27": "单独结算自费部分",
	"sum31": "费用总额", "sum32": "个人自交", "sum33": "累积费用总额",
}

// SumKey is the name of sum n.
func SumKey(n int) string { return fmt.Sprintf("sum%02d", n) }

// SumCount is the highest number of a sum.
const SumCount = 40

// Money reads one sum.
func (s Sums) Money(key string) (Money, error) { return ParseMoney(key, s[key]) }

// Of makes the sums of a settlement of which only the total and the scheme's
// part are known.
func SumsOf(total, scheme Money) Sums {
	return Sums{SumTotal: FormatMoney(total), SumScheme: FormatMoney(scheme), SumPatient: FormatMoney(total.Sub(scheme))}
}
