package yb

import (
	"strings"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// identity is the input of 1101.
type identity struct {
	Kind     text `json:"mdtrt_cert_type"`
	Number   text `json:"mdtrt_cert_no"`
	CardSN   text `json:"card_sn"`
	Begin    text `json:"begntime"`
	CertType text `json:"psn_cert_type"`
	CertNo   text `json:"certno"`
	Name     text `json:"psn_name"`
}

// The kinds of a certificate (mdtrt_cert_type).
const (
	certID   = "02"
	certCard = "03"
)

// certKind is the kind of a number as its shape tells.
func certKind(number string) string {
	if len(number) == 18 && strings.Trim(number[:17], "0123456789") == "" {
		return certID
	}
	return certCard
}

func identityOf(q ncms.Card, now string) identity {
	kind := q.Kind
	if kind == "" {
		kind = certKind(q.Number)
	}
	out := identity{Kind: text(kind), Number: text(q.Number), Begin: text(now), CertType: "01"}
	if kind == certID {
		out.CertNo = text(q.Number)
	}
	return out
}

// personOut is the output of 1101.
type personOut struct {
	Base struct {
		Number   text `json:"psn_no"`
		CertType text `json:"psn_cert_type"`
		CertNo   text `json:"certno"`
		Name     text `json:"psn_name"`
		Sex      text `json:"gend"`
		Nation   text `json:"naty"`
		Birth    text `json:"brdy"`
		Age      text `json:"age"`
	} `json:"baseinfo"`
	Insured  []insured `json:"insuinfo"`
	Identity []text    `json:"idetinfo"`
}

type insured struct {
	Balance text `json:"balc"`
	Kind    text `json:"insutype"`
	Person  text `json:"psn_type"`
	Civil   text `json:"cvlserv_flag"`
	Area    text `json:"insuplc_admdvs"`
	Company text `json:"emp_name"`
	State   text `json:"psn_insu_stas"`
	Since   text `json:"psn_insu_date"`
	Paused  text `json:"paus_insu_date"`
}

// insuredActive is psn_insu_stas 正常参保.
const insuredActive = "1"

func (o personOut) port(card string) ncms.Person {
	b := o.Base
	p := ncms.Person{Number: b.Number.String(), Card: card, Name: b.Name.String(), Sex: b.Sex.String(), Birth: b.Birth.String(), NationalID: b.CertNo.String()}
	for _, i := range o.Insured {
		if i.State == insuredActive || i.State == "" {
			p.Insurance, p.Area = i.Kind.String(), i.Area.String()
			break
		}
	}
	return p
}

// active reports whether some insurance pays.
func (o personOut) active() bool {
	for _, i := range o.Insured {
		if i.State == insuredActive || i.State == "" {
			return true
		}
	}
	return false
}

func personOutOf(p ncms.Person) personOut {
	var o personOut
	o.Base.Number, o.Base.CertType, o.Base.CertNo, o.Base.Name = text(p.Number), "01", text(p.NationalID), text(p.Name)
	o.Base.Sex, o.Base.Birth = text(p.Sex), text(p.Birth)
	kind := p.Insurance
	if kind == "" {
		kind = "390"
	}
	o.Insured = []insured{{Balance: "0", Kind: text(kind), Civil: "0", Area: text(p.Area), State: insuredActive}}
	o.Identity = []text{}
	return o
}
