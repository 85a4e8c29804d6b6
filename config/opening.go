package config

import "slices"

// Opens says whether the filter may refuse less by new than by old. It asks what either says, not what the lists hold: a
// group that gets hours in which it may play counts, and so does a list that is gone.
func Opens(old, new *Config) bool {
	p, q := old.Policy, new.Policy
	switch {
	case p.StopAll && !q.StopAll, more(p.Allow, q.Allow), more(q.Block, p.Block), p.DefaultGroup != q.DefaultGroup:
		return true
	case q.SchoolsPack && (!p.SchoolsPack || more(q.SchoolsPackExcept, p.SchoolsPackExcept)):
		return true
	case more(new.Upstream.providers(), old.Upstream.providers()): // it may have refused what nothing here does
		return true
	case old.Update.Starter && !new.Update.Starter, old.Update.Catalogue && !new.Update.Catalogue:
		return true
	case old.Signals.opens(new.Signals):
		return true
	}
	if old.Answers.opens(new.Answers) {
		return true
	}
	for _, l := range old.Lists {
		i := slices.IndexFunc(new.Lists, func(n List) bool { return n.Name == l.Name })
		if i < 0 || new.Lists[i].Category != l.Category || new.Lists[i].Source != l.Source || more(new.Lists[i].Select, l.Select) {
			return true
		}
	}
	for _, g := range new.Groups {
		was, ok := old.Group(g.Name)
		if !ok || was.opens(g) {
			return true
		}
	}
	return len(new.Groups) < len(old.Groups) // the devices of one that is gone are in another
}

func (a Answers) opens(new Answers) bool {
	return a.Lookalikes == LookalikesBlock && new.Lookalikes != LookalikesBlock || more(a.Private, new.Private) ||
		more(a.ExemptTargets, new.ExemptTargets) || more(new.ExemptTargetsExcept, a.ExemptTargetsExcept)
}

func (g Group) opens(new Group) bool {
	switch {
	case !g.Internet && new.Internet, g.AllowOnly && !new.AllowOnly, g.SafeSearch && !new.SafeSearch, new.YouTube < g.YouTube:
		return true
	case more(new.Block, g.Block), more(g.Allow, new.Allow), more(g.Approved, new.Approved) && new.AllowOnly, more(new.Deny, g.Deny):
		return true
	case g.IllegalURLs == IllegalURLsBlock && new.IllegalURLs != IllegalURLsBlock:
		return true
	case new.SafeSearch && more(g.SafeSearchExcept, new.SafeSearchExcept) && g.SafeSearch:
		return true
	case more(g.AllowServices, new.AllowServices), more(new.BlockServices, g.BlockServices):
		return true
	}
	said := func(hours []Hours) (out []string) {
		for _, h := range hours {
			out = append(out, h.String())
		}
		return out
	}
	return more(said(g.Hours), said(new.Hours)) || more(said(new.Hours), said(g.Hours))
}

// more says whether b has what a lacks.
func more[T comparable](a, b []T) bool {
	return slices.ContainsFunc(b, func(e T) bool { return !slices.Contains(a, e) })
}
