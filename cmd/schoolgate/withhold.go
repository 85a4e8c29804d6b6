package main

import (
	"context"

	"schoolgate/blocklist/sealed"
	"schoolgate/monitor/record"
	"schoolgate/monitor/store"
	"schoolgate/resolver"
)

// withholding keeps entries of the illegal tier out of the record in the disguises that the journal cannot see (see
// State.BearsIllegal). It is used by one goroutine.
type withholding struct {
	*store.Store
	resolver *resolver.Resolver

	of   *resolver.State // that seen is of
	seen map[string]bool // whether a name bears one: most rows are of names that were there a moment ago
}

// withheld gives lines for the log of changes, without the names that the illegal tier holds: somebody may have written
// them into the configuration.
func withheld(tier *sealed.Set, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = tier.Withhold(l, record.Withheld)
	}
	return out
}

// maxSeen bounds what is remembered.
const maxSeen = 4096

// Append is journal.Appender's.
func (w *withholding) Append(ctx context.Context, b *record.Batch) (int, error) {
	s := w.resolver.State()
	for i, name := range b.Names {
		if name != record.Withheld && w.bears(s, name) {
			b.Names[i] = record.Withheld
		}
	}
	return w.Store.Append(ctx, b)
}

func (w *withholding) bears(s *resolver.State, name string) bool {
	if s.Policy.NoIllegal() {
		return false
	}
	if s != w.of || len(w.seen) >= maxSeen {
		w.of, w.seen = s, make(map[string]bool, maxSeen)
	}
	bears, known := w.seen[name]
	if !known {
		bears = s.BearsIllegal(name)
		w.seen[name] = bears
	}
	return bears
}
