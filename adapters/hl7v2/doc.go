// Package hl7v2 is the codec of HL7 version 2 messages in their vertical-bar
// encoding (HL7 v2.5.1 chapter 2): bytes to segments and values and back. It
// does no I/O; package mllp owns the socket.
//
// Parsing copies nothing: a [Message] is an index over its text, and values are
// unescaped when asked for. Hospital systems bend the rules, so line feeds end
// segments too, and missing or surplus fields are no error.
package hl7v2
