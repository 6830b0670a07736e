// Package workbench is where operators teach the hub a partner's language: the
// code workbench (codes without a target, suggestions, approval as a ConceptMap,
// replay) and the map editor (errors in place, live preview of a message as tree
// and resources with the origin of every value, versions, diff, rollback).
package workbench
