// Package yb is the dialect of the national insurance platform
// (国家医疗保障信息平台), which absorbed the county schemes: HTTPS POST of one JSON
// envelope per transaction number (infno). It holds both sides: [Client] asks a
// centre, [Server] lets hospital systems ask.
//
// Facts: yb_interface.json. What is published there as background only (9001,
// 2202, 2205, 2206, 3201, 3202) has the shape written in docs/formats/ncms.md.
package yb

// The transactions.
const (
	infSignIn     = "9001"
	infPerson     = "1101"
	infRegister   = "2201"
	infCancel     = "2202"
	infDiagnose   = "2203"
	infUpload     = "2204"
	infRetract    = "2205"
	infTry        = "2206"
	infSettle     = "2207"
	infReverse    = "2208"
	infTotals     = "3201"
	infDay        = "3202"
	allItems      = "0000" // feedetl_sn of 2205: every item
	ownSettlement = "01"   // psn_setlway 按项目结算
)

// Path of the service on the hub.
const Path = "/Webservices/yb"
