package update

import (
	"context"
	"errors"
	"time"

	"schoolgate/blocklist"
)

// Since says when the version of a list that first had a rule for a name was fetched, as far as kept versions tell: first is false
// when the oldest of them has it too, so that it may be older. It reads the version before the one in use, which can take
// seconds. The time is zero for a list of which nothing is kept: a built-in one, a directory.
func (u *Updater) Since(ctx context.Context, list string, rule blocklist.Rule) (at time.Time, first bool, err error) {
	l, err := u.find(list)
	if errors.Is(err, ErrUnknown) {
		return at, false, nil
	}
	if err != nil {
		return at, false, err
	}
	f := folder(u.dir)
	m := f.readMeta(list)
	if at = m.Fetched; m.Before == nil || m.Before.Fetched.After(m.Fetched) || !f.holds(f.old(list), *m.Before) {
		return at, false, nil
	}
	had := false
	if err := each(ctx, f.old(list), l, func(r blocklist.Rule) { had = had || r.Name == rule.Name && r.Except == rule.Except }); err != nil {
		return at, false, &ListError{List: list, Err: clean(err)}
	}
	if had {
		return m.Before.Fetched, false, nil
	}
	return at, true, nil
}
