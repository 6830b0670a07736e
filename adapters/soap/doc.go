// Package soap is the codec of SOAP 1.1 and 1.2 as hospital systems use it: it
// turns bytes into calls and values into replies, and does no I/O.
//
// Township HIS clients build XML by joining strings: names hold raw `&` and `<`,
// the payload stands escaped, in CDATA or raw inside a parameter of any name.
// [ParseXML] reads all of that, yet refuses what is dangerous (document type
// definitions, deep nesting) and what cannot be told apart.
package soap
