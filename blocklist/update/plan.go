package update

import (
	"encoding/json"
	"fmt"
	"io"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

const maxPlan = 16 << 20 // bytes of an encoded plan

// Plan is what a compilation needs to know. It travels to the child process that compiles by Encode and ReadPlan, over
// a pipe: sources may hold credentials, which have no place in arguments or the environment. So the child compiles what
// its parent works with, even when the configuration file has changed since.
type Plan struct {
	Dir     string // of the lists' state
	Lists   []config.List
	Starter bool // hold the starter lists too

	Catalogue bool // hold the service catalogue too

	Essential, Popular []domain.Name  // as in Updater
	Progress           func(Progress) // may be nil; does not travel
}

// planned is config.List with types that read back whatever their text form in the configuration is.
type planned struct {
	Name, Category, Source string
	Format                 uint8
	Select                 []string
	Every, MaxSize         int64
	SHA256                 string

	Mirrors                            []string
	MinisignKey, Signature             string
	MaxShrink, MaxGrowth, MaxConflicts int
	Accept                             []domain.Name
}

type encodedPlan struct {
	Dir     string
	Lists   []planned
	Starter bool

	Catalogue bool

	Essential, Popular []domain.Name
}

// Encode writes the plan for ReadPlan.
func (p Plan) Encode(w io.Writer) error {
	e := encodedPlan{Dir: p.Dir, Starter: p.Starter, Catalogue: p.Catalogue, Essential: p.Essential, Popular: p.Popular}
	for _, l := range p.Lists {
		e.Lists = append(e.Lists, planned{
			Name: l.Name, Category: l.Category, Source: l.Source, Format: uint8(l.Format), Select: l.Select,
			Every: int64(l.Every), MaxSize: int64(l.MaxSize), SHA256: l.SHA256,
			Mirrors: l.Mirrors, MinisignKey: l.MinisignKey, Signature: l.Signature,
			MaxShrink: l.MaxShrink, MaxGrowth: l.MaxGrowth, MaxConflicts: l.MaxConflicts, Accept: l.Accept,
		})
	}
	if err := json.NewEncoder(w).Encode(e); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// ReadPlan reads what Encode wrote.
func ReadPlan(r io.Reader) (Plan, error) {
	var e encodedPlan
	dec := json.NewDecoder(io.LimitReader(r, maxPlan))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return Plan{}, fmt.Errorf("reading the plan: %w", err)
	}
	p := Plan{Dir: e.Dir, Starter: e.Starter, Catalogue: e.Catalogue, Essential: e.Essential, Popular: e.Popular}
	for _, l := range e.Lists {
		p.Lists = append(p.Lists, config.List{
			Name: l.Name, Category: l.Category, Source: l.Source, Format: config.Format(l.Format), Select: l.Select,
			Every: config.Duration(l.Every), MaxSize: config.Size(l.MaxSize), SHA256: l.SHA256,
			Mirrors: l.Mirrors, MinisignKey: l.MinisignKey, Signature: l.Signature,
			MaxShrink: l.MaxShrink, MaxGrowth: l.MaxGrowth, MaxConflicts: l.MaxConflicts, Accept: l.Accept,
		})
	}
	return p, nil
}

// starters gives the categories of the built-in lists that belong into the set: those that the plan asks for, and
// always those of lists without a usable copy, so that a category is never left to nothing because a server is down.
func (p Plan) starters(without func(list string) bool) []string {
	names := make(map[string]bool, len(p.Lists))
	uncovered := make(map[string]bool)
	for _, l := range p.Lists {
		names[l.Name] = true
		if without(l.Name) {
			uncovered[l.Category] = true
		}
	}
	var out []string
	for _, c := range starter.Categories() {
		asked := p.Starter
		if starter.Catalogue(c) {
			asked = p.Catalogue
		}
		if (asked || uncovered[c]) && !names[starter.Name(c)] {
			out = append(out, c)
		}
	}
	return out
}

// starterInfo describes a built-in list. Its digest is that of its rules, so a new version of the program that brings
// another list is noticed.
func starterInfo(category string) blocklist.Info {
	var parts []string
	for r := range starter.Rules(category) {
		parts = append(parts, string(r.Name), r.Scope.String(), fmt.Sprint(r.Except))
	}
	return blocklist.Info{Name: starter.Name(category), Rules: len(parts) / 3, Digest: digest(parts...)}
}

// want is a list that the set should hold, with the digest it should have.
type want struct {
	name, digest string
}

// changed stands for the digest of a source that has to be read before its digest is known.
const changed = "changed"

// wanted is what Compile would make now, as far as can be told without reading the sources.
func (p Plan) wanted() []want {
	f := folder(p.Dir)
	var out []want
	without := make(map[string]bool)
	for _, l := range p.Lists {
		if d := f.wantedDigest(l); d != "" {
			out = append(out, want{l.Name, d})
		} else {
			without[l.Name] = true
		}
	}
	missing := func(list string) bool { return without[list] }
	for _, c := range p.starters(missing) {
		info := starterInfo(c)
		out = append(out, want{info.Name, info.Digest})
	}
	return out
}

// wantedDigest gives "" for a list that has nothing to compile.
func (f folder) wantedDigest(l config.List) string {
	m := f.readMeta(l.Name)
	present := f.hasRaw(l.Name)
	if m.Held != nil {
		// Whatever the source holds now, it is this copy.
	} else if remote(l.Source) {
		if m.Candidate != nil && stamp(f.next(l.Name)) != "" {
			return changed
		}
	} else {
		mark, is := mark(l)
		looked := m.SourceID == identity(l) || m.Failures > 0 // a refused file is not read over and over
		if mark != m.Fingerprint || is != missing && !looked {
			return changed
		}
		present = present || is == directory
	}
	d := infoDigest(m.SHA256, l)
	if !present || d == m.Broken {
		return ""
	}
	return d
}

// infoDigest is blocklist.Info.Digest: what the source holds and how it is read.
func infoDigest(sha256 string, l config.List) string { return digest("list", sha256, reading(l)) }

// lacking says which wanted lists are not among have in the wanted version, and whether have holds lists not wanted.
func lacking(have []blocklist.Info, wants []want) (lacks []string, surplus bool) {
	left := make(map[string]string, len(have))
	for _, i := range have {
		left[i.Name] = i.Digest
	}
	for _, w := range wants {
		if d, ok := left[w.name]; !ok || d != w.digest {
			lacks = append(lacks, w.name)
		}
		delete(left, w.name)
	}
	return lacks, len(left) > 0
}
