package cda

import "github.com/qihuang-health/qihuang/internal/xmlread"

// Namespace of CDA documents.
const Namespace = "urn:hl7-org:v3"

// Object identifiers of WS/T 500.
const (
	RootDocument   = "2.16.156.10011.1.1"  // 文档流水号
	RootRecord     = "2.16.156.10011.1.2"  // 健康档案标识号
	RootNationalID = "2.16.156.10011.1.3"  // 居民身份证号
	RootStaff      = "2.16.156.10011.1.4"  // 医务人员
	RootOrg        = "2.16.156.10011.1.5"  // 医疗机构组织机构代码
	RootAuthor     = "2.16.156.10011.1.7"  // 文档创作者
	RootOutpatient = "2.16.156.10011.1.11" // 门(急)诊号
	RootInpatient  = "2.16.156.10011.1.12" // 住院号
	RootRx         = "2.16.156.10011.1.20" // 处方编号
	RootDepartment = "2.16.156.10011.1.26" // 科室

	SystemDocuments = "2.16.156.10011.2.4"   // 卫生信息共享文档规范编码体系
	SystemElements  = "2.16.156.10011.2.2.1" // 卫生信息数据元目录
	SystemFrontPage = "2.16.156.10011.2.2.4" // 住院病案首页基本数据集 (its internal ids, HDSD…)
	SystemTCM       = "2.16.156.10011.2.3.3.14"
	SystemICD10     = "2.16.156.10011.2.3.3.11"
	SystemGender    = "2.16.156.10011.2.3.3.4"
	SystemMarital   = "2.16.156.10011.2.3.3.5"
	SystemEthnicity = "2.16.156.10011.2.3.3.3"
	SystemRoute     = "2.16.156.10011.2.3.1.158"
	SystemFrequency = "2.16.156.10011.2.3.1.267"
	SystemForm      = "2.16.156.10011.2.3.1.211"
	SystemLOINC     = "2.16.840.1.113883.6.1"
)

// Document is one shared document. Times are HL7 timestamps as written
// (20261012083600); "" means absent everywhere.
type Document struct {
	Template   string // C0002, from code/@code
	TemplateID string // OID of templateId
	ID         ID
	Title      string
	Time       string
	SetID      ID
	Version    string
	Patient    Patient
	Authors    []Author
	Custodian  Organization
	Signers    []Signer
	Stay       Stay
	Sections   []Section

	el *xmlread.Element
}

// ID is an instance identifier (II).
type ID struct {
	Root, Extension string
	Authority       string // assigningAuthorityName
}

// Code is a coded value (CD, CE). A value that has no code carries NullFlavor
// and the words in Original.
type Code struct {
	Code, System, SystemName, Version, Display string
	Original, NullFlavor                       string
	Local                                      *Code // translation: the sender's own code
}

// Patient is recordTarget.
type Patient struct {
	IDs               []ID // of the role: visit, prescription, report …
	Numbers           []ID // of the person: identity card …
	Name              string
	Gender            Code
	BirthTime         string
	Age               string
	AgeUnit           string
	Marital           Code
	Ethnicity         Code
	Phone             string
	Address, Postcode string
	Department        Organization
	Organization      Organization

	el *xmlread.Element
}

// Organization is a department or a whole organisation.
type Organization struct {
	ID   ID
	Name string
}

// Stay is componentOf: the encounter that the document belongs to, with where it
// was, from the inside out (病床, 病房, 病区, 科室).
type Stay struct {
	Start, End string
	Places     []Organization
}

// Empty reports whether nothing is said of a stay.
func (s Stay) Empty() bool { return s.Start == "" && s.End == "" && len(s.Places) == 0 }

// Author is who wrote the document, and when.
type Author struct {
	Time string
	ID   ID
	Name string
}

// Signer is who signed it, in what role.
type Signer struct {
	Legal bool // legalAuthenticator, else authenticator
	Time  string
	ID    ID
	Role  string
	Name  string
}

// Section is one section; Text is its narrative as plain text.
type Section struct {
	Code    Code
	Title   string
	Text    string
	Entries []Entry

	el *xmlread.Element
}

// The kinds of an entry, the names of its CDA elements.
const (
	Observation = "observation"
	Drug        = "substanceAdministration"
	Organizer   = "organizer"
	Procedure   = "procedure"
	Act         = "act"
)

// Entry is one clinical statement: mostly an observation of one data element.
type Entry struct {
	Kind      string
	ID        ID
	Code      Code
	Qualifier string // name of the qualifier, which tells elements of one number apart
	Text      string
	Time      string
	Value     Value
	Medicine  *Medicine // of a substanceAdministration
	Parts     []Entry   // entryRelationship, component

	el *xmlread.Element
}

// Name is what the entry's data element is called here.
func (e *Entry) Name() string {
	if e.Qualifier != "" {
		return e.Qualifier
	}
	return e.Code.Display
}

// Value is a typed value: ST, CD, PQ, BL, INT, TS, MO; "" is none.
type Value struct {
	Type       string
	Text       string // of all but CD: the text, number, flag or timestamp
	Unit       string // of PQ; the currency of MO
	Code       Code   // of CD
	NullFlavor string
}

// Empty reports whether the value says nothing.
func (v Value) Empty() bool {
	return v.Text == "" && v.Code == (Code{}) && v.NullFlavor == ""
}

// Medicine is what a substanceAdministration gives.
type Medicine struct {
	Code      Code // the sender's drug code
	Name      string
	Route     Code
	Dose      Value // PQ
	Frequency Code
	Form      Code
}
