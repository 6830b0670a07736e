package xnh

import (
	"context"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// need refuses a request without a member that names what it is about.
func need(member string, v text) error {
	if v != "" {
		return nil
	}
	return fault.New(fault.Invalid, "缺少 %s", member).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-member",
		Text: "缺少 " + member, TextEN: member + " is missing", Expression: member})
}

func (s *Server) eligible(ctx context.Context, _ operation, args []string) (string, error) {
	q := ncms.Card{}
	if len(args) >= 3 {
		at := func(i int) string {
			if i < len(args) {
				return args[i]
			}
			return ""
		}
		q = ncms.Card{Caller: ncms.Caller{Operator: at(0), Hospital: at(1), IP: at(4), Port: at(5)}, Number: at(2), Year: at(3)}
	} else { // some clients send it as JSON, like the others
		var r struct {
			head
			Card text `json:"cardid"`
			Year text `json:"Year"`
		}
		if err := decode(args[0], &r); err != nil {
			return "", err
		}
		q = ncms.Card{Caller: r.caller(), Number: r.Card.String(), Year: r.Year.String()}
	}
	if err := need("cardid", text(q.Number)); err != nil {
		return "", err
	}
	people, err := s.scheme.Eligible(ctx, q)
	if err != nil {
		return "", err
	}
	out := eligibleReply{status: ok(), Patients: make([]person, len(people))}
	for i, p := range people {
		out.Patients[i] = personOf(p)
	}
	return encode(out), nil
}

func (s *Server) register(ctx context.Context, op operation, args []string) (string, error) {
	var r registration
	if err := decode(args[0], &r); err != nil {
		return "", err
	}
	if err := need("cardid", r.Card); err != nil {
		return "", err
	}
	number, err := s.scheme.Register(ctx, r.port(op == opAdmit))
	if err != nil {
		return "", err
	}
	return encode(registeredReply{ok(), text(number)}), nil
}

func (s *Server) cancel(ctx context.Context, _ operation, args []string) (string, error) {
	var v visit
	if err := decode(args[0], &v); err != nil {
		return "", err
	}
	if err := need("djid", v.Number); err != nil {
		return "", err
	}
	port := v.port()
	port.Inpatient = true // only inpatients have this operation
	return encode(ok()), s.scheme.Cancel(ctx, port)
}

func (s *Server) upload(ctx context.Context, _ operation, args []string) (string, error) {
	var u upload
	if err := decode(args[0], &u); err != nil {
		return "", err
	}
	if err := need("djid", u.Number); err != nil {
		return "", err
	}
	switch u.Act {
	case "1":
		d, err := u.port()
		if err != nil {
			return "", err
		}
		return encode(ok()), s.scheme.Upload(ctx, d)
	case "2":
		return encode(ok()), s.scheme.Retract(ctx, u.visit.port())
	}
	return "", fault.New(fault.Invalid, "czlx 应为 1（上传）或 2（取消）")
}

func (s *Server) try(ctx context.Context, op operation, args []string) (string, error) {
	b, err := readTrial(args[0], op == opTryDrgs)
	if err != nil {
		return "", err
	}
	if err := need("djid", text(b.Number)); err != nil {
		return "", err
	}
	t, err := s.scheme.Try(ctx, b)
	if err != nil {
		return "", err
	}
	return writeSums(t), nil
}

func (s *Server) settle(ctx context.Context, op operation, args []string) (string, error) {
	var r settlement
	if err := decode(args[0], &r); err != nil {
		return "", err
	}
	if err := need("djid", r.Number); err != nil {
		return "", err
	}
	if err := need("fphm", r.Invoice); err != nil {
		return "", err
	}
	out, err := s.scheme.Settle(ctx, r.port(op == opSettleDrg))
	if err != nil {
		return "", err
	}
	return encode(settledReply{ok(), text(out.ID)}), nil
}

