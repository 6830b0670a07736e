package main

// A slice of the components of a tongue or pulse: slice name, code in
// CodeSystem four-examinations, value set.
type componentSlice struct{ slice, code, valueSet string }

var tongueParts = []componentSlice{
	{"color", "舌色", "tongue-color"}, {"shape", "舌形", "tongue-shape"}, {"motion", "舌态", "tongue-motion"},
	{"coatTexture", "苔质", "tongue-coat-texture"}, {"coatColor", "苔色", "tongue-coat-color"}, {"vessels", "舌下络脉", "tongue-vessels"},
}

// pulsePositions are the six positions of the wrist pulse: left and right,
// 寸 关 尺.
var pulsePositions = []componentSlice{
	{"leftCun", "左寸(心)", "pulse"}, {"leftGuan", "左关(肝)", "pulse"}, {"leftChi", "左尺(肾)", "pulse"},
	{"rightCun", "右寸(肺)", "pulse"}, {"rightGuan", "右关(脾)", "pulse"}, {"rightChi", "右尺(命门)", "pulse"},
}

// examinationProfiles are the four examinations with tongue and pulse, and the
// instruments that may take them.
func examinationProfiles() []*profile {
	var out []*profile
	for _, x := range []struct {
		id, code, title string
		parts           []componentSlice
	}{
		{"tcm-inspection", "inspection", "望诊", nil}, {"tcm-listening", "listening", "闻诊", nil}, {"tcm-inquiry", "inquiry", "问诊", nil},
		{"tcm-palpation", "palpation", "切诊", nil}, {"tcm-tongue", "tongue", "舌象", tongueParts}, {"tcm-pulse", "pulse", "脉象", pulsePositions},
	} {
		p := newProfile(x.id, "Observation", x.title, "四诊之"+x.title+"：描述原文在 valueString，术语在 component。").
			el("code", 1, "1", x.title, patternCoding(fourExams, x.code)).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter")).
			el("value[x]", 0, "1", "描述", types("string", "CodeableConcept")).el("device", 0, "1", "采集设备（舌象仪、脉诊仪）", refs("Device"))
		if x.parts != nil {
			p.sliced("component", "pattern", "code")
		} else {
			p.el("component", 0, "*", "术语")
		}
		p.el("component.code", 1, "1", "术语类别").el("component.value[x]", 0, "1", "术语", types("CodeableConcept"), local("preferred", x.code))
		for _, c := range x.parts {
			p.el("component:"+c.slice, 0, "*", c.code).el("component:"+c.slice+".code", 1, "1", c.code, patternCoding(fourExams, c.code)).
				el("component:"+c.slice+".value[x]", 1, "1", c.code, types("CodeableConcept"), local("preferred", c.valueSet))
		}
		out = append(out, p)
	}
	device := newProfile("tcm-device", "Device", "中医诊断设备", "舌面象仪、脉诊仪等：type 说明种类，owner 为所在中医馆。").
		el("identifier", 1, "*", "设备编号").el("type", 1, "1", "设备种类", local("extensible", "device-kind")).el("manufacturer", 0, "1", "厂家").
		el("modelNumber", 0, "1", "型号").el("owner", 0, "1", "中医馆", refs("Organization"))
	return append(out, device)
}
