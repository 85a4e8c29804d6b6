package policy

import (
	"iter"
	"slices"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// rewrite is what becomes of a special name.
type rewrite struct {
	kind   kind
	below  bool        // names below it too
	engine uint8       // of steeredEngine and refusedEngine: place in config.Engines, or past its end
	word   string      // which engine or signal: Verdict.List
	target domain.Name // of steeredEngine: its safe form
	why    string      // of refusedEngine
}

type kind uint8

const (
	refusedSignal      kind = iota // its absence tells a browser or system to keep to this resolver
	steeredEngine                  // has a safe form
	refusedEngine                  // has none that DNS could enforce: refused where safe search is
	youtubeOnlyBlocked             // refused where YouTube is blocked
	youtubeAny                     // and else steered by the group's YouTube setting
)

// specials yields every name that rule 8 knows, with what becomes of it.
func specials(on *config.Signals) iter.Seq2[domain.Name, rewrite] {
	return func(yield func(domain.Name, rewrite) bool) {
		all := func(r rewrite, names []domain.Name) bool {
			return !slices.ContainsFunc(names, func(n domain.Name) bool { return !yield(n, r) })
		}
		for _, s := range signals() {
			if s.on(on) && !all(rewrite{kind: refusedSignal, below: s.below, word: s.word}, s.names) {
				return
			}
		}
		for i, e := range engines() {
			if !all(rewrite{kind: steeredEngine, engine: uint8(i), word: e.engine, target: e.target}, e.names) {
				return
			}
		}
		for _, s := range refusedSearches() {
			r := rewrite{kind: refusedEngine, below: true, engine: uint8(len(config.Engines())), word: s.engine, why: s.why}
			if i := slices.Index(config.Engines(), s.engine); i >= 0 {
				r.engine = uint8(i)
			}
			if !yield(s.name, r) {
				return
			}
		}
		_ = all(rewrite{kind: youtubeOnlyBlocked, below: true, word: YouTube}, youtubeBlocked) &&
			all(rewrite{kind: youtubeAny, word: YouTube}, youtubeSteered)
	}
}

// known finds what rule 8 knows of a name, or of the nearest above it that speaks for those below; nil for nothing.
func (p *Policy) known(name *domain.Wire) *rewrite {
	for i := range name.Labels() {
		if r, ok := p.rewrites[string(name.From(i))]; ok && (i == 0 || r.below) {
			return r
		}
	}
	return nil
}

// special applies rule 8 to a name that is known to it, or lies below one that is; ok is false when this group's settings
// leave the name alone.
func (p *Policy) special(g *group, name *domain.Wire) (v query.Verdict, ok bool) {
	r := p.known(name)
	switch {
	case p.esni && isESNI(name):
		return query.Verdict{Action: query.Block, Rule: query.Bypass, List: query.ESNI}, true
	case r == nil:
		return v, false
	case r.kind == refusedSignal:
		return query.Verdict{Action: query.Block, Rule: query.Bypass, List: r.word}, true
	}
	return g.search(r)
}
