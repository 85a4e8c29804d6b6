package feed

import (
	"context"
	"errors"
	"slices"
	"time"

	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// State is how a list of the tier stands.
type State uint8

// The states.
const (
	Enforced State = iota // and known to be current within twice the time between two looks
	Stale                 // enforced as it was when it last came
	Never                 // nothing of it is enforced
	Retired               // enforced, though no longer configured, or configured as something else
)

func (s State) String() string {
	return [...]string{"enforced", "stale", "never", "retired"}[s]
}

// MarshalText writes the state as its word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is one list as people and metrics see it.
type Status struct {
	Name   string `json:"name"`
	Source string `json:"source"` // without credentials and query
	State  State  `json:"state"`
	sealed.Counts
	Added    int       `json:"added"`   // entries of the copy in force that the one before had not
	Removed  int       `json:"removed"` // and the other way round
	Fetched  time.Time `json:"fetched,omitzero"`
	Checked  time.Time `json:"checked,omitzero"` // when it was last known to be current
	Next     time.Time `json:"next,omitzero"`    // when it is looked at next
	Proven   time.Time `json:"proven,omitzero"`  // when the resolver last refused the canary because of it
	Lost     time.Time `json:"lost,omitzero"`    // when its copy or the key was last found lost or damaged
	Failures int       `json:"failures"`         // in a row
	Error    string    `json:"error,omitempty"`  // of the last look
}

// Status tells of every configured list in order, then of those that left the configuration. It needs a Load, or a Run.
func (k *Keeper) Status() []Status {
	s, now := k.dir.readState(), k.now()
	force := k.inForce().Lists()
	held := func(name string) *sealed.List {
		if i := slices.IndexFunc(force, func(l *sealed.List) bool { return l.Name == name }); i >= 0 {
			return force[i]
		}
		return nil
	}
	var out []Status
	configured := make(map[string]bool)
	for _, l := range k.configured() {
		configured[l.Name] = true
		m := s.of(l.Name)
		st := status(l.Name, held(l.Name), m)
		st.Source = update.Display(l.Source)
		if !m.Attempted.IsZero() {
			st.Next = due(l, m, now)
		}
		switch {
		case held(l.Name) == nil:
			st.State = Never
		case l.Category != config.IllegalTier:
			st.State = Retired
		case now.Sub(m.Checked) > maxAge(l) || m.SourceID != update.Identity(l):
			st.State = Stale
		}
		out = append(out, st)
	}
	for _, l := range force {
		if !configured[l.Name] {
			st := status(l.Name, l, s.of(l.Name))
			st.State = Retired
			out = append(out, st)
		}
	}
	return out
}

func status(name string, l *sealed.List, m *look) Status {
	st := Status{
		Name: name, Source: m.Source, Added: m.Added, Removed: m.Removed, Checked: m.Checked,
		Proven: m.Proven, Lost: m.Lost, Failures: m.Failures, Error: m.Error,
	}
	if l != nil {
		st.Counts, st.Fetched = l.Counts, l.Fetched
	}
	return st
}

// Canary is the name that every sealed list holds besides its own; "" when there is no key.
func (k *Keeper) Canary() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key == nil {
		return ""
	}
	return string(k.key.Canary())
}

var errConfigured = errors.New("it is still configured")

// Proved notes that the resolver refused the canary because of the lists that are in force.
func (k *Keeper) Proved(ctx context.Context, at time.Time) error {
	done, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	s := k.dir.readState()
	for _, l := range k.inForce().Lists() {
		s.of(l.Name).Proven = at.UTC().Round(0)
	}
	return k.dir.writeState(s)
}

// MayForget is nil for a list that Forget would end.
func (k *Keeper) MayForget(list string) error {
	for _, l := range k.configured() {
		if l.Name == list {
			return &update.ListError{List: list, Err: errConfigured}
		}
	}
	if !slices.Contains(k.dir.names(), list) {
		return &update.ListError{List: list, Err: update.ErrUnknown}
	}
	return nil
}

// Forget ends the enforcement of a list that is no longer configured. It is no method of a running service's
// configuration: a person has to be asked who may decide it.
func (k *Keeper) Forget(ctx context.Context, list string) error {
	done, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := k.MayForget(list); err != nil {
		return err
	}
	s := k.dir.readState()
	s.of(list).Forgotten = true
	if err := k.dir.writeState(s); err != nil {
		return err
	}
	return k.dir.forget(list)
}
