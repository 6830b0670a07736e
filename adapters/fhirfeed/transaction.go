package fhirfeed

import (
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// outgoing is one version on its way to a peer.
type outgoing struct {
	store.Change
	content    []byte            // the resource; of a deletion its last content, nil if that is gone
	identifier string            // token by which the peer finds it; "" = by its id
	elsewhere  map[string]string // Type/id of references → conditional reference
}

func (o *outgoing) key() string { return o.Type + "/" + o.ID }

// address is the request's URL.
func (o *outgoing) address() string {
	if o.identifier == "" {
		return o.key()
	}
	return conditional(o.Type, o.identifier)
}

// conditional is a resource named by a search
// (http://hl7.org/fhir/R4/http.html#trules).
func conditional(typ, identifier string) string {
	return typ + "?identifier=" + url.QueryEscape(identifier)
}

// urn names a resource that has no id yet within a transaction.
func urn(key string) string {
	return "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(key)).String()
}

// token escapes a part of a search token.
var token = strings.NewReplacer(`\`, `\\`, "|", `\|`, ",", `\,`, "$", `\$`)

// identifier is the token of the identifier by which the peer knows a resource:
// the first of the configured system, or of any. "" where ids are kept, or it has
// none.
func (p *Pusher) identifier(content []byte) (string, error) {
	if p.cfg.By != ByIdentifier || content == nil {
		return "", nil
	}
	tree, err := fhir.Parse(content)
	if err != nil {
		return "", err
	}
	list := tree.Root().Get("identifier")
	if list.Kind() != fhir.Array { // a Bundle's or QuestionnaireResponse's single one
		return p.tokenOf(list), nil
	}
	for n := range list.Children() {
		if t := p.tokenOf(n); t != "" {
			return t, nil
		}
	}
	return "", nil
}

func (p *Pusher) tokenOf(identifier fhir.Node) string {
	system, value := identifier.Get("system").Str(), identifier.Get("value").Str()
	if system == "" || value == "" || p.cfg.System != "" && system != p.cfg.System {
		return ""
	}
	return token.Replace(system) + "|" + token.Replace(value)
}

// resolve finds by which identifiers the peer knows what the resources refer to.
func (p *Pusher) resolve(snap store.Snapshot, list []outgoing) error {
	if p.cfg.By != ByIdentifier {
		return nil
	}
	known := map[string]string{}
	for i := range list {
		list[i].elsewhere = known
		if list[i].Deleted() {
			continue
		}
		tree, err := fhir.Parse(list[i].content)
		if err != nil {
			return err
		}
		references(tree.Root(), nil, func(typ, id string) string {
			key := typ + "/" + id
			if _, ok := known[key]; ok || err != nil {
				return key
			}
			var target string
			target, err = p.targetOf(snap, typ, id)
			known[key] = target
			return key
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// targetOf is the reference by which the peer finds a resource outside of the
// transaction.
func (p *Pusher) targetOf(snap store.Snapshot, typ, id string) (string, error) {
	v, err := snap.Read(typ, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return typ + "/" + id, nil
	}
	if err != nil {
		return "", err
	}
	t, err := p.identifier(v.Resource)
	if err != nil || t == "" {
		return typ + "/" + id, err
	}
	return conditional(typ, t), nil
}

// encode is the transaction of a list.
func (p *Pusher) encode(list []outgoing) []byte {
	inside := map[string]string{}
	for i := range list {
		if o := &list[i]; o.identifier != "" && !o.Deleted() {
			inside[o.key()] = urn(o.key())
		}
	}
	b := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = list[i].entry(b, p.cfg.base(), inside)
	}
	return append(b, "]}"...)
}

// entry appends the entry of one version.
func (o *outgoing) entry(b []byte, base string, inside map[string]string) []byte {
	b = append(b, '{')
	method := "DELETE"
	if !o.Deleted() {
		method = "PUT"
		full := base + "/" + o.key()
		if u := inside[o.key()]; u != "" {
			full = u
		}
		b = fhir.AppendString(append(b, `"fullUrl":`...), full)
		b = append(append(b, `,"resource":`...), o.resource(inside)...)
		b = append(b, ',')
	}
	b = append(append(b, `"request":{"method":"`...), method...)
	b = fhir.AppendString(append(b, `","url":`...), o.address())
	return append(b, "}}"...)
}

// resource is the content as the peer gets it: without the hub's id where the
// peer has its own, and with references that it can follow.
func (o *outgoing) resource(inside map[string]string) []byte {
	if o.elsewhere == nil {
		return o.content
	}
	tree, err := fhir.Parse(o.content)
	if err != nil {
		return o.content // resolve has parsed it
	}
	res, edits := tree.Root(), []fhir.Edit(nil)
	if id := res.Get("id"); o.identifier != "" && id.Exists() {
		edits = append(edits, fhir.Remove(res, id))
	}
	edits = references(res, edits, func(typ, id string) string {
		key := typ + "/" + id
		if u := inside[key]; u != "" {
			return u
		}
		return o.elsewhere[key]
	})
	return fhir.Splice(o.content, edits...)
}
