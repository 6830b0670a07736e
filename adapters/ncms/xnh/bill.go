package xnh

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// trial is FybxYjs.
type trial struct {
	visit
	Card   text `json:"cardid"`
	Person text `json:"grbh"`
	Total  text `json:"fpje"`
	Year   text `json:"Year"`
}

// stayMembers are the further members of an inpatient's FybxYjs.
var stayMembers = []string{"ICD10", "jbmc", "brzg", "ryks", "cyks", "jzys", "ryrq", "cyrq", "sjzyts", "sfzz", "zcfmzy", "mzyxbz", "mzfs"}

func trialOf(b ncms.Bill) string {
	service := opTry.service
	if b.Drgs {
		service = opTryDrgs.service
	}
	t := trial{visit: visitOf(b.Visit, service), Card: text(b.Card), Person: text(b.Person), Total: text(ncms.FormatMoney(b.Total)), Year: text(b.Year)}
	if len(b.Stay) == 0 {
		return encode(t)
	}
	all := map[string]string{}
	_ = json.Unmarshal([]byte(encode(t)), &all) // a flat object of strings
	for k, v := range b.Stay {
		all[k] = v
	}
	return encode(all)
}

func readTrial(message string, drgs bool) (ncms.Bill, error) {
	var t trial
	if err := decode(message, &t); err != nil {
		return ncms.Bill{}, err
	}
	total, err := t.Total.Money("fpje")
	if err != nil {
		return ncms.Bill{}, err
	}
	b := ncms.Bill{Visit: t.visit.port(), Card: t.Card.String(), Total: total, Year: t.Year.String(), Drgs: drgs}
	b.Person = t.Person.String()
	var all map[string]json.RawMessage
	if err := decode(message, &all); err != nil {
		return b, err
	}
	for _, k := range stayMembers {
		var v text
		if raw, ok := all[k]; ok && v.UnmarshalJSON(raw) == nil && v != "" {
			if b.Stay == nil {
				b.Stay = map[string]string{}
			}
			b.Stay[k] = v.String()
		}
	}
	return b, nil
}

// settlement is FybxJs.
type settlement struct {
	head
	Kind        text `json:"jzlx"`
	Number      text `json:"djid"`
	Year        text `json:"Year"`
	InvoiceDate text `json:"fprq"`
	Invoice     text `json:"fphm"`
	StayNo      text `json:"zyh"`
	Interim     text `json:"ztjsbj"`
}

func settlementOf(b ncms.Bill) settlement {
	service, interim := opSettle.service, text("0")
	if b.Drgs {
		service = opSettleDrg.service
	}
	if b.Interim {
		interim = "1"
	}
	return settlement{headOf(b.Caller, service), kindOf(b.Inpatient), text(b.Number), text(b.Year), text(b.InvoiceDate), text(b.Invoice), text(b.StayNo), interim}
}

func (s settlement) port(drgs bool) ncms.Bill {
	return ncms.Bill{Visit: ncms.Visit{Caller: s.caller(), Number: s.Number.String(), Inpatient: s.Kind == "2"}, Year: s.Year.String(),
		Invoice: s.Invoice.String(), InvoiceDate: s.InvoiceDate.String(), StayNo: s.StayNo.String(), Interim: s.Interim == "1", Drgs: drgs}
}
