package conformance

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Version of the guide; the name is that of its package.
const (
	PackageName    = "qihuang.tcm"
	PackageVersion = "0.1.0"
)

// entry is one row of a package's .index.json.
type entry struct {
	Filename     string `json:"filename"`
	ResourceType string `json:"resourceType"`
	ID           string `json:"id"`
	URL          string `json:"url,omitempty"`
	Version      string `json:"version,omitempty"`
	Kind         string `json:"kind,omitempty"`
	Type         any    `json:"type,omitempty"` // a code; concepts are left out
}

// WritePackage writes the guide as an npm-style FHIR package (gzipped tar:
// package/package.json, package/.index.json, the resources, and the examples
// below package/example). The bytes depend on the guide alone. Errors are those
// of w.
func WritePackage(w io.Writer) error {
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	add := func(name string, b []byte) error {
		if err := archive.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(b)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := archive.Write(b)
		return err
	}
	manifest, err := json.MarshalIndent(map[string]any{"name": PackageName, "version": PackageVersion, "title": "中医馆数据中心 FHIR 实施指南", "type": "IG",
		"canonical": Base, "url": Base, "fhirVersions": []string{"4.0.1"}, "dependencies": map[string]string{"hl7.fhir.r4.core": "4.0.1"}}, "", "  ")
	if err != nil {
		return err
	}
	if err := add("package.json", manifest); err != nil {
		return err
	}
	for _, part := range []struct {
		folder string
		list   func(func(string, []byte) bool)
	}{{"", Artefacts()}, {"example/", Examples()}} {
		var index []entry
		for name, b := range part.list {
			e := entry{Filename: name}
			if err := json.Unmarshal(b, &e); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, code := e.Type.(string); !code {
				e.Type = nil
			}
			index = append(index, e)
			if err := add(part.folder+name, b); err != nil {
				return err
			}
		}
		b, err := json.MarshalIndent(map[string]any{"index-version": 2, "files": index}, "", " ")
		if err != nil {
			return err
		}
		if err := add(part.folder+".index.json", b); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}
