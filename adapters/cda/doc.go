// Package cda is the codec of the national shared documents: WS/T 500-2016
// 电子病历共享文档规范, 53 templates in HL7 CDA Release 2.
//
// [Read] turns the bytes of a document into a [Document], a tree of plain values;
// [Append] writes one back; [Checker] judges one by rules that are data
// (data/rules.json) over the templates, data elements and value tables of
// [Load] (data/templates.json, made by package gen). Nothing here does I/O or
// knows FHIR: package bundle maps documents to FHIR and back, package intake
// takes them from partners.
//
// What the reader meets and has no value for is an issue with its XPath, never
// dropped in silence. Text is plain text: markup in narratives is taken off.
package cda
