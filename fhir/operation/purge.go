package operation

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxPurged bounds one $purge, which is one transaction.
const maxPurged = 100_000

// purge is $purge: every version of a resource leaves the repository, its history
// and its index; of a Patient, those of the whole compartment too, as R5's
// Patient/$purge has it. An AuditEvent in the same transaction proves it. What
// remains is the id, the number and the time of the deletion, so that those who
// hold copies learn of it.
func purge() server.Operation {
	return server.Operation{Name: "purge", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-purge", Instances: []string{"*"}, Changes: true,
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			list, err := doomed(ctx, s, r)
			if err != nil {
				return nil, err
			}
			ops := make([]store.Op, 0, len(list)+1)
			for _, d := range list {
				ops = append(ops, store.Op{Method: store.Purge, Type: d.typ, ID: d.id})
			}
			proof := s.NewID()
			ops = append(ops, store.Op{Method: store.Create, Type: "AuditEvent", ID: proof, Resource: purgeProof(s, r, list)})
			res, err := s.CommitAll(ctx, r, ops)
			if err != nil {
				return nil, err
			}
			at, n := r.Base+"/AuditEvent/"+proof, strconv.Itoa(len(list))
			body := outcome.Issues([]fault.Issue{{Severity: "information", Code: "informational", Key: "purged", Hint: at,
				Text: "已彻底清除 " + n + " 个资源的全部版本，凭证见 AuditEvent/" + proof, TextEN: "every version of " + n + " resources was erased; the proof is AuditEvent/" + proof}},
				outcome.Options{English: r.English, RequestID: r.ID})
			return &server.Reply{Body: body, Offset: res.Offset, Header: http.Header{"Location": {at}}}, nil
		}}
}

// purged is a resource to be purged and the number of its newest version.
type purged struct {
	typ, id  string
	versions int64
}

// doomed lists what a purge of the request's resource takes.
func doomed(ctx context.Context, s *server.Server, r *server.Request) ([]purged, error) {
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	versions, err := newest(snap, r.Type, r.Target.ID)
	if err != nil {
		return nil, err
	}
	list := []purged{{r.Type, r.Target.ID, versions}}
	if r.Type != "Patient" {
		return list, nil
	}
	def := s.Model().Compartment("Patient")
	for _, typ := range s.Model().Resources() {
		if def == nil || def.Resources[typ] == nil || slices.Contains(shared, typ) {
			continue
		}
		req := search.Request{Type: typ, Query: "_count=1000&_total=none", Compartment: &search.Compartment{Type: "Patient", ID: r.Target.ID}}
		for more := true; more; more = req.Cursor != "" {
			page, err := s.Find(ctx, snap, req)
			if err != nil {
				return nil, err
			}
			if list, err = appendOwned(list, snap, page.Matches, r.Target.ID); err != nil {
				return nil, err
			}
			if len(list) > maxPurged {
				return nil, fault.New(fault.TooCostly, "more than %d resources to purge", maxPurged)
			}
			req.Cursor = page.Next
		}
	}
	return list, nil
}

// shared are the compartment's types that are not the patient's own: proofs, and
// what is about several people.
var shared = []string{"AuditEvent", "Group", "Person", "Patient"}

// newest is the number of the newest version, also of a deleted resource.
func newest(snap store.Snapshot, typ, id string) (int64, error) {
	for c, err := range snap.History(store.HistoryQuery{Type: typ, ID: id, Limit: 1}) {
		if err != nil {
			return 0, err
		}
		return c.Version.Version, nil
	}
	return 0, fault.New(fault.NotFound, "no such resource")
}

// appendOwned adds the matches that are not about another patient, whose
// performer or payer this one may be.
func appendOwned(list []purged, snap store.Snapshot, matches []search.Match, patient string) ([]purged, error) {
	var parser fhir.Parser
	for _, m := range matches {
		v, err := snap.Read(m.Type, m.ID)
		if err != nil {
			return nil, err
		}
		tree, err := parser.Parse(v.Resource)
		if err != nil {
			return nil, err
		}
		if !aboutOther(tree.Root(), patient) {
			list = append(list, purged{strings.Clone(m.Type), strings.Clone(m.ID), v.Version})
		}
	}
	return list, nil
}

func aboutOther(res fhir.Node, patient string) bool {
	for _, name := range []string{"subject", "patient", "beneficiary"} {
		ref := fhir.ParseReference(res.Path(name, "reference").Str())
		if ref.Type == "Patient" && ref.ID != patient {
			return true
		}
	}
	return false
}

// purgeProof is the AuditEvent of a purge: who, when, what and how many versions;
// nothing of the content.
func purgeProof(s *server.Server, r *server.Request, list []purged) []byte {
	actor := r.Actor
	if actor == "" {
		actor = "anonymous"
	}
	b := []byte(`{"resourceType":"AuditEvent","type":{"system":"http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle","code":"destroy","display":"Destroy/Delete Record Lifecycle Event"},` +
		`"subtype":[{"system":"http://hl7.org/fhir/restful-interaction","code":"operation"}],"action":"D","recorded":"`)
	b = append(b, s.Now().UTC().Format("2006-01-02T15:04:05.000Z")...)
	b = append(b, `","outcome":"0","agent":[{"who":{"display":`...)
	b = append(fhir.AppendString(b, actor), `},"requestor":true}],"source":{"observer":{"display":"Qihuang"},"type":[{"system":"http://terminology.hl7.org/CodeSystem/security-source-type","code":"4","display":"Application Server"}]},"entity":[`...)
	for i, d := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"what":{"reference":"`+d.typ+"/"+d.id+`"},"detail":[{"type":"versions","valueString":"`+strconv.FormatInt(d.versions, 10)+`"},{"type":"request","valueString":`...)
		b = append(fhir.AppendString(b, r.ID), "}]}"...)
	}
	return append(b, "]}"...)
}
