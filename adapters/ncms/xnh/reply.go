package xnh

import (
	"encoding/json"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The codes of a reply.
const (
	codeOK   = "1"
	codeFail = "-1"
)

// status begins every reply.
type status struct {
	Code text `json:"code"`
	Msg  text `json:"msg"`
}

func ok() status { return status{codeOK, "成功"} }

// readReply reads a reply of which into takes the members beside the status.
// What cannot be understood is *ncms.Lost: the centre may have acted.
func readReply(reply string, into any) error {
	var s status
	if err := json.Unmarshal([]byte(reply), &s); err != nil || s.Code == "" {
		return &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's reply is no JSON with a code")}
	}
	if s.Code != codeOK {
		return ncms.Refuse(s.Msg.String())
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(reply), into); err != nil {
		return &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's reply has members of another type: %w", err)}
	}
	return nil
}

// person is a member of patients[].
type person struct {
	Number     text `json:"grbh"`
	Card       text `json:"nhkh"`
	Book       text `json:"ylzh"`
	Name       text `json:"xm"`
	Sex        text `json:"xb"`
	SexText    text `json:"xb_text"`
	Birth      text `json:"csrq"`
	NationalID text `json:"zjhm"`
	Phone      text `json:"lxdh"`
	Address    text `json:"address"`
}

var sexWords = map[string]text{"0": "未知", "1": "男", "2": "女", "9": "未说明"}

func personOf(p ncms.Person) person {
	return person{text(p.Number), text(p.Card), text(p.Book), text(p.Name), text(p.Sex), sexWords[p.Sex], text(p.Birth), text(p.NationalID), text(p.Phone), text(p.Address)}
}

func (p person) port() ncms.Person {
	sex := p.Sex.String()
	for code, word := range sexWords {
		if sex == "" && word == p.SexText || text(sex) == word {
			sex = code
		}
	}
	birth := p.Birth.String()
	if len(birth) > 10 {
		birth = birth[:10]
	}
	return ncms.Person{Number: p.Number.String(), Card: p.Card.String(), Book: p.Book.String(), Name: p.Name.String(), Sex: sex, Birth: birth,
		NationalID: p.NationalID.String(), Phone: p.Phone.String(), Address: p.Address.String(), Insurance: "380"}
}

type eligibleReply struct {
	status
	Patients []person `json:"patients"`
}

type registeredReply struct {
	status
	Number text `json:"djid"`
}

type settledReply struct {
	status
	ID text `json:"bxid"`
}

// entry is a line of MrdzMx.
type entry struct {
	ID      text `json:"BXID"`
	Invoice text `json:"FPHM"`
	Total   text `json:"ZJJE"`
	Time    text `json:"JYSJ"`
	Kind    text `json:"JYLX"` // 1 正常, -1 作废
	Card    text `json:"ICKH"`
	Paid    text `json:"SBJE"`
	Visit   text `json:"DJLSH"`
}

func entryOf(e ncms.Entry) entry {
	kind := text("1")
	if e.Void {
		kind = "-1"
	}
	return entry{text(e.ID), text(e.Invoice), text(ncms.FormatMoney(e.Total)), text(e.Time), kind, text(e.Card), text(ncms.FormatMoney(e.Paid)), text(e.Visit)}
}

func (e entry) port() (ncms.Entry, error) {
	total, err := e.Total.Money("ZJJE")
	if err != nil {
		return ncms.Entry{}, err
	}
	paid, err := e.Paid.Money("SBJE")
	if err != nil {
		return ncms.Entry{}, err
	}
	void := strings.HasPrefix(e.Kind.String(), "-")
	return ncms.Entry{ID: e.ID.String(), Invoice: e.Invoice.String(), Visit: e.Visit.String(), Card: e.Card.String(), Total: total, Paid: paid, Time: e.Time.String(), Void: void}, nil
}

type dayReply struct {
	status
	Entries []entry `json:"arr"`
}

// readSums takes sum01 … sum40 and bz out of a reply.
func readSums(reply string) (*ncms.Trial, error) {
	var all map[string]json.RawMessage
	if err := readReply(reply, &all); err != nil {
		return nil, err
	}
	t := &ncms.Trial{Sums: ncms.Sums{}}
	for k, raw := range all {
		k = strings.ToLower(k)
		var v text
		if (strings.HasPrefix(k, "sum") || k == "bz") && v.UnmarshalJSON(raw) == nil {
			if k == "bz" {
				t.Note = v.String()
			} else if v != "" {
				t.Sums[k] = v.String()
			}
		}
	}
	for _, k := range []string{ncms.SumTotal, ncms.SumScheme, ncms.SumPatient} {
		if _, err := t.Sums.Money(k); err != nil {
			return nil, &ncms.Lost{Cause: err}
		}
	}
	return t, nil
}

// writeSums makes the reply of FybxYjs: every sum, absent ones as "0".
func writeSums(t *ncms.Trial) string {
	all := map[string]string{"code": codeOK, "msg": "成功", "bz": t.Note}
	for n := 1; n <= ncms.SumCount; n++ {
		k := ncms.SumKey(n)
		if all[k] = t.Sums[k]; all[k] == "" {
			all[k] = "0"
		}
	}
	return encode(all)
}
