package ncms

import "context"

// Scheme is all that a scheme centre does for a hall. Errors of every method:
// *Refused when the centre said no; *Lost when the request may have taken effect
// but no answer came; fault.Unavailable when it did not get there; fault.Invalid
// when the request cannot be put into the centre's dialect.
type Scheme interface {
	Enrolment
	Registry
	Cashier
	Ledger
}

// Enrolment tells who is insured.
type Enrolment interface {
	// Eligible looks a person up by card (checkGRZH, 1101). Who is not insured is
	// *Refused.
	Eligible(ctx context.Context, q Card) ([]Person, error)
}

// Registry opens a visit at the centre and takes its bill.
type Registry interface {
	// Register opens a visit and returns its number (Mzdj, Zydj → djid; 2201 and
	// 2203 → mdtrt_id).
	Register(ctx context.Context, r Registration) (number string, err error)
	// Cancel takes a registration back (CancleZydj, 2202).
	Cancel(ctx context.Context, v Visit) error
	// Upload adds items to a visit's bill (UploadFyxx czlx=1, 2204).
	Upload(ctx context.Context, d Details) error
	// Retract takes all items of a visit back (UploadFyxx czlx=2, 2205).
	Retract(ctx context.Context, v Visit) error
}

// Cashier computes, pays and takes back.
type Cashier interface {
	// Try computes what the scheme would pay, without effect (FybxYjs, 2206).
	Try(ctx context.Context, b Bill) (*Trial, error)
	// Settle pays (FybxJs → bxid; 2207 → setl_id). A second invoice of the same
	// number is *Refused with Duplicate.
	Settle(ctx context.Context, b Bill) (*Settlement, error)
	// Reverse takes a settlement back (ReSaveFybx, 2208). Doing so again is
	// *Refused.
	Reverse(ctx context.Context, r Reversal) error
}

// Ledger is the centre's own list of what it paid.
type Ledger interface {
	// Day lists the settlements and reversals of some days (MrdzMx, 3202).
	Day(ctx context.Context, q Days) ([]Entry, error)
}

// Catalogues are the centre's lists of what it pays for, and the approval of a
// hall's own codes against them. Only the xnh dialect has them.
type Catalogues interface {
	// Catalogue downloads the entries newer than a version ("" = all).
	Catalogue(ctx context.Context, q CatalogueQuery) ([]CatalogueEntry, error)
	// Propose asks that hall codes be paid as scheme codes (uploadDzml).
	Propose(ctx context.Context, who Caller, kind Kind, items []Mapping) error
	// Approval tells what became of a proposal (getDzmlByItem).
	Approval(ctx context.Context, who Caller, kind Kind, code string) (Approval, error)
}

// Diagnoser takes the diagnoses of a visit after it was opened (2203): an
// ability of the yb dialect, whose hospital systems send them apart.
type Diagnoser interface {
	Diagnose(ctx context.Context, v Visit, diagnoses []Diagnosis) error
}

// Caller is who asks: common to every request.
type Caller struct {
	Hospital     string // yybh 医院编号, fixmedins_code
	HospitalName string // fixmedins_name
	Operator     string // operator 操作员, opter
	OperatorName string // opter_name
	IP, Port     string // of the front-end processor (前置机), xnh only
}

// Card asks about a person.
type Card struct {
	Caller
	Number string // cardid, mdtrt_cert_no
	Kind   string // mdtrt_cert_type: 01 电子凭证, 02 身份证, 03 社保卡; "" = card of the scheme
	Year   string
}

// Person is someone insured.
type Person struct {
	Number     string // grbh 个人编号, psn_no
	Card       string // nhkh 农合卡号
	Book       string // ylzh 医疗证号, of the family
	Name       string
	Sex        string // GB/T 2261.1: 1 男, 2 女
	Birth      string // YYYY-MM-DD
	NationalID string
	Phone      string
	Address    string
	Insurance  string // insutype: 380 新农合, 390 城乡居民 …
	Area       string // insuplc_admdvs 参保地区划
}

// Visit names a registration.
type Visit struct {
	Caller
	Number    string // djid, mdtrt_id
	Person    string // grbh, psn_no
	Inpatient bool   // jzlx 2
}

// Registration opens a visit.
type Registration struct {
	Caller
	Card, Person string
	Year, Date   string // Date YYYY-MM-DD
	Condition    string // ryzt 入院状态
	Inpatient    bool
	StayNo       string // zyh 住院号
	VisitNo      string // ipt_otp_no 门诊号, "" = StayNo
	Insurance    string // insutype
	Diagnoses    []Diagnosis
	Doctor       string
	DoctorName   string
	Department   string
	Drgs         bool // 单病种
}

// Diagnosis of a registration; the first is the main one.
type Diagnosis struct {
	Kind       string // 1 西医, 2 中医主病, 3 中医主证
	Code, Name string
}

// Details are items of a visit's bill.
type Details struct {
	Visit
	Items []Item
}

// Item is one line of a bill.
type Item struct {
	Drug         bool   // ypArr, else zlArr
	SchemeCode   string // xnhbm 农合编码, med_list_codg
	SchemeName   string // xnhmc
	Code         string // icode 院内编码, medins_list_codg
	Name         string // ypmc
	Spec         string // ypgg
	Unit         string // jldw
	Form         string // ypjx 剂型
	Origin       string // ypcd 产地
	Quantity     string // ypsl
	Price        string // ypdj, any number of decimals
	Amount       Money  // ypje, je
	Date         string // billdate
	Doses        string // ypzyfs 剂数
	Prescription string // cfsb 处方号
	Doctor       string // kfys
}

// Bill asks to compute or pay.
type Bill struct {
	Visit
	Card        string
	Year        string
	Total       Money  // fpje; zero where the dialect does not say it
	Invoice     string // fphm 发票号
	InvoiceDate string // fprq
	StayNo      string // zyh
	Interim     bool   // ztjsbj 中途结算
	Drgs        bool
	Stay        map[string]string // further members of an inpatient bill, as sent
}

// Trial is what the scheme would pay.
type Trial struct {
	Sums Sums
	Note string // bz
}

// Settlement is what the scheme paid.
type Settlement struct {
	ID   string // bxid 报销编码, setl_id
	Sums Sums   // empty where the dialect answers the number only
}

// Reversal takes a settlement back.
type Reversal struct {
	Visit
	ID      string // bxid
	Invoice string // invoiceId
	Card    string
	Year    string
	Drgs    bool
}

// Days asks for a list; From and To are YYYY-MM-DD, both included.
type Days struct {
	Caller
	From, To  string
	Inpatient bool // dzlx 2
}

// Entry is one line of the centre's list.
type Entry struct {
	ID      string // BXID
	Invoice string // FPHM
	Visit   string // DJLSH
	Card    string // ICKH
	Total   Money  // ZJJE
	Paid    Money  // SBJE
	Time    string // JYSJ, YYYY-MM-DD HH:MM:SS
	Void    bool   // JYLX -1
}
