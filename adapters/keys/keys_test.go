package keys

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/pipeline"
)

func TestOf(t *testing.T) {
	for name, c := range map[string]struct{ body, want, order string }{
		"visit document": {`{"orgCode":"37","visitNo":"V1","patient":{"id":"100001","name":"张三","idNo":""},"herbalPrescriptions":[{"no":"C1","items":[{"code":"1","name":"桂枝"}]}],"charges":[{"no":"F1","name":"诊查费"}]}`,
			"o37 vV1 p100001 n张三 rC1 bF1", "37|100001"},
		"rows": {`{"table":"MS_CF01","rows":[{"CFSB":"880001","BRID":"100001","BRXM":"张三"},{"CFSB":"880002","BRID":"100001"}]}`, "r880001 p100001 n张三 r880002", "|100001"},
		"soap": {`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><acceptMessage><in0><![CDATA[<Request><Patient><id>9</id><name>李四</name><outpatientNo>M1</outpatientNo><orgCode>37</orgCode></Patient></Request>]]></in0></acceptMessage></e:Body></e:Envelope>`,
			"p9 n李四 vM1 o37", "37|9"},
		"soap, nothing escaped": {`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><acceptMessage><in0>&lt;Request&gt;&lt;Patient&gt;&lt;id&gt;9&lt;/id&gt;&lt;name&gt;李&四&lt;/name&gt;&lt;outpatientNo&gt;M1&lt;/outpatientNo&gt;&lt;orgCode&gt;37&lt;/orgCode&gt;&lt;address&gt;3<5 号 & 楼&lt;/address&gt;&lt;/Patient&gt;&lt;/Request&gt;</in0></acceptMessage></e:Body></e:Envelope>`,
			"p9 n李&四 vM1 o37", "37|9"},
		"fhir":   {`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","identifier":[{"value":"P1"}],"name":[{"text":"王五"}]}},{"resource":{"resourceType":"MedicationRequest","groupIdentifier":{"value":"C9"}}}]}`, "pP1 n王五 rC9", "|P1"},
		"hl7v2":  {"MSH|^~\\&|HIS|37|||20261012||ADT^A04|1|P|2.5\rPID|1||100001^^^H||张^三\rPV1|1|O|||||||||||||||||V7\r", "o37 p100001 n张三 vV7", "37|100001"},
		"yb":     {`{"infno":"2201","input":{"data":{"psn_no":"N1","mdtrt_id":"M1","psn_name":"赵六"}}}`, "iN1 vM1 n赵六", "|N1"},
		"broken": {`{"orgCode":`, "", ""},
		"other":  {"nothing", "", ""},
	} {
		found := Of(&pipeline.Message{Body: []byte(c.body)})
		var got []string
		for _, k := range found {
			got = append(got, fmt.Sprintf("%c%s", k.Type, k.Value))
		}
		if s := strings.Join(got, " "); s != c.want || Order(found) != c.order {
			t.Errorf("%s: %s (%s), want %s (%s)", name, s, Order(found), c.want, c.order)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	m := &pipeline.Message{Body: []byte("MSH|^~\\&|HIS|37|||20261012||ADT^A04|1|P|2.5\rPID|1||100001^^^H||张^三\rPV1|1|O|||||||||||||||||V7\r")}
	for b.Loop() {
		Of(m)
	}
}
