package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release; a build from a checkout says which commit it is of.
var version = "dev"

// build is what this binary was made from.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"` // the checkout had changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Revision: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return b
}

func runVersion(_ context.Context, c *call) error {
	f := flags("version")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	b := thisBuild()
	if *asJSON {
		return json.NewEncoder(c.stdout).Encode(b)
	}
	_, err = fmt.Fprintf(c.stdout, "schoolgate %s (%.12s, %s, %s)\n", b.Version, b.Revision, b.Go, b.Platform)
	return err
}
