package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// The levels of an organisation, codes of [SystemLevel]. Counties hang below a
// city, cities below the province, and what treats people below a county.
const (
	Province  = "province"
	City      = "city"
	County    = "county"
	Hospital  = "hospital"
	Community = "community"
	Township  = "township"
	Village   = "village"
	Hall      = "hall"
)

var levelNames = map[string]string{Province: "省级", City: "市级", County: "县级", Hospital: "中医医院", Community: "社区卫生服务中心",
	Township: "乡镇卫生院", Village: "村卫生室", Hall: "中医馆"}

// Organization is a hall or hospital (中医馆/机构), or an authority above halls.
type Organization struct {
	Code, Name     string
	Level          string // Province … Hall; "" = not said
	Phone, Address string
	InCity, Area   string // names of the city and of its county or district
	Above          string // organisation code of the authority, "" = none
}

// Resources builds the Organization.
func (o Organization) Resources() []Resource {
	id := OrganizationID(o.Code)
	out := r4.Organization{Id: &id, Active: ptr(true), Name: str(o.Name), Identifier: identifier("", SystemOrg, o.Code), Telecom: phone(o.Phone), PartOf: orgRef(o.Above, "")}
	if o.Level != "" {
		out.Type = []r4.CodeableConcept{conceptValue("", Coding{SystemLevel, o.Level, levelNames[o.Level]})}
	}
	if o.Address != "" || o.InCity != "" || o.Area != "" {
		out.Address = []r4.Address{{Text: str(o.Address), City: str(o.InCity), District: str(o.Area)}}
	}
	return []Resource{{"Organization", id, out}}
}

// ReadOrganization reads one back.
func ReadOrganization(n fhir.Node) Organization {
	return Organization{Code: identified(n, SystemOrg), Name: n.Get("name").Str(), Level: coded(n.Get("type").At(0), SystemLevel).Code,
		Phone: n.Path("telecom", "value").Str(), Address: n.Path("address", "text").Str(),
		InCity: n.Path("address", "city").Str(), Area: n.Path("address", "district").Str(), Above: n.Path("partOf", "identifier", "value").Str()}
}

// Practitioner is a doctor of an organisation.
type Practitioner struct {
	OrgCode, No, Name string
	Licence           string // 医师执业证书编码
	Qualification     string // 执业资格, words: 中医执业医师 …
	Renowned          string // 名老中医称号
	School            string // 学术流派
}

// Resources builds the Practitioner.
func (p Practitioner) Resources() []Resource {
	id := PractitionerID(p.OrgCode, p.No)
	out := r4.Practitioner{Id: &id, Active: ptr(true), Identifier: identifier("EI", SystemOf("practitioner", p.OrgCode), p.No)}
	out.Identifier[0].Assigner = orgRef(p.OrgCode, "")
	if p.Name != "" {
		out.Name = []r4.HumanName{{Text: &p.Name}}
	}
	if p.Qualification != "" {
		out.Qualification = []r4.PractitionerQualification{{Code: conceptValue(p.Qualification), Identifier: identifier("MD", SystemLicence, p.Licence)}}
	}
	for _, x := range [][2]string{{ExtRenowned, p.Renowned}, {ExtSchool, p.School}} {
		if x[1] != "" {
			out.Extension = append(out.Extension, r4.Extension{Url: x[0], ValueString: &x[1]})
		}
	}
	return []Resource{{"Practitioner", id, out}}
}

// ReadPractitioner reads one back.
func ReadPractitioner(n fhir.Node) Practitioner {
	return Practitioner{
		OrgCode:       n.Path("identifier", "assigner", "identifier", "value").Str(),
		No:            identified(n, Base+"/sid/practitioner/"),
		Name:          n.Path("name", "text").Str(),
		Licence:       n.Path("qualification", "identifier", "value").Str(),
		Qualification: n.Path("qualification", "code", "text").Str(),
		Renowned:      extension(n, ExtRenowned).Get("valueString").Str(),
		School:        extension(n, ExtSchool).Get("valueString").Str(),
	}
}

// Role is where a doctor practises, as what and with which specialties (执业关系).
type Role struct {
	OrgCode, StaffNo string
	Title            string   // 职称
	Specialties      []string // 专长, words
}

// ID is the PractitionerRole's resource id.
func (r Role) ID() string { return ID("role", r.OrgCode, r.StaffNo) }

// Resources builds the PractitionerRole.
func (r Role) Resources() []Resource {
	id := r.ID()
	out := r4.PractitionerRole{Id: &id, Active: ptr(true), Practitioner: ref("Practitioner", PractitionerID(r.OrgCode, r.StaffNo), ""), Organization: orgRef(r.OrgCode, ""),
		Identifier: identifier("EI", SystemOf("practitioner", r.OrgCode), r.StaffNo)}
	if r.Title != "" {
		out.Code = []r4.CodeableConcept{conceptValue(r.Title)}
	}
	for _, s := range r.Specialties {
		out.Specialty = append(out.Specialty, conceptValue(s))
	}
	return []Resource{{"PractitionerRole", id, out}}
}

// ReadRole reads one back.
func ReadRole(n fhir.Node) Role {
	r := Role{OrgCode: n.Path("organization", "identifier", "value").Str(), StaffNo: identified(n, Base+"/sid/practitioner/"), Title: n.Path("code", "text").Str()}
	for s := range n.Get("specialty").Children() {
		r.Specialties = append(r.Specialties, s.Get("text").Str())
	}
	return r
}

// Service is what a hall offers (服务项目: 针灸, 膏方, 治未病 …).
type Service struct {
	OrgCode, Name, Kind string
	Comment             string
}

// ID is the HealthcareService's resource id.
func (s Service) ID() string { return ID("svc", s.OrgCode, s.Name) }

// Resources builds the HealthcareService.
func (s Service) Resources() []Resource {
	id := s.ID()
	out := r4.HealthcareService{Id: &id, Active: ptr(true), ProvidedBy: orgRef(s.OrgCode, ""), Name: str(s.Name), Comment: str(s.Comment)}
	if s.Kind != "" {
		out.Type = []r4.CodeableConcept{conceptValue(s.Kind)}
	}
	return []Resource{{"HealthcareService", id, out}}
}

// ReadService reads one back.
func ReadService(n fhir.Node) Service {
	return Service{OrgCode: n.Path("providedBy", "identifier", "value").Str(), Name: n.Get("name").Str(), Kind: n.Path("type", "text").Str(), Comment: n.Get("comment").Str()}
}

// Device is an instrument of a hall (舌象仪, 脉诊仪).
type Device struct {
	OrgCode, No         string
	Kind                Coding // [SystemDevice]
	Manufacturer, Model string
}

// ID is the Device's resource id.
func (d Device) ID() string { return ID("dev", d.OrgCode, d.No) }

// Resources builds the Device.
func (d Device) Resources() []Resource {
	id := d.ID()
	return []Resource{{"Device", id, r4.Device{Id: &id, Status: ptr(r4.FHIRDeviceStatusActive), Identifier: identifier("", SystemOf("device", d.OrgCode), d.No), Type: concept("", d.Kind),
		Manufacturer: str(d.Manufacturer), ModelNumber: str(d.Model), Owner: orgRef(d.OrgCode, "")}}}
}

// ReadDevice reads one back.
func ReadDevice(n fhir.Node) Device {
	return Device{OrgCode: n.Path("owner", "identifier", "value").Str(), No: identified(n, Base+"/sid/device/"), Kind: coded(n.Get("type"), SystemDevice),
		Manufacturer: n.Get("manufacturer").Str(), Model: n.Get("modelNumber").Str()}
}
