package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// benchCodes is how many codes the generated observations have.
const benchCodes = 200

// phrases are what generated notes are made of, so that they compress no better
// than real ones.
const phrases = "头晕目眩 腰膝酸软 夜寐不安 心悸怔忡 纳差便溏 口苦咽干 胸胁胀满 畏寒肢冷 自汗盗汗 咳嗽痰多 舌淡苔薄白 舌红少苔 脉弦细 脉沉迟 脉滑数 面色萎黄 神疲乏力 少气懒言 恶心欲呕 小便短赤 大便秘结 耳鸣健忘 月经不调 手足心热 渴不欲饮 食后腹胀 遇寒加重 得温则减 反复三月 加重三日"

// bundle is a transaction of one patient with n observations, about 1.2 kB each.
func bundle(seed, n int) []byte {
	r, words := rand.New(rand.NewPCG(uint64(seed), 1)), strings.Fields(phrases)
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","identifier":[{"system":"urn:bench","value":"%d"}],"name":[{"text":"测试%d"}],"gender":"%s","birthDate":"19%02d-05-06"},"request":{"method":"POST","url":"Patient"}}`,
		seed, seed, []string{"female", "male"}[seed%2], seed%100)
	for i := range n {
		code, day := r.IntN(benchCodes), 1+r.IntN(28)
		fmt.Fprintf(&b, `,{"resource":{"resourceType":"Observation","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},"identifier":[{"system":"urn:bench:observation","value":"%d-%d"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"%d-4","display":"Measured value %[3]d"}],"text":"Measured value %[3]d"},"subject":{"reference":"urn:uuid:p","display":"测试%[1]d"},"effectiveDateTime":"20%02[4]d-%02d-%02dT%02d:%02d:00+08:00","issued":"20%02[4]d-%02[5]d-%02[6]dT%02[7]d:%02[8]d:30.512+08:00","performer":[{"display":"中医馆护理站"}],`,
			seed, i, 8000+code, 16+r.IntN(10), 1+r.IntN(12), day, r.IntN(24), r.IntN(60))
		fmt.Fprintf(&b, `"valueQuantity":{"value":%d.%d,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"},"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}]}],"note":[{"text":"%s，%s"}],"referenceRange":[{"low":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"},"high":{"value":140,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]},"request":{"method":"POST","url":"Observation"}}`,
			60+r.IntN(80), r.IntN(10), words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

const bundleSize = 100 // resources of one

func (b *bench) bundles() error {
	l, err := b.load(8, func(conn *wire, w, i int) error {
		code, body, err := conn.call("POST", "/fhir", fhirJSON, bundle(w*1_000_000+i, bundleSize-1))
		return want(http.StatusOK, code, body, err)
	})
	if err != nil {
		return fmt.Errorf("bundles: %w", err)
	}
	b.print(figure{"import-resources-per-second", l.rate * bundleSize, "resources/s", "≥ 12000",
		fmt.Sprintf("每包 %d 个资源的 transaction，8 个客户端，含校验、索引与 fsync，服务端 CPU %d µs/资源", bundleSize, l.cpu.Microseconds()/bundleSize)})
	return nil
}

func (b *bench) creates() error {
	l, err := b.load(32, func(conn *wire, w, i int) error {
		code, body, err := conn.call("POST", "/fhir/Patient", fhirJSON, fmt.Appendf(nil, `{"resourceType":"Patient","identifier":[{"system":"urn:bench:single","value":"%d-%d"}],"name":[{"text":"测试"}],"birthDate":"1970-01-01"}`, w, i))
		return want(http.StatusCreated, code, body, err)
	})
	if err != nil {
		return fmt.Errorf("creates: %w", err)
	}
	b.print(figure{"creates-per-second", l.rate, "1/s", "≥ 2000", "逐条落盘，" + l.note(32)})
	b.print(figure{"create-p99", at(l.lat, 99), "ms", "", ""})
	return nil
}

// benchQuery is one kind of read or search that is measured.
type benchQuery struct {
	name, goal string
	path       func() string
}

// queries draws what to ask from patients that are there.
func (b *bench) queries() ([]benchQuery, error) {
	_, body, err := b.do("GET", "/fhir/Patient?_count=200&_elements=id,identifier&identifier=urn:bench|", "", nil)
	if err != nil {
		return nil, err
	}
	var page struct {
		Entry []struct {
			Resource struct {
				ID         string
				Identifier []struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(body, &page); err != nil || len(page.Entry) == 0 {
		return nil, fmt.Errorf("no patients to read: %w", err)
	}
	pick := func() int { return rand.IntN(len(page.Entry)) }
	code := func() string { return strconv.Itoa(8000+rand.IntN(benchCodes)) + "-4" }
	return []benchQuery{
		{"reads-per-second", "≥ 15000", func() string { return "/fhir/Patient/" + page.Entry[pick()].Resource.ID }},
		{"token-searches-per-second", "≥ 5000", func() string { return "/fhir/Observation?_count=10&code=http://loinc.org|" + code() }},
		{"chained-searches-per-second", "≥ 1500", func() string {
			return "/fhir/Observation?_count=10&subject:Patient.identifier=" + page.Entry[pick()].Resource.Identifier[0].Value
		}},
		{"counts-per-second", "", func() string { return "/fhir/Observation?_summary=count&code=" + code() }},
	}, nil
}

// ask measures one kind of query.
func (b *bench) ask(q benchQuery) (*load, error) {
	l, err := b.load(8, func(conn *wire, _, _ int) error {
		code, body, err := conn.call("GET", q.path(), "", nil)
		return want(http.StatusOK, code, body, err)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.name, err)
	}
	return l, nil
}

// reads measures reading by id and three kinds of search over what was loaded.
func (b *bench) reads() error {
	list, err := b.queries()
	if err != nil {
		return err
	}
	for _, q := range list {
		l, err := b.ask(q)
		if err != nil {
			return err
		}
		b.print(figure{q.name, l.rate, "1/s", q.goal, l.note(8)})
	}
	return b.count()
}

// count measures how fast the matches of one code are counted: the observations
// all have one status.
func (b *bench) count() error {
	matches := 0
	l, err := b.load(1, func(conn *wire, _, _ int) error {
		code, body, err := conn.call("GET", "/fhir/Observation?_summary=count&status=final", "", nil)
		if _, n, ok := bytes.Cut(body, []byte(`"total":`)); ok {
			digits, _, _ := bytes.Cut(n, []byte(","))
			matches, _ = strconv.Atoi(strings.Trim(string(digits), "}"))
		}
		return want(http.StatusOK, code, body, err)
	})
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	b.print(figure{"counted-resources-per-second", l.rate * float64(matches), "resources/s", "≥ 3000000", fmt.Sprintf("每次计 %d 个，%s", matches, l.note(1))})
	return nil
}

// huge commits transactions of thousands of resources beside single creates: the
// small must not wait for the huge.
func (b *bench) huge() error {
	body := bundle(900_000_000, 20_000)
	done := make(chan error, 1)
	var took time.Duration
	begin := time.Now()
	go func() {
		conn := &wire{address: b.address()}
		defer conn.close()
		code, answer, err := conn.call("POST", "/fhir", fhirJSON, body)
		took = time.Since(begin)
		done <- want(http.StatusOK, code, answer, err)
	}()
	conn := &wire{address: b.address()}
	defer conn.close()
	var longest time.Duration
	for i := 0; ; i++ {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("huge: %w", err)
			}
			b.print(figure{"create-beside-huge-bundle-max", float64(longest.Microseconds()) / 1000, "ms", "",
				fmt.Sprintf("一个 %d MB、20001 个资源的 transaction（%.1f 秒）提交期间，单个客户端逐条创建的最长等待，共 %d 条", len(body)>>20, took.Seconds(), i)})
			return nil
		default:
		}
		t := time.Now()
		code, answer, err := conn.call("POST", "/fhir/Patient", fhirJSON, []byte(`{"resourceType":"Patient","name":[{"text":"小"}]}`))
		if err := want(http.StatusCreated, code, answer, err); err != nil {
			return fmt.Errorf("create beside huge: %w", err)
		}
		longest = max(longest, time.Since(t))
	}
}
