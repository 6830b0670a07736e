package ledger

import (
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// row is one record of a table, whatever carried it.
type row struct {
	get    func(column string) string // "" = absent; names without regard to case
	place  func(column string) string // for people and programs
	repeat int                        // rows before it in the message with the same key
}

// settlement is what a row tells.
type settlement struct {
	card    record.Card
	benefit record.Benefit
	bill    *record.Bill // a hall's own row
}

// layout is one kind of table.
type layout struct {
	tables  []string // names, upper case
	columns []string // that tell it without a name
	read    func(l *Ledger, r row) (*settlement, error)
}

// layouts are the tables of xnh_interface.json, and the monthly file of old
// county systems (bcmxYYYYMM.dbf).
var layouts = []layout{
	{[]string{"NH_BSOFT_JSJL_MZ_DZ", "NH_BSOFT_JSJL", "NH_BSOFT_JSJL_MZ"}, []string{"BXID", "SUM31"}, (*Ledger).hallRow},
	{[]string{"NH_BSOFT_MXDZ"}, []string{"BXID", "SBJE", "JYLX"}, (*Ledger).centreRow},
	{[]string{"BCMX"}, []string{"DJH", "ZFY", "BCJE"}, (*Ledger).monthRow},
}

// layoutOf finds the layout of a table by the beginning of its name, else by its
// columns.
func layoutOf(table string, has func(column string) bool) (*layout, error) {
	table = strings.ToUpper(table)
	for i := range layouts {
		for _, t := range layouts[i].tables {
			if table == t || t == "BCMX" && strings.HasPrefix(table, t) {
				return &layouts[i], nil
			}
		}
	}
	for i := range layouts {
		all := true
		for _, c := range layouts[i].columns {
			all = all && has(c)
		}
		if all {
			return &layouts[i], nil
		}
	}
	text := "不认识表 " + table
	return nil, fault.New(fault.Unsupported, "%s", text).With(fault.Issue{Severity: "error", Code: "not-supported", Key: "unknown-table", Text: text, Expression: "table",
		Hint: "应为 NH_BSOFT_JSJL_MZ_DZ、NH_BSOFT_MXDZ 或 bcmxYYYYMM"})
}

// bad names what is wrong with a value of a row, not the value.
func bad(r row, column, what string) error {
	text := r.place(column) + " " + what
	return fault.New(fault.Invalid, "%s", text).With(fault.Issue{Severity: "error", Code: "value", Key: "bad-row", Text: text, Expression: r.place(column)})
}

func (r row) need(columns ...string) error {
	for _, c := range columns {
		if r.get(c) == "" {
			return bad(r, c, "不能为空")
		}
	}
	return nil
}

func (r row) money(column string) (ncms.Money, error) {
	m, err := ncms.ParseMoney(column, r.get(column))
	if err != nil {
		return m, bad(r, column, "不是金额")
	}
	return m, nil
}

// dateLayouts are the forms of dates and times in these tables.
var dateLayouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04:05.0", "2006-01-02", "20060102", "2006/01/02", "2006/1/2 15:04:05", "2006/1/2",
	"20060102150405", time.RFC3339}

// dateTime reads a time as FHIR writes it; "" where the row has none.
func (l *Ledger) dateTime(r row, column string) (string, error) {
	v := r.get(column)
	if v == "" {
		return "", nil
	}
	for _, form := range dateLayouts {
		t, err := time.ParseInLocation(form, v, l.cfg.Zone)
		switch {
		case err != nil:
		case len(form) <= len("2006-01-02"):
			return t.Format(time.DateOnly), nil
		default:
			return t.Format(time.RFC3339), nil
		}
	}
	return "", bad(r, column, "不是日期")
}

