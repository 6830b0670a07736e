package soap

import "strings"

// Request writes a document/literal wrapped call in SOAP 1.1, as JAX-WS clients
// do: the parameters are unqualified elements named by args.
func Request(namespace, operation string, args []Param) []byte {
	var b strings.Builder
	b.WriteString(`<ns2:` + operation + ` xmlns:ns2="` + Escape(namespace) + `">`)
	for _, a := range args {
		b.WriteString(`<` + a.Name + `>` + Escape(a.Value) + `</` + a.Name + `>`)
	}
	b.WriteString(`</ns2:` + operation + `>`)
	return (&Call{}).wrap(b.String())
}

// Return wraps the string result of a document/literal call:
// `<ns2:OPResponse><return>`, as JAX-WS services do.
func (c *Call) Return(result string) []byte {
	return c.wrap(`<ns2:` + c.Operation + `Response xmlns:ns2="` + Escape(c.Namespace) + `"><return>` + Escape(result) +
		`</return></ns2:` + c.Operation + `Response>`)
}

// DocumentService describes a document/literal wrapped service of operations
// from strings to a string, as JAX-WS publishes it.
type DocumentService struct {
	Name       string // e.g. HCNWebservicesService
	Port       string // e.g. HCNWebservices
	Namespace  string
	Address    string // absolute URL of the endpoint
	Operations []DocumentOperation
}

// DocumentOperation is one operation; its parameters are arg0, arg1 … of type
// string.
type DocumentOperation struct {
	Name   string
	Params int
}

// WSDL writes the service's WSDL 1.1 with its schema inline.
func (s DocumentService) WSDL() []byte {
	var types, messages, port, binding strings.Builder
	for _, o := range s.Operations {
		n := Escape(o.Name)
		types.WriteString(`<xs:element name="` + n + `" type="tns:` + n + `"/><xs:element name="` + n + `Response" type="tns:` + n + `Response"/>` +
			`<xs:complexType name="` + n + `"><xs:sequence>`)
		for i := range o.Params {
			types.WriteString(`<xs:element minOccurs="0" name="arg` + string(rune('0'+i)) + `" type="xs:string"/>`)
		}
		types.WriteString(`</xs:sequence></xs:complexType><xs:complexType name="` + n + `Response"><xs:sequence>` +
			`<xs:element minOccurs="0" name="return" type="xs:string"/></xs:sequence></xs:complexType>` + "\n")
		messages.WriteString(`<wsdl:message name="` + n + `"><wsdl:part name="parameters" element="tns:` + n + `"/></wsdl:message>` +
			`<wsdl:message name="` + n + `Response"><wsdl:part name="parameters" element="tns:` + n + `Response"/></wsdl:message>` + "\n")
		port.WriteString(`<wsdl:operation name="` + n + `"><wsdl:input message="tns:` + n + `"/><wsdl:output message="tns:` + n + `Response"/></wsdl:operation>` + "\n")
		binding.WriteString(`<wsdl:operation name="` + n + `"><soap:operation soapAction=""/><wsdl:input><soap:body use="literal"/></wsdl:input>` +
			`<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>` + "\n")
	}
	r := strings.NewReplacer("{NAME}", Escape(s.Name), "{PORT}", Escape(s.Port), "{NS}", Escape(s.Namespace), "{ADDRESS}", Escape(s.Address),
		"{TYPES}", types.String(), "{MESSAGES}", messages.String(), "{OPERATIONS}", port.String(), "{BINDING}", binding.String())
	return []byte(r.Replace(documentWSDL))
}

const documentWSDL = xmlHead + `
<wsdl:definitions name="{NAME}" targetNamespace="{NS}" xmlns:tns="{NS}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<wsdl:types><xs:schema version="1.0" elementFormDefault="unqualified" targetNamespace="{NS}">
{TYPES}</xs:schema></wsdl:types>
{MESSAGES}<wsdl:portType name="{PORT}">
{OPERATIONS}</wsdl:portType>
<wsdl:binding name="{PORT}PortBinding" type="tns:{PORT}">
<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
{BINDING}</wsdl:binding>
<wsdl:service name="{NAME}"><wsdl:port name="{PORT}Port" binding="tns:{PORT}PortBinding"><soap:address location="{ADDRESS}"/></wsdl:port></wsdl:service>
</wsdl:definitions>
`

// RequestXML writes a document/literal call whose content is XML itself.
func RequestXML(namespace, operation, content string) []byte {
	return (&Call{}).wrap(`<ns2:` + operation + ` xmlns:ns2="` + Escape(namespace) + `">` + content + `</ns2:` + operation + `>`)
}
