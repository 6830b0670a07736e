package xnh

import (
	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// head is common to every request.
type head struct {
	Operator text `json:"operator"`
	Hospital text `json:"yybh"`
	IP       text `json:"ip"`
	Port     text `json:"port"`
	MsgType  text `json:"msgType"`
	Service  text `json:"serviceId"`
}

func headOf(c ncms.Caller, service string) head {
	return head{text(c.Operator), text(c.Hospital), text(c.IP), text(c.Port), "2", text(service)}
}

func (h head) caller() ncms.Caller {
	return ncms.Caller{Hospital: h.Hospital.String(), Operator: h.Operator.String(), IP: h.IP.String(), Port: h.Port.String()}
}

// registration is Mzdj and Zydj.
type registration struct {
	head
	ICD10     text `json:"ICD10"`
	Disease   text `json:"jbmc"`
	Card      text `json:"cardid"`
	Person    text `json:"grbh"`
	Year      text `json:"year"`
	Date      text `json:"ryrq"`
	Condition text `json:"ryzt"`
	StayNo    text `json:"zyh,omitempty"`
	Drgs      text `json:"drgs,omitempty"`
}

func registrationOf(r ncms.Registration) registration {
	service, condition := opRegister.service, r.Condition
	if condition == "" {
		condition = "3"
	}
	out := registration{Card: text(r.Card), Person: text(r.Person), Year: text(r.Year), Date: text(r.Date), Condition: text(condition)}
	if r.Inpatient {
		service, out.StayNo, out.Drgs = opAdmit.service, text(r.StayNo), "0"
		if r.Drgs {
			out.Drgs = "1"
		}
	}
	if len(r.Diagnoses) > 0 {
		out.ICD10, out.Disease = text(r.Diagnoses[0].Code), text(r.Diagnoses[0].Name)
	}
	out.head = headOf(r.Caller, service)
	return out
}

func (r registration) port(inpatient bool) ncms.Registration {
	out := ncms.Registration{Caller: r.caller(), Card: r.Card.String(), Person: r.Person.String(), Year: r.Year.String(), Date: r.Date.String(), Condition: r.Condition.String(),
		Inpatient: inpatient, StayNo: r.StayNo.String(), Drgs: r.Drgs == "1"}
	if r.ICD10 != "" || r.Disease != "" {
		out.Diagnoses = []ncms.Diagnosis{{Kind: "1", Code: r.ICD10.String(), Name: r.Disease.String()}}
	}
	return out
}

// visit names a registration: CancleZydj, and the start of the others.
type visit struct {
	head
	Number text `json:"djid"`
	Kind   text `json:"jzlx"`
}

func visitOf(v ncms.Visit, service string) visit {
	return visit{headOf(v.Caller, service), text(v.Number), kindOf(v.Inpatient)}
}

func kindOf(inpatient bool) text {
	if inpatient {
		return "2"
	}
	return "1"
}

func (v visit) port() ncms.Visit {
	return ncms.Visit{Caller: v.caller(), Number: v.Number.String(), Inpatient: v.Kind == "2"}
}

// upload is UploadFyxx.
type upload struct {
	visit
	Act      text   `json:"czlx"` // 1 上传, 2 取消
	Drugs    []item `json:"ypArr,omitempty"`
	Services []item `json:"zlArr,omitempty"`
}

// item is a line of ypArr or zlArr; their members differ in the amount's name
// only.
type item struct {
	SchemeCode   text `json:"xnhbm"`
	SchemeName   text `json:"xnhmc,omitempty"`
	Name         text `json:"ypmc"`
	Spec         text `json:"ypgg"`
	Unit         text `json:"jldw"`
	Form         text `json:"ypjx"`
	Quantity     text `json:"ypsl"`
	Price        text `json:"ypdj"`
	DrugAmount   text `json:"ypje,omitempty"`
	Amount       text `json:"je,omitempty"`
	Date         text `json:"billdate"`
	Doses        text `json:"ypzyfs,omitempty"`
	Code         text `json:"icode"`
	Origin       text `json:"ypcd"`
	Prescription text `json:"cfsb"`
	Doctor       text `json:"kfys"`

	OtherQuantity text `json:"fysl,omitempty"` // some screens of the HIS write these for services
	OtherPrice    text `json:"fydj,omitempty"`
}

func uploadOf(d ncms.Details) upload {
	out := upload{visit: visitOf(d.Visit, opUpload.service), Act: "1"}
	for _, i := range d.Items {
		w := item{SchemeCode: text(i.SchemeCode), SchemeName: text(i.SchemeName), Name: text(i.Name), Spec: text(i.Spec), Unit: text(i.Unit),
			Form: text(i.Form), Quantity: text(i.Quantity), Price: text(i.Price), Date: text(i.Date), Doses: text(i.Doses), Code: text(i.Code),
			Origin: text(i.Origin), Prescription: text(i.Prescription), Doctor: text(i.Doctor)}
		if i.Drug {
			w.DrugAmount = text(ncms.FormatMoney(i.Amount))
			out.Drugs = append(out.Drugs, w)
		} else {
			w.Amount = text(ncms.FormatMoney(i.Amount))
			out.Services = append(out.Services, w)
		}
	}
	return out
}

func (u upload) port() (ncms.Details, error) {
	out := ncms.Details{Visit: u.visit.port()}
	for _, list := range []struct {
		name  string
		drug  bool
		items []item
	}{{"ypArr", true, u.Drugs}, {"zlArr", false, u.Services}} {
		for _, w := range list.items {
			amount, member := w.Amount, list.name+".je"
			if list.drug {
				amount, member = w.DrugAmount, list.name+".ypje"
			}
			m, err := amount.Money(member)
			if err != nil {
				return out, err
			}
			out.Items = append(out.Items, ncms.Item{Drug: list.drug, SchemeCode: w.SchemeCode.String(), SchemeName: w.SchemeName.String(), Code: w.Code.String(),
				Name: w.Name.String(), Spec: w.Spec.String(), Unit: w.Unit.String(), Form: w.Form.String(), Origin: w.Origin.String(), Quantity: first(w.Quantity, w.OtherQuantity),
				Price: first(w.Price, w.OtherPrice), Amount: m, Date: w.Date.String(), Doses: w.Doses.String(), Prescription: w.Prescription.String(), Doctor: w.Doctor.String()})
		}
	}
	return out, nil
}

func first(a, b text) string {
	if a != "" {
		return a.String()
	}
	return b.String()
}

// reversal is ReSaveFybx.
type reversal struct {
	head
	Invoice text `json:"invoiceId"`
	Card    text `json:"cardid"`
	Year    text `json:"Year"`
	ID      text `json:"bxid"`
	Visit   text `json:"djid,omitempty"` // not in the interface; the hub's own clients may say it
}

// days is MrdzMx.
type days struct {
	head
	HospitalCode text `json:"hospitalcode"`
	From         text `json:"Dzrq"`
	To           text `json:"Zzrq"`
	Kind         text `json:"dzlx"`
}
