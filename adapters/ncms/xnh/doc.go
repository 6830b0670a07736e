// Package xnh is the dialect of the county schemes (新农合): a SOAP 1.1 service
// HCNWebservicesService in namespace http://webservices/, whose operations take
// one JSON string and return one. It holds both sides: [Client] asks a centre,
// [Server] lets hospital systems ask.
//
// Facts: xnh_interface.json (operation names of the JAX-WS client, members,
// error words). See docs/formats/ncms.md.
package xnh

// Namespace of the service's operations.
const Namespace = "http://webservices/"

// Path of the service on a centre and on the hub.
const Path = "/Webservices/HCNWebservices"

// operation is one operation of the service: its name on the wire and the
// serviceId in its JSON.
type operation struct {
	name, service string
	params        int // 0 = one JSON string
}

// The operations. Spelling follows the deployed client, down to the capital Y
// of doFYbxjs and the missing underscore of the DRG ones.
var (
	opEligible  = operation{"docheckGRZH", "checkGRZH", 6}
	opRegister  = operation{"doMzdj", "Mzdj", 0}
	opAdmit     = operation{"doZydj", "Zydj", 0}
	opCancel    = operation{"doCancleZydj", "CancleZydj", 0}
	opUpload    = operation{"doUploadFyxx", "UploadFyxx", 0}
	opTry       = operation{"doFybxYjs", "FybxYjs", 0}
	opTryDrgs   = operation{"doFybxYjsDrgs", "FybxYjs_Drgs", 0}
	opSettle    = operation{"doFYbxjs", "FybxJs", 0}
	opSettleDrg = operation{"doFybxJsDrgs", "FybxJs_Drgs", 0}
	opReverse   = operation{"doReSaveFybx", "ReSaveFybx", 0}
	opReverseDr = operation{"doReSaveFybxDrgs", "ReSaveFybx_Drgs", 0}
	opDay       = operation{"doMrdzMx", "MrdzMx", 0}
	opDrugs     = operation{"dogetYpml", "getYpml", 0}
	opServices  = operation{"dogetZlml", "getZlml", 0}
	opDiseases  = operation{"dogetJbml", "getJbml", 5}
	opDrgGroups = operation{"dogetDbzml", "getDbzml", 4}
	opPropose   = operation{"douploadDzml", "uploadDzml", 6}
	opApproval  = operation{"dogetDzmlByItem", "getDzmlByItem", 0}
)

func operations() []operation {
	return []operation{opEligible, opRegister, opAdmit, opCancel, opUpload, opTry, opTryDrgs, opSettle, opSettleDrg, opReverse, opReverseDr,
		opDay, opDrugs, opServices, opDiseases, opDrgGroups, opPropose, opApproval}
}