func (s *Server) reverse(ctx context.Context, op operation, args []string) (string, error) {
	var r reversal
	if err := decode(args[0], &r); err != nil {
		return "", err
	}
	if r.ID == "" {
		if err := need("bxid 或 invoiceId", r.Invoice); err != nil {
			return "", err
		}
	}
	err := s.scheme.Reverse(ctx, ncms.Reversal{Visit: ncms.Visit{Caller: r.caller(), Number: r.Visit.String()}, ID: r.ID.String(), Invoice: r.Invoice.String(),
		Card: r.Card.String(), Year: r.Year.String(), Drgs: op == opReverseDr})
	return encode(ok()), err
}

func (s *Server) day(ctx context.Context, _ operation, args []string) (string, error) {
	var d days
	if err := decode(args[0], &d); err != nil {
		return "", err
	}
	if err := need("Dzrq", d.From); err != nil {
		return "", err
	}
	q := ncms.Days{Caller: d.caller(), From: d.From.String(), To: first(d.To, d.From), Inpatient: d.Kind == "2"}
	if d.HospitalCode != "" {
		q.Hospital = d.HospitalCode.String()
	}
	entries, err := s.scheme.Day(ctx, q)
	if err != nil {
		return "", err
	}
	out := dayReply{status: ok(), Entries: make([]entry, len(entries))}
	for i, e := range entries {
		out.Entries[i] = entryOf(e)
	}
	return encode(out), nil
}

// catalogues are those of the scheme, or the reason why there are none.
func (s *Server) catalogues() (ncms.Catalogues, error) {
	if c, ok := s.scheme.(ncms.Catalogues); ok {
		return c, nil
	}
	return nil, fault.New(fault.Unsupported, "该中心不提供目录下载与对照审核")
}

var kindsOf = map[string]ncms.Kind{opDrugs.name: ncms.Drugs, opServices.name: ncms.Services, opDiseases.name: ncms.Diseases, opDrgGroups.name: ncms.DrgGroups}

func (s *Server) catalogue(ctx context.Context, op operation, args []string) (string, error) {
	c, err := s.catalogues()
	if err != nil {
		return "", err
	}
	q := ncms.CatalogueQuery{Kind: kindsOf[op.name]}
	switch {
	case op.params == 0:
		var r catalogueQuery
		if err := decode(args[0], &r); err != nil {
			return "", err
		}
		q.Caller = r.caller()
		if r.Down != "1" {
			q.Version = r.Version.String()
		}
	case len(args) == op.params:
		q.Operator, q.IP, q.Port = args[0], args[len(args)-2], args[len(args)-1]
	}
	entries, err := c.Catalogue(ctx, q)
	if err != nil {
		return "", err
	}
	out := catalogueReply{status: ok(), Entries: make([]catalogueEntry, len(entries))}
	for i, e := range entries {
		out.Entries[i] = catalogueEntryOf(q.Kind, e)
	}
	return encode(out), nil
}

func (s *Server) propose(ctx context.Context, op operation, args []string) (string, error) {
	c, err := s.catalogues()
	if err != nil {
		return "", err
	}
	if len(args) != op.params {
		return "", fault.New(fault.Invalid, "应有 %d 个参数：operator、yybh、type、对照数组、ip、port", op.params)
	}
	items, err := readProposals(args[3])
	if err != nil {
		return "", err
	}
	who := ncms.Caller{Operator: args[0], Hospital: args[1], IP: args[4], Port: args[5]}
	return encode(ok()), c.Propose(ctx, who, ncms.Kind(args[2]), items)
}

func (s *Server) approval(ctx context.Context, _ operation, args []string) (string, error) {
	c, err := s.catalogues()
	if err != nil {
		return "", err
	}
	var q approvalQuery
	if err := decode(args[0], &q); err != nil {
		return "", err
	}
	if err := need("icode", q.Code); err != nil {
		return "", err
	}
	a, err := c.Approval(ctx, q.caller(), "", q.Code.String())
	if err != nil {
		return "", err
	}
	return approvalText(q.Code.String(), a), nil
}
