package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Patient is a person as one organisation's HIS knows them.
type Patient struct {
	OrgCode    string
	No         string // HIS patient number (BRID)
	Name       string
	Gender     string // FHIR code: male female other unknown
	BirthDate  string // YYYY-MM-DD, YYYY-MM or YYYY
	NationalID string // 居民身份证号, never required
	Phone      string
	Address    string
	Postcode   string
	Marital    Coding // GB/T 2261.2
	Ethnicity  Coding // GB/T 3304
	Contact    Contact
}

// Contact is the person to call.
type Contact struct{ Name, Phone, Address string }

// Merge returns p with what only old knows: another door may have told more.
func (p Patient) Merge(old Patient) Patient {
	keep := func(v *string, o string) {
		if *v == "" {
			*v = o
		}
	}
	keep(&p.Name, old.Name)
	keep(&p.BirthDate, old.BirthDate)
	keep(&p.NationalID, old.NationalID)
	keep(&p.Phone, old.Phone)
	keep(&p.Address, old.Address)
	keep(&p.Postcode, old.Postcode)
	if p.Gender == "" || p.Gender == "unknown" && old.Gender != "" {
		p.Gender = old.Gender
	}
	if p.Marital == (Coding{}) {
		p.Marital = old.Marital
	}
	if p.Ethnicity == (Coding{}) {
		p.Ethnicity = old.Ethnicity
	}
	if p.Contact == (Contact{}) {
		p.Contact = old.Contact
	}
	return p
}

var genders = map[string]r4.AdministrativeGender{"male": r4.AdministrativeGenderMale, "female": r4.AdministrativeGenderFemale,
	"other": r4.AdministrativeGenderOther, "unknown": r4.AdministrativeGenderUnknown}

// Resources builds the Patient.
func (p Patient) Resources() []Resource {
	id := PatientID(p.OrgCode, p.No)
	out := r4.Patient{Id: &id, Active: ptr(true), ManagingOrganization: orgRef(p.OrgCode, ""), BirthDate: str(p.BirthDate),
		Identifier:    append(identifier("PI", SystemOf("patient", p.OrgCode), p.No), identifier("NI", SystemNationalID, p.NationalID)...),
		MaritalStatus: concept("", p.Marital)}
	if p.Name != "" {
		out.Name = []r4.HumanName{{Text: &p.Name}}
	}
	if g, ok := genders[p.Gender]; ok {
		out.Gender = &g
	}
	out.Telecom = phone(p.Phone)
	if p.Address != "" || p.Postcode != "" {
		out.Address = []r4.Address{{Text: str(p.Address), PostalCode: str(p.Postcode)}}
	}
	if p.Ethnicity.Code != "" {
		out.Extension = []r4.Extension{{Url: ExtEthnicity, ValueCoding: ptr(p.Ethnicity.model())}}
	}
	if c := p.Contact; c != (Contact{}) {
		pc := r4.PatientContact{Telecom: phone(c.Phone)}
		if c.Name != "" {
			pc.Name = &r4.HumanName{Text: &c.Name}
		}
		if c.Address != "" {
			pc.Address = &r4.Address{Text: &c.Address}
		}
		out.Contact = []r4.PatientContact{pc}
	}
	return []Resource{{"Patient", id, out}}
}

func phone(number string) []r4.ContactPoint {
	if number == "" {
		return nil
	}
	return []r4.ContactPoint{{System: ptr(r4.ContactPointSystemPhone), Value: &number}}
}

// ReadPatient reads one back.
func ReadPatient(n fhir.Node) Patient {
	return Patient{
		OrgCode:    n.Path("managingOrganization", "identifier", "value").Str(),
		No:         identified(n, Base+"/sid/patient/"),
		Name:       n.Path("name", "text").Str(),
		Gender:     n.Get("gender").Str(),
		BirthDate:  n.Get("birthDate").Str(),
		NationalID: identified(n, SystemNationalID),
		Phone:      n.Path("telecom", "value").Str(),
		Address:    n.Path("address", "text").Str(),
		Postcode:   n.Path("address", "postalCode").Str(),
		Marital:    coded(n.Get("maritalStatus"), SystemMarital),
		Ethnicity:  codingOf(extension(n, ExtEthnicity).Get("valueCoding")),
		Contact: Contact{Name: n.Path("contact", "name", "text").Str(),
			Phone: n.Path("contact", "telecom", "value").Str(), Address: n.Path("contact", "address", "text").Str()},
	}
}
