package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Organization is a hall or hospital (中医馆/机构).
type Organization struct{ Code, Name string }

// Resources builds the Organization.
func (o Organization) Resources() []Resource {
	id := OrganizationID(o.Code)
	return []Resource{{"Organization", id, r4.Organization{Id: &id, Active: ptr(true), Name: str(o.Name),
		Identifier: identifier("", SystemOrg, o.Code)}}}
}

// ReadOrganization reads one back.
func ReadOrganization(n fhir.Node) Organization {
	return Organization{Code: identified(n, SystemOrg), Name: n.Get("name").Str()}
}

// Practitioner is a doctor of an organisation.
type Practitioner struct{ OrgCode, No, Name string }

// Resources builds the Practitioner.
func (p Practitioner) Resources() []Resource {
	id := PractitionerID(p.OrgCode, p.No)
	out := r4.Practitioner{Id: &id, Active: ptr(true), Identifier: identifier("EI", SystemOf("practitioner", p.OrgCode), p.No)}
	out.Identifier[0].Assigner = orgRef(p.OrgCode, "")
	if p.Name != "" {
		out.Name = []r4.HumanName{{Text: &p.Name}}
	}
	return []Resource{{"Practitioner", id, out}}
}

// ReadPractitioner reads one back.
func ReadPractitioner(n fhir.Node) Practitioner {
	return Practitioner{
		OrgCode: n.Path("identifier", "assigner", "identifier", "value").Str(),
		No:      identified(n, Base+"/sid/practitioner/"),
		Name:    n.Path("name", "text").Str(),
	}
}
