package soap

import "strings"

// Service describes one RPC service with a single operation from string to
// string, as Axis 1 publishes it.
type Service struct {
	Name      string // e.g. TCM_HIS_01
	Namespace string
	Operation string // e.g. acceptMessage
	Param     string // e.g. in0
	Address   string // absolute URL of the endpoint
	Doc       string
}

// WSDL writes the service's WSDL 1.1 (RPC/encoded, SOAP 1.1).
func (s Service) WSDL() []byte {
	r := strings.NewReplacer("{NAME}", Escape(s.Name), "{NS}", Escape(s.Namespace), "{OP}", Escape(s.Operation),
		"{PARAM}", Escape(s.Param), "{ADDRESS}", Escape(s.Address), "{DOC}", Escape(s.Doc))
	return []byte(r.Replace(wsdl))
}

const wsdl = xmlHead + `
<wsdl:definitions targetNamespace="{NS}" xmlns:impl="{NS}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:wsdlsoap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
 <wsdl:documentation>{DOC}</wsdl:documentation>
 <wsdl:message name="{OP}Request"><wsdl:part name="{PARAM}" type="xsd:string"/></wsdl:message>
 <wsdl:message name="{OP}Response"><wsdl:part name="{OP}Return" type="xsd:string"/></wsdl:message>
 <wsdl:portType name="{NAME}PortType">
  <wsdl:operation name="{OP}" parameterOrder="{PARAM}">
   <wsdl:input message="impl:{OP}Request" name="{OP}Request"/>
   <wsdl:output message="impl:{OP}Response" name="{OP}Response"/>
  </wsdl:operation>
 </wsdl:portType>
 <wsdl:binding name="{NAME}SoapBinding" type="impl:{NAME}PortType">
  <wsdlsoap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <wsdl:operation name="{OP}">
   <wsdlsoap:operation soapAction=""/>
   <wsdl:input name="{OP}Request"><wsdlsoap:body encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" namespace="{NS}" use="encoded"/></wsdl:input>
   <wsdl:output name="{OP}Response"><wsdlsoap:body encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" namespace="{NS}" use="encoded"/></wsdl:output>
  </wsdl:operation>
 </wsdl:binding>
 <wsdl:service name="{NAME}Service">
  <wsdl:port binding="impl:{NAME}SoapBinding" name="{NAME}"><wsdlsoap:address location="{ADDRESS}"/></wsdl:port>
 </wsdl:service>
</wsdl:definitions>
`
