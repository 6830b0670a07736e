package yb

import (
	"strconv"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// registration is the input of 2201.
type registration struct {
	Person     text `json:"psn_no"`
	Insurance  text `json:"insutype"`
	Begin      text `json:"begntime"`
	CertType   text `json:"mdtrt_cert_type"`
	CertNo     text `json:"mdtrt_cert_no"`
	VisitNo    text `json:"ipt_otp_no"`
	Doctor     text `json:"atddr_no"`
	DoctorName text `json:"dr_name"`
	DeptCode   text `json:"dept_code"`
	DeptName   text `json:"dept_name"`
	Caty       text `json:"caty"`
	Extra      text `json:"expContent"`
}

// registered is the output of 2201 and the input of 2202, 2205 and 2208.
type registered struct {
	Number  text `json:"mdtrt_id"`
	Person  text `json:"psn_no"`
	VisitNo text `json:"ipt_otp_no,omitempty"`
	ID      text `json:"setl_id,omitempty"`
	Batch   text `json:"chrg_bchno,omitempty"`
	Items   text `json:"feedetl_sn,omitempty"`
}

// diagnoses is the input of 2203.
type diagnoses struct {
	Visit struct {
		Number  text `json:"mdtrt_id"`
		Person  text `json:"psn_no"`
		Type    text `json:"med_type"`
		Begin   text `json:"begntime"`
		Words   text `json:"main_cond_dscr"`
		Disease text `json:"dise_codg"`
		Name    text `json:"dise_name"`
	} `json:"mdtrtinfo"`
	List []diagnosis `json:"diseinfo"`
}

type diagnosis struct {
	Kind  text `json:"diag_type"` // 1 西医, 2 中医主病, 3 中医主证
	Order text `json:"diag_srt_no"`
	Code  text `json:"diag_code"`
	Name  text `json:"diag_name"`
	Time  text `json:"diag_time"`
	Valid text `json:"vali_flag"`
}

func diagnosesOf(v ncms.Visit, list []ncms.Diagnosis, now string) diagnoses {
	var out diagnoses
	out.Visit.Number, out.Visit.Person, out.Visit.Type, out.Visit.Begin = text(v.Number), text(v.Person), medType(v.Inpatient), text(now)
	for i, d := range list {
		kind := d.Kind
		if kind == "" {
			kind = "1"
		}
		out.List = append(out.List, diagnosis{text(kind), text(strconv.Itoa(i + 1)), text(d.Code), text(d.Name), text(now), "1"})
	}
	return out
}

func (d diagnoses) port() []ncms.Diagnosis {
	out := make([]ncms.Diagnosis, 0, len(d.List))
	for _, x := range d.List {
		if x.Valid != "0" {
			out = append(out, ncms.Diagnosis{Kind: x.Kind.String(), Code: x.Code.String(), Name: x.Name.String()})
		}
	}
	return out
}

// medType is 11 普通门诊 or 21 普通住院.
func medType(inpatient bool) text {
	if inpatient {
		return "21"
	}
	return "11"
}

func inpatient(t text) bool { return len(t) == 2 && t[0] == '2' }

// feeDetail is an item of 2204.
type feeDetail struct {
	Line         text   `json:"feedetl_sn"`
	Visit        text   `json:"mdtrt_id"`
	Person       text   `json:"psn_no"`
	Batch        text   `json:"chrg_bchno"`
	Prescription text   `json:"rxno"`
	Outside      text   `json:"rx_circ_flag"`
	Time         text   `json:"fee_ocur_time"`
	SchemeCode   text   `json:"med_list_codg"`
	Code         text   `json:"medins_list_codg"`
	Name         text   `json:"medins_list_name,omitempty"` // not in the interface's list; some fronts send it
	Amount       amount `json:"det_item_fee_sumamt"`
	Count        amount `json:"cnt"`
	Price        text   `json:"pric"`
	Doctor       text   `json:"bilg_dr_codg"`
	DoctorName   text   `json:"bilg_dr_name"`
	Approved     text   `json:"hosp_appr_flag"`
	TCM          text   `json:"tcmdrug_used_way,omitempty"` // 1 复方, 2 单方
}

type feeDetails struct {
	List []feeDetail `json:"feedetail"`
}

// feeDetailsOf writes the items. cnt is what is dispensed in all: dose times
// doses for herbs, which the xnh dialect says apart.
func feeDetailsOf(d ncms.Details, now string) (feeDetails, error) {
	herbs := 0
	for _, i := range d.Items {
		if i.Doses != "" {
			herbs++
		}
	}
	var out feeDetails
	for n, i := range d.Items {
		count, err := ncms.ParseMoney("ypsl", i.Quantity)
		if err != nil {
			return out, err
		}
		f := feeDetail{Line: text(d.Number + strconv.Itoa(1000 + n)[1:]), Visit: text(d.Number), Person: text(d.Person), Batch: text(d.Number),
			Prescription: text(i.Prescription), Outside: "0", Time: text(now), SchemeCode: text(i.SchemeCode), Code: text(i.Code), Name: text(i.Name),
			Amount: amountOf(i.Amount), Price: text(i.Price), Doctor: text(i.Doctor), Approved: "1"}
		if len(i.Date) == len("2006-01-02") {
			f.Time = text(i.Date + " 00:00:00")
		}
		if i.Doses != "" {
			doses, err := ncms.ParseMoney("ypzyfs", i.Doses)
			if err != nil {
				return out, err
			}
			count = count.Mul(doses)
			if f.TCM = "1"; herbs == 1 {
				f.TCM = "2"
			}
		}
		f.Count = amount(count.String())
		out.List = append(out.List, f)
	}
	return out, nil
}

func (f feeDetail) port() (ncms.Item, error) {
	m, err := f.Amount.money("det_item_fee_sumamt")
	if err != nil {
		return ncms.Item{}, err
	}
	i := ncms.Item{Drug: f.Prescription != "", SchemeCode: f.SchemeCode.String(), Code: f.Code.String(), Name: f.Name.String(), Quantity: string(f.Count),
		Price: f.Price.String(), Amount: m, Prescription: f.Prescription.String(), Doctor: f.Doctor.String()}
	if t := f.Time.String(); len(t) >= 10 {
		i.Date = t[:10]
	}
	return i, nil
}
