package extract

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
)

// WriteZip writes the extract as an archive: visits.csv, cells.csv, report.json.
func (out *Result) WriteZip(w io.Writer) error {
	z := zip.NewWriter(w)
	if err := table(z, "visits.csv", Header, func(put func([]string) error) error {
		for i := range out.Rows {
			if err := put(out.Rows[i].Fields()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := table(z, "cells.csv", []string{"disease", "gender", "age_band", "people"}, func(put func([]string) error) error {
		for _, c := range out.Cells {
			people := strconv.Itoa(c.People)
			if c.People < 0 {
				people = "<" + strconv.Itoa(out.Report.Small)
			}
			if err := put([]string{c.Disease, c.Gender, c.AgeBand, people}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	f, err := z.Create("report.json")
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out.Report); err != nil {
		return err
	}
	return z.Close()
}

func table(z *zip.Writer, name string, header []string, rows func(put func([]string) error) error) error {
	f, err := z.Create(name)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	if err := w.Write(header); err != nil {
		return err
	}
	if err := rows(func(r []string) error {
		for i, v := range r { // a spreadsheet must not run what stands in a cell
			if v != "" && (v[0] == '=' || v[0] == '+' || v[0] == '@') {
				r[i] = "'" + v
			}
		}
		return w.Write(r)
	}); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}