// hallRow reads NH_BSOFT_JSJL_MZ_DZ: the hall's own record, which is an Invoice,
// and an ExplanationOfBenefit as long as nobody better told of it.
func (l *Ledger) hallRow(r row) (*settlement, error) {
	if err := r.need("BXID"); err != nil {
		return nil, err
	}
	at, err := l.dateTime(r, "JSRQ")
	if err != nil {
		return nil, err
	}
	sums := ncms.Sums{}
	for n := 1; n <= ncms.SumCount; n++ {
		key := ncms.SumKey(n)
		if v := r.get(key); v != "" {
			if _, err := r.money(key); err != nil {
				return nil, err
			}
			sums[key] = v
		}
	}
	for _, k := range []string{ncms.SumTotal, ncms.SumScheme} {
		if sums[k] == "" {
			sums[k] = "0"
		}
	}
	void := r.get("ZFPB")
	b := &record.Bill{Source: l.cfg.Source, ID: r.get("BXID"), Repeat: r.repeat, Serial: r.get("MZXH"), Invoice: r.get("FPHM"), Number: r.get("DJID"),
		Hospital: r.get("JGID"), Card: r.get("ICKH"), At: at, Void: void != "" && void != "0" && void != "0.0", Sums: sums}
	if b.Number == "" {
		b.Number = r.get("DJLSH")
	}
	card := record.Card{Source: l.cfg.Source, Person: ncms.Person{Card: b.Card, Insurance: "380"}}
	e := record.Benefit{Source: l.cfg.Source, ID: b.ID, Invoice: b.Invoice, Number: b.Number, Hospital: b.Hospital, Card: b.Card, Inpatient: r.get("JZLB") == "3",
		Sums: sums, At: at, Cancelled: b.Void, Note: r.get("BZ"), Teller: record.ByHospital}
	return &settlement{card, e, b}, nil
}

// centreRow reads NH_BSOFT_MXDZ: the centre's list as a hall keeps it.
func (l *Ledger) centreRow(r row) (*settlement, error) {
	if err := r.need("BXID"); err != nil {
		return nil, err
	}
	at, err := l.dateTime(r, "JYSJ")
	if err != nil {
		return nil, err
	}
	total, err := r.money("ZJJE")
	if err != nil {
		return nil, err
	}
	paid, err := r.money("SBJE")
	if err != nil {
		return nil, err
	}
	e := record.Benefit{Source: l.cfg.Source, ID: r.get("BXID"), Invoice: r.get("FPHM"), Number: r.get("DJLSH"), Hospital: r.get("JGID"), Card: r.get("ICKH"),
		Sums: ncms.SumsOf(total, paid), At: at, Cancelled: strings.HasPrefix(r.get("JYLX"), "-"), Teller: record.ByFile}
	return &settlement{card: record.Card{Source: l.cfg.Source, Person: ncms.Person{Card: e.Card, Insurance: "380"}}, benefit: e}, nil
}

// monthRow reads bcmxYYYYMM.dbf: its numbers are 登记号 and 医疗证号, and a book
// belongs to a family, so the name is part of who it is.
func (l *Ledger) monthRow(r row) (*settlement, error) {
	if err := r.need("DJH", "YLZH"); err != nil {
		return nil, err
	}
	at, err := l.dateTime(r, "JZRQ")
	if err != nil {
		return nil, err
	}
	total, err := r.money("ZFY")
	if err != nil {
		return nil, err
	}
	paid, err := r.money("BCJE")
	if err != nil {
		return nil, err
	}
	counts, err := r.money("KBFY")
	if err != nil {
		return nil, err
	}
	book, name := r.get("YLZH"), r.get("XM")
	card := record.Card{Source: l.cfg.Source, PatientID: tcm.ID("pat", "ncms-book", l.cfg.Source, book, name), Make: true,
		Person: ncms.Person{Card: book, Book: book, Name: name, Sex: r.get("XB"), Insurance: "380"}}
	sums := ncms.SumsOf(total, paid)
	sums["sum04"] = ncms.FormatMoney(counts)
	e := record.Benefit{Source: l.cfg.Source, ID: r.get("DJH"), Number: r.get("DJH"), Hospital: r.get("YYDM"), Card: book, Inpatient: r.get("JZLX") == "2",
		Sums: sums, At: at, Teller: record.ByFile}
	if c := r.get("ICD10"); c != "" {
		e.Diagnoses = append(e.Diagnoses, ncms.Diagnosis{Kind: "1", Code: c})
	}
	if c := r.get("ZYJB"); c != "" {
		e.Diagnoses = append(e.Diagnoses, ncms.Diagnosis{Kind: "2", Code: c})
	}
	return &settlement{card: card, benefit: e}, nil
}
