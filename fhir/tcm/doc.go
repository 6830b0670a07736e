// Package tcm is the shape of a traditional-Chinese-medicine outpatient visit in
// FHIR R4: the identifiers, code systems and extensions, builders that turn one
// domain value (a 中药处方, a 辨证 …) into resources over
// samply/golang-fhir-models, and readers that turn resources back.
//
// Every resource has an id derived from its business key (see [ID]), so every
// door of the hub that learns of the same visit writes the same resources.
package tcm

import (
	"crypto/sha256"
	"encoding/base32"
	"net/url"
)

// Base is the canonical base of everything the project defines itself.
const Base = "https://qihuang.health/fhir"

// Identifier and code systems. National ones are the OIDs of WS/T 500-2016;
// what has no registered URI hangs under [Base].
const (
	SystemNationalID = "urn:oid:2.16.156.10011.1.3"      // 居民身份证号, GB 11643
	SystemLicence    = Base + "/sid/licence"             // 医师执业证书编码
	SystemOrg        = Base + "/sid/organization"        // 机构编码
	SystemGB1995     = "urn:oid:2.16.156.10011.2.3.3.14" // GB/T 15657-1995 中医病证分类与代码
	SystemGB2021     = Base + "/CodeSystem/gbt-15657-2021"
	SystemICD10      = "urn:oid:2.16.156.10011.2.3.3.11" // ICD-10 国家临床版/医保版
	SystemMarital    = "urn:oid:2.16.156.10011.2.3.3.5"  // GB/T 2261.2 婚姻状况
	SystemEthnicity  = "urn:oid:2.16.156.10011.2.3.3.3"  // GB/T 3304 民族
	SystemPayment    = "urn:oid:2.16.156.10011.2.3.1.269"
	SystemVisitType  = "urn:oid:2.16.156.10011.2.3.2.39" // DE06.00.196.00 初诊标志
	SystemLOINC      = "http://loinc.org"
	SystemUCUM       = "http://unitsofmeasure.org"
	SystemActCode    = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	SystemIDType     = "http://terminology.hl7.org/CodeSystem/v2-0203"

	SystemDiagnosisKind = Base + "/CodeSystem/diagnosis-kind" // tcm-disease tcm-syndrome western
	SystemFourExam      = Base + "/CodeSystem/four-examinations"
	SystemSection       = Base + "/CodeSystem/record-section"
	SystemCategory      = Base + "/CodeSystem/prescription-category" // 饮片 颗粒 中成药 西药
	SystemCharge        = Base + "/CodeSystem/charge-category"       // those and the services
	SystemDecoction     = Base + "/CodeSystem/tcm-decoction"         // 先煎 后下 …
	SystemRole          = Base + "/CodeSystem/ingredient-role"       // 君臣佐使
	SystemElement       = Base + "/CodeSystem/differentiation-element"
	SystemZhengsu       = Base + "/CodeSystem/zhengsu"           // 证素: 病位, 病性
	SystemTherapy       = Base + "/CodeSystem/gbt-16751-3-2023"  // 治则治法
	SystemAcupoint      = Base + "/CodeSystem/acupoint"          // 腧穴
	SystemDispense      = Base + "/CodeSystem/dispense-function" // 审核 调配 核对 发药
	SystemJudgement     = Base + "/CodeSystem/constitution-judgement"
	SystemLevel         = Base + "/CodeSystem/organization-level" // 省 市 县 馆
	SystemDevice        = Base + "/CodeSystem/device-kind"
)

