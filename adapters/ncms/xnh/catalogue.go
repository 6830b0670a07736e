package xnh

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// catalogueQuery is getYpml and getZlml.
type catalogueQuery struct {
	head
	Down    text `json:"downtype"` // 1 全部, 2 增量
	Version text `json:"version"`
}

// catalogueEntry is a row of NH_BSOFT_YPML, _ZLML or _JBBM, as the centre sends
// it; each catalogue fills its own members.
type catalogueEntry struct {
	Drug        text `json:"YPXH,omitempty"`
	DrugName    text `json:"YPMC,omitempty"`
	DrugUnit    text `json:"YPDW,omitempty"`
	DrugSpec    text `json:"YPGG,omitempty"`
	DrugForm    text `json:"YPSX,omitempty"`
	Service     text `json:"FYXH,omitempty"`
	ServiceName text `json:"FYMC,omitempty"`
	ServiceUnit text `json:"FYDW,omitempty"`
	Ceiling     text `json:"XE,omitempty"`
	Disease     text `json:"CODE,omitempty"`
	DiseaseName text `json:"NAME,omitempty"`
	ICD10       text `json:"ICD10,omitempty"`
	Own         text `json:"ZFBL,omitempty"`
	OwnOut      text `json:"MZZFBL,omitempty"`
	Version     text `json:"VERSION,omitempty"`
}

func catalogueEntryOf(kind ncms.Kind, e ncms.CatalogueEntry) catalogueEntry {
	w := catalogueEntry{Own: text(e.Own), OwnOut: text(e.OwnOut), Version: text(e.Version)}
	switch kind {
	case ncms.Drugs:
		w.Drug, w.DrugName, w.DrugUnit, w.DrugSpec, w.DrugForm = text(e.Code), text(e.Name), text(e.Unit), text(e.Spec), text(e.Form)
	case ncms.Services:
		w.Service, w.ServiceName, w.ServiceUnit, w.Ceiling = text(e.Code), text(e.Name), text(e.Unit), text(e.Ceiling)
	default:
		w.Disease, w.DiseaseName, w.ICD10 = text(e.Code), text(e.Name), text(e.ICD10)
	}
	return w
}

func (w catalogueEntry) port() ncms.CatalogueEntry {
	any := func(all ...text) string {
		for _, t := range all {
			if t != "" {
				return t.String()
			}
		}
		return ""
	}
	return ncms.CatalogueEntry{Code: any(w.Drug, w.Service, w.Disease), Name: any(w.DrugName, w.ServiceName, w.DiseaseName), Unit: any(w.DrugUnit, w.ServiceUnit),
		Spec: w.DrugSpec.String(), Form: w.DrugForm.String(), ICD10: w.ICD10.String(), Own: w.Own.String(), OwnOut: w.OwnOut.String(), Ceiling: w.Ceiling.String(), Version: w.Version.String()}
}

type catalogueReply struct {
	status
	Entries []catalogueEntry `json:"arr"`
}

// proposal is a member of uploadDzml's array.
type proposal struct {
	Code       text `json:"iCode"`
	Common     text `json:"iNamety"`
	Name       text `json:"iName"`
	Spec       text `json:"spec"`
	Price      text `json:"Price"`
	SchemeCode text `json:"oCode"`
	OwnCode    text `json:"Zbm"`
	Maker      text `json:"SCQY"`
}

// approvalQuery is getDzmlByItem.
type approvalQuery struct {
	head
	Code text `json:"icode"`
}

// approvalReply holds the state under the hall's own code.
type approvalReply struct {
	status
	Map map[string]text `json:"map"`
}

// Catalogue implements [ncms.Catalogues].
func (c *Client) Catalogue(ctx context.Context, q ncms.CatalogueQuery) ([]ncms.CatalogueEntry, error) {
	reply, err := c.catalogue(ctx, q)
	if err != nil {
		return nil, err
	}
	var r catalogueReply
	if err := readReply(reply, &r); err != nil {
		return nil, err
	}
	out := make([]ncms.CatalogueEntry, len(r.Entries))
	for i, e := range r.Entries {
		out[i] = e.port()
	}
	return out, nil
}

// catalogue calls the operation of a kind: those of diseases take their
// parameters one by one (operator, page, rows, ip, port).
func (c *Client) catalogue(ctx context.Context, q ncms.CatalogueQuery) (string, error) {
	switch q.Kind {
	case ncms.Diseases:
		return c.call(ctx, opDiseases, q.Operator, "1", "100000", q.IP, q.Port)
	case ncms.DrgGroups:
		return c.call(ctx, opDrgGroups, q.Operator, q.Hospital, q.IP, q.Port)
	}
	op, down := opDrugs, text("2")
	if q.Kind == ncms.Services {
		op = opServices
	}
	if q.Version == "" {
		down = "1"
	}
	return c.call(ctx, op, encode(catalogueQuery{headOf(q.Caller, op.service), down, text(q.Version)}))
}

// Propose implements [ncms.Catalogues].
func (c *Client) Propose(ctx context.Context, who ncms.Caller, kind ncms.Kind, items []ncms.Mapping) error {
	list := make([]proposal, len(items))
	for i, m := range items {
		list[i] = proposal{Code: text(m.Code), Common: text(m.Name), Name: text(m.Name), Spec: text(m.Spec), Price: text(m.Price), SchemeCode: text(m.SchemeCode), Maker: text(m.Maker)}
	}
	reply, err := c.call(ctx, opPropose, who.Operator, who.Hospital, string(kind), encode(list), who.IP, who.Port)
	if err != nil {
		return err
	}
	return readReply(reply, nil)
}

// Approval implements [ncms.Catalogues].
func (c *Client) Approval(ctx context.Context, who ncms.Caller, _ ncms.Kind, code string) (ncms.Approval, error) {
	reply, err := c.call(ctx, opApproval, encode(approvalQuery{headOf(who, opApproval.service), text(code)}))
	if err != nil {
		return ncms.Approval{}, err
	}
	var r approvalReply
	if err := readReply(reply, &r); err != nil {
		return ncms.Approval{}, err
	}
	a := ncms.Approval{State: r.Map[code].String(), Own: r.Map["zfbl"].String(), OwnOut: r.Map["mzzfbl"].String()}
	if a.State == "" {
		a.State = "0"
	}
	return a, nil
}

func readProposals(list string) ([]ncms.Mapping, error) {
	var in []proposal
	if err := decode(strings.TrimSpace(list), &in); err != nil {
		return nil, err
	}
	out := make([]ncms.Mapping, len(in))
	for i, p := range in {
		out[i] = ncms.Mapping{Code: p.Code.String(), Name: first(p.Name, p.Common), Spec: p.Spec.String(), Price: p.Price.String(), SchemeCode: p.SchemeCode.String(), Maker: p.Maker.String()}
	}
	return out, nil
}

// approvalText writes the reply of getDzmlByItem.
func approvalText(code string, a ncms.Approval) string {
	b, _ := json.Marshal(map[string]any{"code": codeOK, "msg": "成功", "map": map[string]string{code: a.State, "zfbl": a.Own, "mzzfbl": a.OwnOut}})
	return string(b)
}
