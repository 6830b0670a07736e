package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// county makes visits; everything follows from the seed, the hall and the day.
type county struct {
	seed   uint64
	cfg    Config // of the whole simulation; zero for a county without its later peculiarities
	clinic *Clinic
	zone   *time.Location
}

func newCounty(seed uint64) (*county, error) {
	c, err := loadClinic()
	if err != nil {
		return nil, err
	}
	return &county{seed: seed, clinic: c, zone: China()}, nil
}

const (
	surnames = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
	given    = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂玉萍红玲建国华文辉梅春海燕"
)

func hallCode(h int) string { return fmt.Sprintf("379901%06d", h+1) }
func hallName(h int) string {
	towns := []string{"张庄", "李村", "王集", "赵楼", "陈桥", "柳河", "石桥", "青山", "东岭", "西关", "南塘", "北屯"}
	name := "示例县" + towns[h%len(towns)] + "镇卫生院中医馆"
	if n := h / len(towns); n > 0 {
		name = fmt.Sprintf("示例县%s镇第%d卫生院中医馆", towns[h%len(towns)], n+1)
	}
	return name
}

// HallName names hall h (from 0) of a simulated county as its visits do.
func HallName(h int) (code, name string) { return hallCode(h), hallName(h) }

func pick(r *rand.Rand, runes string) string {
	list := []rune(runes)
	return string(list[r.IntN(len(list))])
}

// source gives the random numbers of one purpose.
func (c *county) source(purpose byte, a, b int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(purpose)<<56^uint64(a)<<28^uint64(b)))
}

// patient p of hall h.
func (c *county) patient(h, p int) patient {
	r := c.source('p', h, p)
	birth := time.Date(2020-r.IntN(85), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, c.zone)
	female := r.IntN(100) < 55
	out := patient{ID: fmt.Sprint(100001 + p), Gender: "male", BirthDate: birth.Format(time.DateOnly),
		Phone: fmt.Sprintf("0530%07d", r.IntN(10_000_000)), Address: fmt.Sprintf("示例县示例村%d号", 1+r.IntN(400))}
	if female {
		out.Gender = "female"
	}
	out.Name = pick(r, surnames) + pick(r, given)
	if r.IntN(3) > 0 {
		out.Name += pick(r, given)
	}
	if r.IntN(10) > 0 { // some never show an identity card
		out.IDNo = identity(birth, r.IntN(500)*2+1, female)
	}
	switch n := r.IntN(100); {
	case n < 45:
		out.InsuranceType = "新农合"
	case n < 70:
		out.InsuranceType = "城乡居民"
	case n < 90:
		out.InsuranceType = "职工医保"
	default:
		out.InsuranceType = "自费"
	}
	return out
}

// identity makes a number of the region 379901, which does not exist, with a
// true check digit (GB 11643).
func identity(birth time.Time, seq int, female bool) string {
	if female {
		seq--
	}
	s := "379901" + birth.Format("20060102") + fmt.Sprintf("%03d", seq)
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return s + "10X98765432"[sum%11:sum%11+1]
}

// day makes the visits of hall h on one day, in the order they happen, with the
// number of each one's patient.
func (c *county) day(h int, date time.Time, perDay int) (visits []*visit, patients []int) {
	day := int(date.Unix() / 86400)
	r := c.source('d', h, day)
	switch on := c.on(h, date); {
	case on && h == hallSilent:
		return nil, nil
	case on && h == hallSurge:
		perDay *= surge
	}
	n := max(1, perDay*3/4+r.IntN(perDay/2+1))
	open := time.Date(date.Year(), date.Month(), date.Day(), 8, 0, 0, 0, c.zone)
	for i := range n {
		at := open.Add(time.Duration(9*3600*i/n+r.IntN(300)) * time.Second)
		p := r.IntN(perDay * 6)
		v := c.visit(r, h, p, i, at)
		if strings.HasPrefix(v.Patient.BirthDate, "1900") { // planted, another person
			p = oldPatient + i
		}
		visits, patients = append(visits, v), append(patients, p)
	}
	return visits, patients
}

func (c *county) visit(r *rand.Rand, h, p, i int, at time.Time) *visit {
	cs := c.clinic.Cases[r.IntN(len(c.clinic.Cases))]
	if h == hallCluster && i%3 != 2 && c.on(h, at) {
		cs = c.clinic.Cases[outbreak]
	}
	doctor := 1 + r.IntN(4)
	v := &visit{OrgCode: hallCode(h), OrgName: hallName(h), VisitNo: fmt.Sprintf("%s%04d", at.Format("060102"), i+1),
		VisitTime: at.Format(time.DateTime), VisitType: "first", Patient: c.patient(h, p),
		Doctor: person{fmt.Sprintf("%02d%02d", h%90+1, doctor), c.doctor(h, doctor)}}
	if r.IntN(100) < 40 {
		v.VisitType = "return"
	}
	d := diagnosis{DiseaseCode: cs.DiseaseCode, DiseaseName: cs.Disease, SyndromeCode: cs.SyndromeCode, SyndromeName: cs.Syndrome}
	for _, w := range c.clinic.Western {
		if w.Disease == cs.DiseaseCode {
			d.ICD10, d.Name = w.Code, w.Name
		}
	}
	if h == hallForgets && i%5 == 4 { // the hall that forgets syndromes
		d.SyndromeCode, d.SyndromeName = "", ""
	}
	v.Diagnoses = []diagnosis{d}
	if h == hallImpossible && i < 2 && c.on(h, at) {
		v.Patient.ID, v.Patient.BirthDate, v.Patient.IDNo = fmt.Sprint(oldPatient+i), "1900-01-01", ""
	}
	c.text(r, v, cs)
	c.prescribe(r, v, cs, h, i, at)
	c.bill(v, at)
	return v
}

func (c *county) doctor(h, n int) string {
	r := c.source('m', h, n)
	return pick(r, surnames) + pick(r, given)
}

func (c *county) text(r *rand.Rand, v *visit, cs Case) {
	days := 1 + r.IntN(14)
	symptoms := strings.Join(cs.Symptoms, "，")
	v.Record = record{ChiefComplaint: fmt.Sprintf("%s%d天", cs.Symptoms[0], days),
		PresentIllness: fmt.Sprintf("患者%d天前出现%s", days, symptoms), PastHistory: "无特殊", AllergyHistory: "否认药物过敏史",
		PhysicalExam: fmt.Sprintf("T %.1f℃ P %d次/分", 36.2+r.Float64(), 62+r.IntN(30)), Advice: cs.Therapy + "；清淡饮食，按时服药"}
	v.Four = four{Inspection: "神清，面色如常", Listening: "语声清晰", Inquiry: symptoms, Palpation: cs.Pulse, Tongue: cs.Tongue, Pulse: cs.Pulse}
}
