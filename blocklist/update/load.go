package update

import (
	"errors"
	"fmt"
	"io/fs"

	"schoolgate/blocklist"
	"schoolgate/blocklist/starter"
)

// Loaded is what can be served at start, before anything is fetched or compiled.
type Loaded struct {
	Set     *blocklist.Set
	Starter bool     // there is no usable compiled set: Set is the starter lists alone
	Lacks   []string // configured and starter lists that Set lacks, or has not in their present version
	Err     error    // why the compiled set could not be used; nil when there is none yet
}

// Load opens the compiled set in milliseconds. When there is none that is whole, it builds the starter lists in memory,
// whatever the configuration says of them: a box that knows nothing else filters at least those. Run brings what Lacks
// names. Load is called once, before Run, so that Run need not publish the same set again.
func (u *Updater) Load() (*Loaded, error) {
	plan := u.plan()
	path := folder(u.dir).set()
	mark := stamp(path)
	set, err := blocklist.Open(path)
	if err == nil {
		u.mu.Lock()
		u.served = mark
		u.mu.Unlock()
		return &Loaded{Set: set, Lacks: plan.lacks(set)}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	set, serr := starterSet()
	if serr != nil {
		return nil, errors.Join(err, serr)
	}
	return &Loaded{Set: set, Starter: true, Lacks: plan.lacks(set), Err: err}, nil
}

// lacks is like lacking, and counts lists that were never fetched as well.
func (p Plan) lacks(set *blocklist.Set) []string {
	wants := p.wanted()
	out, _ := lacking(set.Lists(), wants)
	known := make(map[string]bool, len(wants))
	for _, w := range wants {
		known[w.name] = true
	}
	for _, l := range p.Lists {
		if !known[l.Name] {
			out = append(out, l.Name)
		}
	}
	return out
}

// starterSet builds the starter lists in memory.
func starterSet() (*blocklist.Set, error) {
	var infos []blocklist.Info
	for _, c := range starter.Categories() {
		infos = append(infos, starterInfo(c))
	}
	b := blocklist.NewBuilder(infos, "")
	for i, c := range starter.Categories() {
		for r := range starter.Rules(c) {
			if err := b.Add(i, r); err != nil {
				return nil, fmt.Errorf("adding starter list %q: %w", c, err)
			}
		}
	}
	set, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("building the starter lists: %w", err)
	}
	return set, nil
}
