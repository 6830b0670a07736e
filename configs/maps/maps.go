// Package maps holds the maps the hub ships. They are data: an installation may
// replace any of them by a file of its name in its own folder, or by a version
// saved in the console.
package maps

import "embed"

// Files are the shipped maps and libraries, NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS
