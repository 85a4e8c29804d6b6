package update

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"schoolgate/config"
)

// Errors of deciding on a version.
var (
	ErrNoVersion = errors.New("no such version of the list is kept")
	ErrNotHeld   = errors.New("the list is not held at any version")
	ErrNoWaiting = errors.New("no version of the list waits for a person")
	ErrDirectory = errors.New("a directory is read where it is: no version of it is kept")
)

// Decision is what a person decided on the versions of a list, for the record of changes.
type Decision struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	List string    `json:"list"`
	What string    `json:"what"` // a plain sentence without its full stop, and without a name of the list
}

// Revert puts the version before in place of the last good copy, and holds the list there until Resume, or a Refresh that
// names it. to, if not "", is the beginning of the SHA-256 of the version that is meant: of the one before, or of the last
// good copy, which is then held as it is. A set without the newer entries is compiled and published.
func (u *Updater) Revert(ctx context.Context, list, to string, progress func(Progress)) error {
	return u.decide(ctx, list, progress, func(f folder, l config.List, m *meta) (string, error) {
		_, is := fingerprint(l.Source)
		switch {
		case !remote(l.Source) && is == directory:
			return "", ErrDirectory
		case to != "" && m.SHA256 != "" && strings.HasPrefix(m.SHA256, strings.ToLower(to)) && f.hasRaw(l.Name):
		case m.Before == nil || to != "" && !strings.HasPrefix(m.Before.SHA256, strings.ToLower(to)):
			return "", ErrNoVersion
		default:
			if err := f.exchange(l, m); err != nil {
				return "", err
			}
		}
		m.Held = &hold{At: u.now(), By: u.By}
		m.Candidate, m.Error, m.Failures, m.Refused = nil, "", 0, false
		m.Fingerprint = "" // a local file is read again once the list is no longer held
		os.Remove(f.next(l.Name))
		return fmt.Sprintf("held at the version that came on %s (%d entries)", day(m.Fetched), m.Rules), nil
	})
}

// exchange makes the version before the last good copy, and the other way round.
func (f folder) exchange(l config.List, m *meta) error {
	newer, older := m.current(), *m.Before
	m.use(older)
	m.Before = &newer
	switch {
	case intact(f.raw(l.Name), older):
		return nil // a power cut came between the files and what is known of them, when this was done before
	case !intact(f.old(l.Name), older):
		return fmt.Errorf("%w: its file was lost or damaged", ErrNoVersion)
	}
	aside := f.old(l.Name) + tempMark + "1"
	if err := link(f.raw(l.Name), aside); err != nil {
		return err
	}
	if err := rename(f.old(l.Name), f.raw(l.Name)); err != nil {
		return err
	}
	return rename(aside, f.old(l.Name))
}

// Resume ends what Revert began, and looks at the source at once.
func (u *Updater) Resume(ctx context.Context, list string, progress func(Progress)) error {
	if f := folder(u.dir); f.readMeta(list).Held == nil {
		if _, err := u.find(list); err != nil {
			return err
		}
		return &ListError{List: list, Err: ErrNotHeld}
	}
	return u.Refresh(ctx, progress, list)
}

// Accept has the version of a list that waits for a person take its place.
func (u *Updater) Accept(ctx context.Context, list string, progress func(Progress)) error {
	return u.decide(ctx, list, progress, func(f folder, l config.List, m *meta) (string, error) {
		if !f.waits(l, *m) {
			return "", ErrNoWaiting
		}
		v := *m.Waiting
		v.Trusted = true
		if err := rename(f.wait(l.Name), f.next(l.Name)); err != nil {
			return "", err
		}
		m.Candidate, m.Waiting, m.Held = &v, nil, nil
		return fmt.Sprintf("the version that came on %s was accepted (%d entries, %d of them new conflicts)", day(v.Fetched), v.Rules, v.Conflicts.New), nil
	})
}

