// Package deploy carries the recommended configuration inside the program, for schoolgate init.
package deploy

import _ "embed"

// Recommended is recommended.toml, which `schoolgate init` fills in.
//
//go:embed recommended.toml
var Recommended string
