package main

import (
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/xml"
)

// xmlCodec converts resources with the R4 definitions.
type xmlCodec struct{ model *definitions.Model }

// ToJSON implements server.XML.
func (x xmlCodec) ToJSON(b []byte) ([]byte, error) { return xml.ToJSON(x.model, b) }

// FromJSON implements server.XML.
func (x xmlCodec) FromJSON(b []byte) ([]byte, error) { return xml.FromJSON(x.model, b) }
