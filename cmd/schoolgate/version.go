package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// version is set by the linker for a release; a build from a checkout says which commit it is of.
var version = "dev"

// epoch is set by the linker where there is no checkout to date a build by: seconds of Unix time, as SOURCE_DATE_EPOCH.
var epoch = ""

// buildTime is that of the commit that this binary was made from, so that making it again makes the same; zero when neither
// the toolchain nor the linker was told.
func buildTime() time.Time {
	if seconds, err := strconv.ParseInt(epoch, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				t, _ := time.Parse(time.RFC3339, s.Value) // zero when it is none
				return t
			}
		}
	}
	return time.Time{}
}

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
