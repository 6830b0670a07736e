package ncms

// Kind is one of the centre's catalogues.
type Kind string

// The catalogues.
const (
	Drugs     Kind = "1" // 药品目录 getYpml
	Services  Kind = "2" // 诊疗目录 getZlml
	Diseases  Kind = "3" // 疾病目录 getJbml
	DrgGroups Kind = "4" // 单病种目录 getDbzml
)

// CatalogueQuery asks for entries.
type CatalogueQuery struct {
	Caller
	Kind    Kind
	Version string // the newest already known; "" = everything
}

// CatalogueEntry is one thing the scheme pays for.
type CatalogueEntry struct {
	Code    string // YPXH, FYXH, CODE
	Name    string
	Unit    string
	Spec    string
	Form    string
	ICD10   string // of diseases
	Own     string // ZFBL 自费比例, 0…1
	OwnOut  string // MZZFBL 门诊自费比例
	Ceiling string // DJXE 单价限额
	Version string
}

// Mapping proposes that a hall's code be paid as a scheme code.
type Mapping struct {
	Code, Name, Spec string
	Price            string
	SchemeCode       string
	Maker            string
}

// Approval is what became of a proposal (NHBM_SH).
type Approval struct {
	State  string // 0 未对照, 1 审核通过, 2 不通过, 9 已对照
	Own    string // zfbl
	OwnOut string // mzzfbl
}
