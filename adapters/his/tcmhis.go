package his

import (
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// tcmMessage is the inner message of acceptMessage: `<Request>` with a Header
// before or after the content.
type tcmMessage struct {
	root *soap.Element
	sent time.Time // header sendTime; zero if absent or unreadable
}

func parseTCM(text string, zone *time.Location) (*tcmMessage, error) {
	root, err := soap.ParseXML([]byte(text))
	if err != nil {
		return nil, err
	}
	m := &tcmMessage{root: root}
	if t, ok := mapping.ParseMoment(root.Child("Header").Value("sendTime"), zone); ok {
		m.sent = t
	}
	return m, nil
}

// child returns the element that holds the content, with an issue when absent.
func (m *tcmMessage) child(name string) (*soap.Element, error) {
	if e := m.root.Child(name); e != nil {
		return e, nil
	}
	return nil, missing("Request/"+name, "消息内容 "+name)
}

func missing(path, what string) error {
	return fault.New(fault.Invalid, "缺少 %s", path).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-key",
		Text: "缺少必填项 " + path + "（" + what + "）", Expression: path, Hint: "请在 HIS 中补全后重发"})
}

// need returns a required value.
func need(e *soap.Element, path, name, what string) (string, error) {
	if v := e.Value(name); v != "" {
		return v, nil
	}
	return "", missing(path+"/"+name, what)
}

// push01 is TCM_HIS_01: a patient and the visit that opens.
type push01 struct {
	org, visitNo string
	patient      tcm.Patient
	insurance    tcm.Insurance
	sent         time.Time
}

func read01(m *tcmMessage) (*push01, error) {
	e, err := m.child("Patient")
	if err != nil {
		return nil, err
	}
	p := &push01{sent: m.sent}
	if p.patient.No, err = need(e, "Request/Patient", "id", "HIS 患者编号"); err != nil {
		return nil, err
	}
	if p.org, err = need(e, "Request/Patient", "orgCode", "机构编码"); err != nil {
		return nil, err
	}
	if p.visitNo, err = need(e, "Request/Patient", "outpatientNo", "就诊序号"); err != nil {
		return nil, err
	}
	p.patient.OrgCode, p.patient.Name = p.org, e.Value("name")
	if p.patient.Gender, err = gender01(e); err != nil {
		return nil, err
	}
	if v := e.Value("birthday"); v != "" {
		var ok bool
		if p.patient.BirthDate, ok = mapping.ParseDay(v); !ok {
			return nil, badValue("Request/Patient/birthday", "出生日期", "例如 19560312")
		}
	}
	p.details(e)
	return p, nil
}

func gender01(e *soap.Element) (string, error) {
	for _, name := range []string{"genderCode", "gender"} {
		v := e.Value(name)
		if v == "" {
			continue
		}
		var g Gender
		if assign(&g, v) {
			return string(g), nil
		}
		return "", badValue("Request/Patient/"+name, "性别", "应为 GB/T 2261.1 代码 0、1、2、9")
	}
	return "", nil
}

func badValue(path, what, hint string) error {
	return fault.New(fault.Invalid, "%s 的值无法识别", path).With(fault.Issue{Severity: "error", Code: "code-invalid",
		Key: "unknown-code", Text: path + "（" + what + "）的值无法识别", Expression: path, Hint: hint})
}

// details reads what is optional.
func (p *push01) details(e *soap.Element) {
	if code := e.Value("cardTypeCode"); code == "" || code == "01" {
		p.patient.NationalID = e.Value("cardNo")
	}
	p.patient.Phone, p.patient.Postcode = e.Value("telephone"), e.Value("postcode")
	p.patient.Address = e.Value("streetInfo")
	if p.patient.Address == "" {
		p.patient.Address = e.Value("province") + e.Value("city") + e.Value("area")
	}
	if c := e.Value("marriedCode"); c != "" {
		p.patient.Marital = tcm.Coding{System: tcm.SystemMarital, Code: c, Display: e.Value("married")}
	}
	if c := e.Value("nationalityCode"); c != "" {
		p.patient.Ethnicity = tcm.Coding{System: tcm.SystemEthnicity, Code: c, Display: e.Value("nationality")}
	}
	p.patient.Contact = tcm.Contact{Name: e.Value("ctName"), Phone: e.Value("ctTelephone"), Address: e.Value("ctAddr")}
	paid := e.Value("patiType")
	if in := tcm.InsuranceOf(paid); paid != "" && in.Coding.Code != "" {
		p.insurance = in
	} else if code := e.Value("patiTypeCode"); code != "" {
		p.insurance = tcm.InsuranceOf(code)
		if paid != "" {
			p.insurance.Text = paid
		}
	} else if paid != "" {
		p.insurance = in
	}
}

// read02 is TCM_HIS_02: one drug of the dictionary.
func read02(m *tcmMessage) (*tcm.Drug, error) {
	e, err := m.child("Medicine")
	if err != nil {
		return nil, err
	}
	d := &tcm.Drug{Specification: e.Value("specification"), Inactive: strings.EqualFold(e.Value("activeFlg"), "N"), Name: e.Value("name")}
	if d.Code = e.Value("code"); d.Code == "" {
		if d.Code, err = need(e, "Request/Medicine", "id", "药品序号"); err != nil {
			return nil, err
		}
	}
	if d.OrgCode, err = need(e, "Request/Medicine", "orgCode", "机构编码"); err != nil {
		return nil, err
	}
	return d, nil
}
