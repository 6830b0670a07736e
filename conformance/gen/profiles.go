package main

import (
	"os"
	"path/filepath"
)

const (
	diagnosisKind = Base + "/CodeSystem/diagnosis-kind"
	fourExams     = Base + "/CodeSystem/four-examinations"
)

// guideProfiles are the profiles of the guide, in the order of its menu.
func guideProfiles() []*profile {
	var out []*profile
	for _, chapter := range []func() []*profile{visitProfiles, examinationProfiles, diagnosisProfiles, prescriptionProfiles, treatmentProfiles, settlementProfiles, directoryProfiles} {
		out = append(out, chapter()...)
	}
	return out
}

// structures writes the extensions and profiles beside the terminology.
func structures(_, to string) error {
	dir := filepath.Join(filepath.Dir(to), "profiles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, x := range guideExtensions() {
		if err := x.write(dir); err != nil {
			return err
		}
	}
	for _, p := range guideProfiles() {
		if err := p.sd.write(dir); err != nil {
			return err
		}
	}
	return nil
}
