package main

// settlementProfiles are charges, insurance and settlement (新农合, 居民医保).
func settlementProfiles() []*profile {
	charge := newProfile("tcm-charge", "ChargeItem", "收费明细", "金额在 priceOverride，就诊在 context。").
		extensions("", extensionUse{"unit-price", 0, "1", "单价"}).
		el("code", 1, "1", "费用类别", local("preferred", "charge-category")).el("subject", 1, "1", "患者").el("context", 1, "1", "就诊", refs("Encounter")).el("priceOverride", 1, "1", "金额")
	account := newProfile("tcm-account", "Account", "就诊账户", "一次就诊的费用归集到一个账户。").
		el("identifier", 0, "*", "账户号").el("subject", 1, "*", "患者", refs("Patient")).el("coverage", 0, "*", "参保")
	invoice := newProfile("tcm-invoice", "Invoice", "门诊发票", "identifier 为发票号码（FPHM）；明细引用 ChargeItem。").
		el("identifier", 1, "*", "发票号码").el("subject", 1, "1", "患者", refs("Patient")).el("lineItem", 0, "*", "收费明细").el("totalNet", 1, "1", "总额").el("issuer", 0, "1", "中医馆")
	coverage := newProfile("tcm-coverage", "Coverage", "参保（新农合、居民医保、职工医保）", "").
		el("type", 1, "1", "险种", bound("preferred", Base+"/ValueSet/cv07-10-005")).el("beneficiary", 1, "1", "参保人", refs("Patient")).el("payor", 1, "*", "经办机构")
	claim := newProfile("tcm-claim", "Claim", "医保申报（登记、明细）", "identifier 为登记号 djid；use 为 preauthorization 时是试结算。").
		el("identifier", 1, "*", "登记号").el("patient", 1, "1", "参保人", refs("Patient")).el("insurance", 1, "*", "参保").el("item", 0, "*", "费用明细")
	response := newProfile("tcm-trial-settlement", "ClaimResponse", "试结算结果", "预结算的补偿试算，不产生支付。").
		el("use", 1, "1", "preauthorization 试结算").el("patient", 1, "1", "参保人", refs("Patient")).el("request", 0, "1", "申报", refs("Claim")).el("total", 0, "*", "试算合计")
	eob := newProfile("tcm-settlement", "ExplanationOfBenefit", "结算单", "identifier 为报销号 bxid；total 的分类为 sum31 总额、sum01 补偿、sum21 自付；冲销后 status 为 cancelled。").
		el("identifier", 1, "*", "报销号").el("patient", 1, "1", "参保人", refs("Patient")).el("claim", 0, "1", "申报", refs("Claim")).
		el("total", 1, "*", "合计").el("total.category", 1, "1", "合计类别").el("total.amount", 1, "1", "金额")
	return []*profile{charge, account, invoice, coverage, claim, response, eob}
}

// directoryProfiles are halls, the tree of authorities above them, doctors and
// services (IHE mCSD shapes).
func directoryProfiles() []*profile {
	hall := newProfile("tcm-hall", "Organization", "中医馆", "机构编码必有；partOf 为县级管理机构。").
		el("identifier", 1, "*", "机构编码").el("identifier.value", 1, "1", "编码").el("name", 0, "1", "名称").el("address", 0, "*", "地址").
		el("telecom", 0, "*", "电话").el("partOf", 0, "1", "上级", refs("Organization"))
	authority := newProfile("tcm-authority", "Organization", "管理机构（省、市、县）", "省—市—县三级，中医馆挂在县下；type 说明级别。").
		el("identifier", 1, "*", "行政区划代码或机构编码").el("type", 1, "*", "级别", local("required", "organization-level")).el("name", 1, "1", "名称").el("partOf", 0, "1", "上级", refs("Organization"))
	doctor := newProfile("tcm-practitioner", "Practitioner", "中医师", "执业资格在 qualification；名老中医称号与学术流派在扩展。").
		extensions("", extensionUse{"renowned-doctor", 0, "1", "名老中医称号"}, extensionUse{"academic-school", 0, "1", "学术流派"}).
		el("identifier", 1, "*", "工号、执业证书号").el("name", 0, "*", "姓名").el("qualification", 0, "*", "执业资格").el("qualification.code", 1, "1", "资格名称")
	role := newProfile("tcm-practitioner-role", "PractitionerRole", "执业关系", "医生在哪一家馆、什么职称和专长。").
		el("practitioner", 1, "1", "医生", refs("Practitioner")).el("organization", 1, "1", "中医馆", refs("Organization")).el("code", 0, "*", "职称").el("specialty", 0, "*", "专长")
	service := newProfile("tcm-service", "HealthcareService", "中医馆服务项目", "针灸、推拿、膏方、治未病等服务；providedBy 为中医馆。").
		el("providedBy", 1, "1", "中医馆", refs("Organization")).el("type", 0, "*", "服务类别").el("name", 1, "1", "名称").el("availableTime", 0, "*", "开诊时间")
	return []*profile{hall, authority, doctor, role, service}
}
