package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// packaged are drugs that come in a box: common names, fictitious prices.
var packaged = []struct {
	kind, code, name, unit, usage string
	price                         yuan
}{
	{"western", "X1001", "阿莫西林胶囊", "盒", "口服 一次0.5g 一日3次", 1250},
	{"western", "X1002", "布洛芬缓释胶囊", "盒", "口服 一次0.3g 一日2次", 1860},
	{"western", "X1003", "奥美拉唑肠溶胶囊", "盒", "口服 一次20mg 一日1次", 980},
	{"western", "X1004", "硝苯地平控释片", "盒", "口服 一次30mg 一日1次", 2430},
	{"patent", "Z2001", "感冒清热颗粒", "盒", "开水冲服 一次1袋 一日2次", 1580},
	{"patent", "Z2002", "逍遥丸", "瓶", "口服 一次8丸 一日3次", 1920},
	{"patent", "Z2003", "六味地黄丸", "瓶", "口服 一次8丸 一日3次", 2210},
	{"patent", "Z2004", "血府逐瘀胶囊", "盒", "口服 一次6粒 一日2次", 3150},
}

// techniques are non-drug therapies.
var techniques = []struct {
	code, name string
	price      yuan
}{{"T3001", "普通针刺", 2000}, {"T3002", "艾灸治疗", 2500}, {"T3003", "拔罐疗法", 1800}, {"T3004", "推拿治疗", 3500}}

func (c *county) prescribe(r *rand.Rand, v *visit, cs Case, h, i int, at time.Time) {
	switch n := r.IntN(100); {
	case n < 70:
		v.Herbal = append(v.Herbal, c.herbal(r, v, cs, h, i, at))
	case n < 90:
		v.Western = append(v.Western, box(r, v, r.IntN(len(packaged)), at))
	}
	if r.IntN(100) < 15 {
		v.Western = append(v.Western, box(r, v, r.IntN(len(packaged)), at))
	}
	if r.IntN(100) < 25 {
		t := techniques[r.IntN(len(techniques))]
		v.Treatments = []line{{Code: t.code, Name: t.name, Quantity: 1, Price: t.price, Amount: t.price}}
	}
}

// herbal writes the case's formula with doses inside the pharmacopoeia's range,
// except for the planted peculiarities.
func (c *county) herbal(r *rand.Rand, v *visit, cs Case, h, i int, at time.Time) prescription {
	rx := prescription{No: "C" + v.VisitNo, Time: at.Add(8 * time.Minute).Format(time.DateTime), Type: "decoction", Formula: cs.Formula,
		Doses: 3 + 2*r.IntN(3), Usage: "水煎服，每日1剂，分2次温服", Frequency: "bid"}
	if r.IntN(100) < 15 {
		rx.Type, rx.Usage = "granule", "开水冲服，每日1剂，分2次"
	}
	if h == hallDear && c.on(h, at) {
		rx.Doses = dearDoses
	}
	names := append([]string(nil), cs.Herbs...)
	if h == hallClash && i == 3 { // the hall that joins what must not meet
		names = plant(plant(names, "甘草"), "甘遂")
	}
	over := h == hallOverdose && (at.YearDay()+i)%10 == 7 // the hall that doses too high
	excess := "附子"
	if over && c.clinic.clashes(set(plant(names, excess))) {
		excess = names[0] // an overdose only, no clash
	}
	if over {
		names = plant(names, excess)
	}
	for _, name := range names {
		herb, ok := c.clinic.herb(name)
		if !ok {
			continue
		}
		low, high := max(1, int(math.Ceil(herb.MinG))), int(math.Floor(herb.MaxG))
		dose := low
		if high > low {
			dose += r.IntN(high - low + 1)
		}
		if over && name == excess {
			dose = 2 * max(1, int(math.Floor(herb.MaxG)))
		}
		code, price := c.drug(h, name)
		it := item{Code: code, Name: name, Dose: dose, Unit: "g", Quantity: dose * rx.Doses, Price: price,
			Amount: price * yuan(dose*rx.Doses), Note: strings.Join(herb.Usage, "，")}
		rx.Amount += it.Amount
		rx.Items = append(rx.Items, it)
	}
	return rx
}

func set(names []string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func plant(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// drug is a herb's code and price in a hall's own dictionary.
func (c *county) drug(h int, name string) (code string, price yuan) {
	for i, x := range c.clinic.Herbs {
		if x.Name == name {
			return fmt.Sprint(5000 + h%10*500 + i), yuan(6 + c.source('f', h, i).IntN(60))
		}
	}
	return name, 10
}

func box(r *rand.Rand, v *visit, n int, at time.Time) prescription {
	p, boxes := packaged[n], 1+r.IntN(3)
	amount := p.price * yuan(boxes)
	return prescription{No: fmt.Sprintf("W%s%d", v.VisitNo, len(v.Western)+1), Time: at.Add(9 * time.Minute).Format(time.DateTime),
		Type: p.kind, Amount: amount, Items: []item{{Code: p.code, Name: p.name, Unit: p.unit, Quantity: boxes, Price: p.price,
			Amount: amount, Usage: p.usage}}}
}

// bill charges the consultation, each prescription and each treatment.
func (c *county) bill(v *visit, at time.Time) {
	when := at.Add(15 * time.Minute).Format(time.DateTime)
	add := func(name, category string, amount yuan) {
		v.Charges = append(v.Charges, line{No: fmt.Sprintf("F%s%02d", v.VisitNo, len(v.Charges)+1), Name: name, Category: category,
			Quantity: 1, Price: amount, Amount: amount, Time: when})
	}
	add("中医辨证论治费", "诊查费", 500)
	category := map[string]string{"decoction": "中药饮片", "granule": "中药配方颗粒", "patent": "中成药", "western": "西药"}
	for _, rx := range v.Herbal {
		add(category[rx.Type], category[rx.Type], rx.Amount)
	}
	for _, rx := range v.Western {
		add(rx.Items[0].Name, category[rx.Type], rx.Amount)
	}
	for _, t := range v.Treatments {
		add(t.Name, "治疗费", t.Amount)
	}
}
