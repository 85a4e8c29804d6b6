package update

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

// A list that is no longer configured leaves its files behind, until the set has been compiled with copies of all lists
// that are. Meanwhile a list that was only renamed takes over the copy. Lists of the illegal tier are no matter of this
// package.

// asConfigured is what reading a list's copy takes once the list has left the configuration.
type asConfigured struct {
	Category string   `json:"category"`
	Format   uint8    `json:"format,omitempty"`
	Select   []string `json:"select,omitempty"`

	Accept  []domain.Name `json:"accept,omitempty"`
	MaxSize int64         `json:"max_size,omitempty"`
}

func configured(l config.List) asConfigured {
	return asConfigured{Category: l.Category, Format: uint8(l.Format), Select: slices.Clone(l.Select), MaxSize: int64(l.MaxSize), Accept: slices.Clone(l.Accept)}
}

// orphan is a copy whose list is no longer configured.
type orphan struct {
	name string
	meta meta
}

func (o orphan) list() config.List {
	c := o.meta.Config
	return config.List{
		Name: o.name, Category: c.Category, Source: o.meta.Source,
		Format: config.Format(c.Format), Select: c.Select, MaxSize: config.Size(c.MaxSize), Accept: c.Accept,
	}
}

// orphans gives the usable copies of lists other than these, by name.
func (f folder) orphans(lists []config.List) []orphan {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil // nothing was ever kept
	}
	known := bases(lists)
	var out []orphan
	for _, e := range entries {
		name, isMeta := strings.CutSuffix(e.Name(), ".meta")
		if !isMeta || known[name] || base(name) != name || !f.hasRaw(name) {
			continue
		}
		if o := (orphan{name, f.readMeta(name)}); infoDigest(o.meta.SHA256, o.list()) != o.meta.Broken {
			out = append(out, o)
		}
	}
	return out
}

func bases(lists []config.List) map[string]bool {
	out := make(map[string]bool, len(lists))
	for _, l := range lists {
		out[base(l.Name)] = true
	}
	return out
}

// usable says whether there is a copy of a list that can be compiled.
func (f folder) usable(l config.List) bool {
	present := f.hasRaw(l.Name)
	if !present && !remote(l.Source) {
		st, err := os.Stat(l.Source)
		present = err == nil && st.IsDir()
	}
	m := f.readMeta(l.Name)
	return present && infoDigest(m.SHA256, l) != m.Broken
}

// renaming is a list that took over the copy of another.
type renaming struct{ from, to string }

// inherit gives lists that have no usable copy from their own source that of an orphan with the same source, read in the
// same way. The orphan stays: the set in use may still name it. The lock must be held.
func (f folder) inherit(lists []config.List) ([]renaming, error) {
	var done []renaming
	left := f.orphans(lists)
	for _, l := range lists {
		m := f.readMeta(l.Name)
		if c := configured(l); m.Source != "" && !reflect.DeepEqual(m.Config, c) {
			m.Config = c
			if err := f.writeMeta(l.Name, m); err != nil {
				return done, err
			}
		}
		if f.usable(l) && m.SourceID == identity(l) {
			continue
		}
		i := slices.IndexFunc(left, func(o orphan) bool {
			return o.meta.SourceID == identity(l) && o.meta.Reading == reading(l)
		})
		if i < 0 {
			continue
		}
		if err := f.takeOver(l, m, left[i]); err != nil {
			return done, fmt.Errorf("keeping the copy of list %q as %q: %w", left[i].name, l.Name, err)
		}
		done = append(done, renaming{left[i].name, l.Name})
	}
	return done, nil
}

// takeOver copies the bytes first, then what is known of them: after a power cut in between it is done again.
func (f folder) takeOver(l config.List, was meta, o orphan) error {
	if err := duplicate(f.raw(o.name), f.raw(l.Name)); err != nil {
		return err
	}
	m := o.meta
	m.Source, m.Config, m.Candidate = display(l.Source), configured(l), was.Candidate
	m.Before, m.Waiting = nil, nil // their files stay behind
	return f.writeMeta(l.Name, m)
}

// prune removes the files of lists that are no longer configured, once every list that is has a usable copy.
func (u *Updater) prune(p Plan) error {
	f := folder(u.dir)
	for _, l := range p.Lists {
		if !f.usable(l) {
			return nil
		}
	}
	return f.prune(bases(p.Lists))
}

// Categories gives the category of every list that a set may hold under this configuration, by name: of the configured
// lists and of the starter lists.
func Categories(lists []config.List) map[string]string {
	out := make(map[string]string)
	for _, c := range starter.Categories() {
		out[starter.Name(c)] = c
	}
	for _, l := range lists {
		out[l.Name] = l.Category
	}
	return out
}