// Refuse drops the version of a list that waits for a person. It does not come again until the source holds another.
func (u *Updater) Refuse(ctx context.Context, list string) error {
	return u.decide(ctx, list, nil, func(f folder, l config.List, m *meta) (string, error) {
		if !f.waits(l, *m) {
			return "", ErrNoWaiting
		}
		v := *m.Waiting
		declined := v
		declined.Conflicts = Conflicts{}
		m.Waiting, m.Declined = nil, &declined
		os.Remove(f.wait(l.Name))
		return fmt.Sprintf("the version that came on %s was refused (%d entries, %d new conflicts)", day(v.Fetched), v.Rules, v.Conflicts.New), nil
	})
}

// waits says whether a version of a list's present source waits for a person.
func (f folder) waits(l config.List, m meta) bool {
	return m.Waiting != nil && m.Waiting.SourceID == identity(l) && stamp(f.wait(l.Name)) != ""
}

func day(t time.Time) string { return t.Format("2006-01-02") }

// find gives a configured list.
func (u *Updater) find(list string) (config.List, error) {
	for _, l := range u.plan().Lists {
		if l.Name == list {
			return l, nil
		}
	}
	return config.List{}, &ListError{List: list, Err: ErrUnknown}
}

// decide changes what is known of one list by do, which also says what was decided, notes it, and brings the set up to
// date.
func (u *Updater) decide(ctx context.Context, list string, progress func(Progress), do func(folder, config.List, *meta) (string, error)) error {
	l, err := u.find(list)
	if err != nil {
		return err
	}
	if err := u.take(ctx); err != nil {
		return err
	}
	defer u.release()
	f := folder(u.dir)
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	m := f.readMeta(l.Name)
	what, err := do(f, l, &m)
	if err != nil {
		return &ListError{List: list, Err: err}
	}
	if err := f.writeMeta(l.Name, m); err != nil {
		return &ListError{List: list, Err: err}
	}
	if err := f.decided(Decision{At: u.now(), By: u.By, List: list, What: what}); err != nil {
		u.log().Warn("a decision on a list could not be noted", "list", list, "err", err)
	}
	u.forgive()
	errs, err := u.work(ctx, u.plan(), nil, progress)
	return joined(errs, err)
}

// maxDecisions bounds the file of decisions that nobody was told of, in bytes.
const maxDecisions = 256 << 10

func (f folder) decisions() string { return filepath.Join(string(f), "decisions") }

// decided adds a decision to those that nobody was told of. The lock must be held.
func (f folder) decided(d Decision) error {
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if st, err := os.Stat(f.decisions()); err == nil && st.Size() > maxDecisions {
		return errors.New("too many decisions that no appliance has recorded yet")
	}
	file, err := os.OpenFile(f.decisions(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := own(f.decisions()); err != nil {
		return err
	}
	// A line of its own, whatever a power cut left of the one before.
	if _, err := fmt.Fprintf(file, "\n%s\n", line); err != nil {
		return err
	}
	return file.Sync()
}

// tell hands the decisions that nobody was told of to Decided, if there is such a thing. The lock must be held.
func (u *Updater) tell(f folder) {
	if u.Decided == nil {
		return
	}
	file, err := os.Open(f.decisions())
	if err != nil {
		return // none
	}
	defer file.Close()
	var left []byte
	for s := bufio.NewScanner(file); s.Scan(); {
		var d Decision
		if json.Unmarshal(s.Bytes(), &d) != nil {
			continue // nothing, or what a power cut left of a line
		}
		if err := u.Decided(d); err != nil {
			u.log().Warn("a decision on a list is not recorded yet", "list", d.List, "err", err)
			left = append(append(left, s.Bytes()...), '\n')
		}
	}
	if err := f.keep(left); err != nil {
		u.log().Warn("decisions on lists will be recorded twice", "err", err)
	}
}

// keep has the file of decisions hold these alone.
func (f folder) keep(left []byte) error {
	if len(left) == 0 {
		return os.Remove(f.decisions())
	}
	out, err := create(f.decisions())
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(left); err != nil {
		return err
	}
	return out.commit()
}
