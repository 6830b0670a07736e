package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// soapSystem pushes TCM_HIS_01 and then the visit document.
type soapSystem struct{ *month }

func (s *soapSystem) name() string { return "soap" }

func (s *soapSystem) visit(ctx context.Context, h int, v *visit, at time.Time) error {
	if err := s.client.push01(ctx, v, h, at); err != nil {
		return err
	}
	return s.client.document(ctx, v)
}

func (s *soapSystem) wrong(ctx context.Context, h int, v *visit) (bool, error) {
	bad := *v
	bad.Patient.ID = ""
	return s.refused(ctx, "/ingest/his", "application/json", &bad)
}

func (s *soapSystem) close(context.Context) error { return nil }

// refused posts a document that is wrong and reports whether the hub said so; it
// tries again as long as the hub is away.
func (m *month) refused(ctx context.Context, path, contentType string, v any) (bool, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	told := false
	err = m.client.post(ctx, path, contentType, body, func(status int, _ []byte) bool {
		told = status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
		return status/100 == 2 || told
	})
	return told, err
}

// httpSystem posts documents in GB18030 to its own source.
type httpSystem struct{ *month }

func (s *httpSystem) name() string { return "http" }

func (s *httpSystem) visit(ctx context.Context, _ int, v *visit, _ time.Time) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if body, err = simplifiedchinese.GB18030.NewEncoder().Bytes(body); err != nil {
		return err
	}
	return s.client.post(ctx, "/ingest/"+s.cfg.HTTP, "application/json; charset=GB18030", body, func(status int, _ []byte) bool { return status/100 == 2 })
}

func (s *httpSystem) wrong(ctx context.Context, _ int, v *visit) (bool, error) {
	bad := *v
	bad.VisitTime = "昨天"
	return s.refused(ctx, "/ingest/"+s.cfg.HTTP, "application/json", &bad)
}

func (s *httpSystem) close(context.Context) error { return nil }

// fileSystem drops a file for each visit into a shared folder, as exports do:
// under another name first, in two writes.
type fileSystem struct {
	*month
	mu      sync.Mutex
	waiting map[string]bool // paths the hub has not taken yet
	n       int
}

func (s *fileSystem) name() string { return "files" }

// put writes a file in two parts and gives it its name at the end.
func (s *fileSystem) put(name string, body []byte) (string, error) {
	path := filepath.Join(s.cfg.Folder, name)
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return "", err
	}
	half := len(body) / 2
	for _, part := range [][]byte{body[:half], body[half:]} {
		if _, err := f.Write(part); err != nil {
			f.Close()
			return "", err
		}
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return path, os.Rename(path+".tmp", path)
}

func (s *fileSystem) visit(_ context.Context, _ int, v *visit, _ time.Time) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	path, err := s.put(fmt.Sprintf("visit-%s-%s-%d.json", v.OrgCode, v.VisitNo, n), body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[string]bool{}
	}
	s.waiting[path] = true
	return nil
}

// wrong drops half a document; the hub says so beside it in failed/.
func (s *fileSystem) wrong(ctx context.Context, _ int, v *visit) (bool, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	name := fmt.Sprintf("broken-%s-%s.json", v.OrgCode, v.VisitNo)
	if _, err := s.put(name, body[:len(body)/2]); err != nil {
		return false, err
	}
	told := filepath.Join(s.cfg.Folder, "failed", name+".errors.json")
	return true, s.until(ctx, "等待 "+told, func() bool { _, err := os.Stat(told); return err == nil })
}

// until waits for the hub to have done something with a file.
func (s *fileSystem) until(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(s.cfg.Patience + time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("超时：%s", what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close waits until every file is in done/: then the hub has it.
func (s *fileSystem) close(ctx context.Context) error {
	return s.until(ctx, "文件没有全部取走", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for path := range s.waiting {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "done", filepath.Base(path))); err != nil {
				return false
			}
			delete(s.waiting, path)
		}
		return true
	})
}

// fhirSystem writes FHIR itself: one transaction for a visit.
type fhirSystem struct{ *month }

func (s *fhirSystem) name() string { return "fhir" }

func (s *fhirSystem) visit(ctx context.Context, _ int, v *visit, at time.Time) error {
	body, err := json.Marshal(bundle(v, at))
	if err != nil {
		return err
	}
	return s.client.post(ctx, "/fhir", "application/fhir+json", body, func(status int, _ []byte) bool { return status == http.StatusOK })
}

func (s *fhirSystem) wrong(ctx context.Context, _ int, v *visit) (bool, error) {
	return s.refused(ctx, "/fhir", "application/fhir+json", object{"resourceType": "Bundle", "type": "transaction", "entry": []object{{
		"resource": object{"resourceType": "Encounter", "class": object{"code": "AMB"}, "status": object{"code": "finished"}}, "request": object{"method": "POST", "url": "Encounter"}}}})
}

func (s *fhirSystem) close(context.Context) error { return nil }

type object map[string]any

// The identifier systems of the hub's guide.
const (
	sidBase = "https://qihuang.health/fhir/sid/"
	sidNI   = "urn:oid:2.16.156.10011.1.3"
)

// bundle is a visit as a transaction: its ids are the hall's own.
func bundle(v *visit, at time.Time) object {
	id := func(kind, no string) string { return "sim-" + kind + "-" + v.OrgCode + "-" + strings.ToLower(no) }
	pid, eid := id("pat", v.Patient.ID), id("enc", v.VisitNo)
	hall := object{"identifier": object{"system": sidBase + "organization", "value": v.OrgCode}, "display": v.OrgName}
	patient := object{"resourceType": "Patient", "id": pid, "name": []object{{"text": v.Patient.Name}}, "gender": v.Patient.Gender, "birthDate": v.Patient.BirthDate,
		"identifier": []object{{"system": sidBase + "patient/" + v.OrgCode, "value": v.Patient.ID}}, "managingOrganization": hall}
	if v.Patient.IDNo != "" {
		patient["identifier"] = append(patient["identifier"].([]object), object{"system": sidNI, "value": v.Patient.IDNo})
	}
	subject, visit := object{"reference": "Patient/" + pid}, object{"reference": "Encounter/" + eid}
	list := []object{patient, {"resourceType": "Encounter", "id": eid, "status": "finished", "identifier": []object{{"system": sidBase + "visit/" + v.OrgCode, "value": v.VisitNo}},
		"class":   object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
		"subject": subject, "period": object{"start": at.Format(time.RFC3339)}, "serviceProvider": hall}}
	for i, c := range v.Charges {
		list = append(list, object{"resourceType": "ChargeItem", "id": id("chg", fmt.Sprintf("%s-%d", v.VisitNo, i)), "status": "billed", "code": object{"text": c.Category},
			"subject": subject, "context": visit, "occurrenceDateTime": at.Format(time.RFC3339), "performingOrganization": hall,
			"quantity": object{"value": c.Quantity}, "priceOverride": object{"value": c.Amount, "currency": "CNY"}})
	}
	out := object{"resourceType": "Bundle", "type": "transaction"}
	var entries []object
	for _, r := range list {
		entries = append(entries, object{"resource": r, "request": object{"method": "PUT", "url": fmt.Sprint(r["resourceType"], "/", r["id"])}})
	}
	out["entry"] = entries
	return out
}
