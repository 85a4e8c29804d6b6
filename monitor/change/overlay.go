package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"schoolgate/config"
)

// Effective is the configuration in force: that of the file with changes laid over it, in their order. It alters neither.
// A change that cannot be, because its group is gone from the file, say, is left out, and without says why, by its number.
func Effective(file *config.Config, changes []*Change) (out *config.Config, without map[int]error) {
	without = map[int]error{}
	out = overlay(file, changes, without)
	if problem(out) == nil {
		return out, without
	}
	// Rare, so one after the other is good enough to find which.
	var kept []*Change
	for _, c := range changes {
		if without[c.ID] != nil {
			continue
		}
		if err := problem(overlay(file, append(kept, c), map[int]error{})); err != nil {
			without[c.ID] = err
			continue
		}
		kept = append(kept, c)
	}
	return overlay(file, kept, without), without
}

func overlay(file *config.Config, changes []*Change, without map[int]error) *config.Config {
	out := *file
	out.Policy.Block, out.Policy.Allow = slices.Clone(file.Policy.Block), slices.Clone(file.Policy.Allow)
	out.Groups = slices.Clone(file.Groups)
	for i := range out.Groups {
		g := &out.Groups[i]
		g.Block, g.Approved, g.Allow, g.Deny = slices.Clone(g.Block), slices.Clone(g.Approved), slices.Clone(g.Allow), slices.Clone(g.Deny)
		g.BlockServices, g.AllowServices = slices.Clone(g.BlockServices), slices.Clone(g.AllowServices)
	}
	for _, c := range changes {
		if err := c.apply(&out); err != nil {
			without[c.ID] = err
		}
	}
	return &out
}

// problem is why a configuration would be refused, as far as changes can cause it. A group that sees approved names alone
// may lose the last of them: a block must never be refused because it blocks everything.
func problem(c *config.Config) error {
	alone := *c
	alone.Devices = nil // thousands, and nothing that a change touches
	for _, p := range alone.Validate() {
		touched := strings.HasPrefix(p.Path, "policy.") || strings.HasPrefix(p.Path, "groups") && !strings.HasSuffix(p.Path, ".allow_only")
		if p.Severity == config.Error && touched {
			return errors.New(p.What)
		}
	}
	return nil
}

// apply does what w says to c, whose slices are its own. On an error c is as it was.
func (w What) apply(c *config.Config) error {
	var g *config.Group
	if w.Group != "" {
		i := slices.IndexFunc(c.Groups, func(g config.Group) bool { return g.Name == w.Group })
		if i < 0 {
			return fmt.Errorf("there is no group %q", w.Group)
		}
		g = &c.Groups[i]
	}
	switch w.Action {
	case Allow:
		return w.allow(c, g)
	case Block:
		w.block(c, g)
	case Category:
		if g == nil {
			return errors.New("it names no group")
		}
		for _, name := range w.On {
			g.Block = with(g.Block, name)
		}
		for _, name := range w.Off {
			g.Block = lacking(g.Block, name)
		}
	case Service:
		if g == nil {
			return errors.New("it names no group")
		}
		for _, id := range w.On {
			g.BlockServices, g.AllowServices = with(g.BlockServices, id), lacking(g.AllowServices, id)
		}
		for _, id := range w.Off {
			g.AllowServices, g.BlockServices = with(g.AllowServices, id), lacking(g.BlockServices, id)
		}
	case Stop:
		if g == nil {
			c.Policy.StopAll = true
		} else {
			g.Internet = false
		}
	case Revert: // has done its work in the Book
	}
	return nil
}

// allow puts the name where it counts: of a group that sees approved names alone, among those.
func (w What) allow(c *config.Config, g *config.Group) error {
	blocks := c.Policy.Block
	if g != nil {
		blocks = append(slices.Clone(blocks), g.Deny...)
	}
	for _, b := range blocks {
		if w.Name.Within(b) {
			return fmt.Errorf("an own block of %s comes first", b)
		}
	}
	switch {
	case g == nil:
		c.Policy.Allow = with(c.Policy.Allow, w.Name)
	case g.AllowOnly:
		g.Approved = with(g.Approved, w.Name)
	default:
		g.Allow = with(g.Allow, w.Name)
	}
	return nil
}

// block puts the name among the own blocks, and takes away the allowance of the same name: with both, the configuration
// would contradict itself.
func (w What) block(c *config.Config, g *config.Group) {
	if g != nil {
		g.Deny = with(g.Deny, w.Name)
		g.Allow, g.Approved = lacking(g.Allow, w.Name), lacking(g.Approved, w.Name)
		return
	}
	c.Policy.Block = with(c.Policy.Block, w.Name)
	c.Policy.Allow = lacking(c.Policy.Allow, w.Name)
	for i := range c.Groups {
		g := &c.Groups[i]
		g.Allow, g.Approved = lacking(g.Allow, w.Name), lacking(g.Approved, w.Name)
	}
}

func with[T comparable](list []T, e T) []T {
	if slices.Contains(list, e) {
		return list
	}
	return append(list, e)
}

func lacking[T comparable](list []T, e T) []T {
	return slices.DeleteFunc(list, func(x T) bool { return x == e })
}
