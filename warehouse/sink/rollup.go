package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// requests is the table whose rows are rolled up to one per prescription.
const requests = "prescription_request"

// rollupColumns are those of the roll-up.
var rollupColumns = []column{{"id", "String", "处方 id：发号系统|处方号"}, {"no", "Nullable(String)", "处方号"}, {"encounter_id", "Nullable(String)", "就诊 id"}, {"patient_id", "Nullable(String)", "患者 id"},
	{"org_code", "Nullable(String)", "机构编码"}, {"doctor_id", "Nullable(String)", "医生 id"}, {"category", "Nullable(String)", "decoction 饮片 | granule 颗粒 | patent 中成药 | western 西药"},
	{"doses", "Nullable(Decimal(18, 6))", "剂数"}, {"amount", "Nullable(Decimal(18, 6))", "整张处方金额"}, {"formula", "Nullable(String)", "方名"}, {"status", "Nullable(String)", "状态"},
	{"authored", "Nullable(DateTime64(3, 'UTC'))", "开方时间"}}

// rollupDDL is the table of one row per prescription id (issuing system and
// number): a western prescription is several MedicationRequests.
func rollupDDL(l Layout, database string) []string {
	var cols []string
	for _, c := range rollupColumns {
		cols = append(cols, c.sql())
	}
	return l.create(database, "prescription", "("+strings.Join(cols, ", ")+", _version UInt64, _deleted UInt8)", "_version, _deleted", "id", "id")
}

// affected returns the prescriptions that the batch's requests belonged to
// before it, so that one which loses its last request disappears.
func (s *Sink) affected(ctx context.Context, b *batch) (map[string]bool, error) {
	ids := map[string]bool{}
	var keys []string
	for _, a := range b.items {
		if c := a.change; c != nil && c.Type == "MedicationRequest" && (c.Version > 1 || c.Resource == nil) {
			keys = append(keys, c.Type+"/"+c.ID)
		}
	}
	for part := range parts(keys) {
		res, err := s.conn.Query(ctx, "SELECT DISTINCT id FROM `"+s.cfg.Database+"`.`"+requests+"` WHERE _resource IN (?) AND id IS NOT NULL", part)
		if err != nil {
			return nil, fmt.Errorf("look up prescriptions: %w", err)
		}
		for res.Next() {
			var id *string
			if err := res.Scan(&id); err != nil {
				res.Close()
				return nil, err
			}
			if id != nil {
				ids[*id] = true
			}
		}
		if err := errors.Join(res.Err(), res.Close()); err != nil {
			return nil, fmt.Errorf("look up prescriptions: %w", err)
		}
	}
	return ids, nil
}

// rollup recomputes the prescriptions the batch touched from their requests.
// It is a function of the tables, so doing it again changes nothing.
func (s *Sink) rollup(ctx context.Context, b *batch, ids map[string]bool) error {
	for t, r := range b.rows {
		if t.name != requests {
			continue
		}
		at := -1
		for i, c := range t.columns {
			if c.name == "id" {
				at = i
			}
		}
		for _, row := range r.list {
			if id, ok := row[at].(string); ok && at >= 0 {
				ids[id] = true
			}
		}
	}
	list := slices.Sorted(maps.Keys(ids))
	for part := range parts(list) {
		err := s.conn.Exec(ctx, fmt.Sprintf("INSERT INTO `%[1]s`.`prescription` (id, no, encounter_id, patient_id, org_code, doctor_id, category, doses, amount, formula, status, authored, _version, _deleted) "+
			"SELECT assumeNotNull(id), any(no), any(encounter_id), any(patient_id), any(org_code), any(doctor_id), any(category), max(doses), max(amount), any(formula), any(status), min(authored), toUInt64(?), 0 "+
			"FROM `%[1]s`.`%[2]s` FINAL WHERE id IN (?) GROUP BY id", s.cfg.Database, requests), s.high, part)
		if err != nil {
			return fmt.Errorf("roll up prescriptions: %w", err)
		}
		gone := fmt.Sprintf("INSERT INTO `%[1]s`.`prescription` (id, _version, _deleted) SELECT id, toUInt64(?), 1 FROM `%[1]s`.`prescription` FINAL WHERE id IN (?) AND id NOT IN (SELECT assumeNotNull(id) FROM `%[1]s`.`%[2]s` FINAL WHERE id IN (?))", s.cfg.Database, requests)
		if err := s.conn.Exec(ctx, gone, s.high+1, part, part); err != nil {
			return fmt.Errorf("remove empty prescriptions: %w", err)
		}
	}
	return nil
}