// Extensions.
const (
	ExtSyndromeOf      = Base + "/StructureDefinition/tcm-syndrome-of"          // Condition: 证 → the 病 it belongs to
	ExtPairedWith      = Base + "/StructureDefinition/tcm-paired-with"          // Condition: western → TCM disease of the same diagnosis
	ExtInsuranceType   = Base + "/StructureDefinition/insurance-type"           // Encounter: 医疗付费方式
	ExtVisitType       = Base + "/StructureDefinition/visit-type"               // Encounter: 初诊/复诊
	ExtEthnicity       = Base + "/StructureDefinition/ethnicity"                // Patient: 民族
	ExtGender          = Base + "/StructureDefinition/gender-code"              // Patient: GB/T 2261.1 code when FHIR's is coarser
	ExtDecoction       = Base + "/StructureDefinition/decoction-instruction"    // MedicationRequest: 煎服法
	ExtDecoctionMethod = Base + "/StructureDefinition/decoction-method"         // ingredient: coded 煎法
	ExtFootnote        = Base + "/StructureDefinition/ingredient-note"          // ingredient: 脚注 as written
	ExtTotalQuantity   = Base + "/StructureDefinition/ingredient-quantity"      // ingredient: total dispensed
	ExtUnitPrice       = Base + "/StructureDefinition/unit-price"               // Money
	ExtAmount          = Base + "/StructureDefinition/line-amount"              // Money of one line
	ExtTotal           = Base + "/StructureDefinition/prescription-amount"      // Money of the whole prescription
	ExtSpecification   = Base + "/StructureDefinition/medication-specification" // Medication, its ingredient, MedicationRequest: 规格
	ExtDocumentSet     = Base + "/StructureDefinition/document-set"             // Composition: setId of a shared document
	ExtDosageForm      = Base + "/StructureDefinition/dosage-form"              // MedicationRequest: 药物剂型
	ExtBrewed          = Base + "/StructureDefinition/decocted-by-pharmacy"     // MedicationRequest: 代煎
	ExtFormula         = Base + "/StructureDefinition/derived-from-formula"     // MedicationRequest, Medication: 所据方剂
	ExtProcessing      = Base + "/StructureDefinition/ingredient-processing"    // ingredient: 炮制
	ExtRole            = Base + "/StructureDefinition/ingredient-role"          // ingredient: 君臣佐使
	ExtPathogenesis    = Base + "/StructureDefinition/pathogenesis"             // ClinicalImpression: 病因病机
	ExtPrinciple       = Base + "/StructureDefinition/treatment-principle"      // ClinicalImpression, Composition: 治则治法
	ExtElement         = Base + "/StructureDefinition/differentiation-element"  // ClinicalImpression.finding
	ExtAcupoint        = Base + "/StructureDefinition/acupoint"                 // Procedure: 腧穴
	ExtRenowned        = Base + "/StructureDefinition/renowned-doctor"          // Practitioner: 名老中医称号
	ExtSchool          = Base + "/StructureDefinition/academic-school"          // Practitioner: 学术流派
)

// SystemOf returns the identifier system of one kind of number ("patient",
// "visit", "prescription", "practitioner", "drug", "charge", "diagnosis") that
// an organisation hands out: such numbers are unique only inside it.
func SystemOf(kind, orgCode string) string {
	return Base + "/sid/" + kind + "/" + url.PathEscape(orgCode)
}

var idAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID derives a resource id from a business key: prefix, a dash, and 24
// characters (120 bits) of the key's SHA-256. The parts are joined by a NUL.
func ID(prefix string, parts ...string) string {
	var buf [128]byte
	key := buf[:0]
	for i, p := range parts {
		if i > 0 {
			key = append(key, 0)
		}
		key = append(key, p...)
	}
	sum := sha256.Sum256(key)
	return prefix + "-" + idAlphabet.EncodeToString(sum[:15])
}

// OrganizationID is the id of the Organization with an organisation code.
func OrganizationID(orgCode string) string { return ID("org", orgCode) }

// PatientID is the id of the Patient with a HIS patient number (BRID).
func PatientID(orgCode, patientNo string) string { return ID("pat", orgCode, patientNo) }

// PractitionerID is the id of a doctor by the HIS staff number.
func PractitionerID(orgCode, staffNo string) string { return ID("prac", orgCode, staffNo) }

// EncounterID is the id of the Encounter with a visit number (JZXH).
func EncounterID(orgCode, visitNo string) string { return ID("enc", orgCode, visitNo) }

// RecordID is the id of the Composition of a visit.
func RecordID(orgCode, visitNo string) string { return ID("rec", orgCode, visitNo) }

// DrugID is the id of a drug in an organisation's dictionary.
func DrugID(orgCode, code string) string { return ID("drug", orgCode, code) }
