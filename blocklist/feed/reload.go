package feed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
)

func folderOf(store string) folder { return folder(filepath.Join(store, "illegal")) }

// reload makes the set of what is sealed, and publishes it if it is not the one in force. What is in force and no longer
// on disk is written there again. A disk that cannot be written keeps nothing from being enforced. mayMake says that a
// key is made where there is none. The turn must be held.
func (k *Keeper) reload(now time.Time, mayMake bool) (err error) {
	defer func() { k.note(err) }()
	s := k.dir.readState()
	keyErr := k.sync(s, now, mayMake)
	if k.key == nil {
		return keyErr
	}
	errs := []error{keyErr, k.inherit(s)}
	lists, err := k.usable(s, now)
	errs = append(errs, err, k.dir.writeState(s))
	stamp := stampOf(lists)
	k.mu.Lock()
	same := stamp == k.seen
	k.mu.Unlock()
	if same {
		return errors.Join(errs...)
	}
	var set *sealed.Set
	if len(lists) > 0 {
		if set, err = sealed.NewSet(k.key, lists...); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	if k.Publish != nil {
		k.Publish(set)
	}
	k.mu.Lock()
	k.set, k.seen = set, stamp // only now: Status says what is enforced
	k.mu.Unlock()
	return errors.Join(errs...)
}

// sync sees to it that the key on disk is the one in force.
func (k *Keeper) sync(s state, now time.Time, mayMake bool) error {
	had := k.dir.names()
	disk, err := k.readKey(k.key == nil && mayMake)
	switch {
	case k.key == nil && err == nil:
		k.mu.Lock()
		k.key = disk
		k.mu.Unlock()
		return nil
	case k.key == nil && len(had) == 0 && errors.Is(err, fs.ErrNotExist):
		return nil // nothing to unlock
	case k.key == nil:
		return fmt.Errorf("reading the key of the illegal tier: %w", err)
	case err == nil && *disk == *k.key:
		return nil
	}
	k.log().Error("the key of the illegal tier was lost or replaced; the one in force is written again", "err", err)
	for name := range s {
		s[name].Lost = now
	}
	path := KeyPath(k.store)
	if err == nil || errors.Is(err, sealed.ErrKey) {
		if err := os.Rename(path, path+".damaged"); err != nil {
			return err
		}
	}
	return k.writeKey(k.key)
}

// KeyPath is where the key of a box lies below store.path.
func KeyPath(store string) string { return filepath.Join(store, "keys", "illegal.key") }

// readKey reads the key, and makes one if it may and there is none.
func (k *Keeper) readKey(mayMake bool) (*sealed.Key, error) {
	path := KeyPath(k.store)
	key, err := sealed.ReadKey(path)
	if err == nil || !mayMake || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, sealed.ErrKey) {
		return key, err
	}
	if errors.Is(err, sealed.ErrKey) { // kept, in case somebody can mend it
		if err := os.Rename(path, path+".damaged"); err != nil {
			return nil, err
		}
	}
	key = sealed.NewKey()
	return key, k.writeKey(key)
}

func (k *Keeper) writeKey(key *sealed.Key) error {
	path := KeyPath(k.store)
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return errors.Join(key.WriteFile(path), own(path, filepath.Dir(path)))
}

// inherit gives a configured list without a copy that of a list which left the configuration and had the same source,
// and forgets copies that one of another name has taken the place of.
func (k *Keeper) inherit(s state) error {
	heirs := make(map[string]string) // name by source
	configured := make(map[string]bool)
	for _, l := range k.configured() {
		configured[l.Name] = true
		heirs[update.Identity(l)] = l.Name
	}
	for _, name := range k.dir.names() {
		if configured[name] {
			continue
		}
		l, _ := k.dir.load(name, k.key)
		if l == nil || heirs[l.Source] == "" {
			continue
		}
		heir := heirs[l.Source]
		if has, _ := k.dir.load(heir, k.key); has != nil && has.Source == l.Source {
			if err := k.dir.forget(name); err != nil {
				return err
			}
		} else {
			if err := k.dir.move(name, heir); err != nil {
				return fmt.Errorf("keeping the copy of list %q as %q: %w", name, heir, err)
			}
			if s[name] != nil {
				s[heir] = s[name]
			}
			k.log().Info("list of the illegal tier renamed, its last good copy is kept", "list", heir, "was", name)
		}
		delete(s, name)
	}
	return nil
}

// usable loads the configured lists first, then those that left the configuration. An error says that something could
// not be written.
func (k *Keeper) usable(s state, now time.Time) (out []*sealed.List, err error) {
	force := k.inForce().Lists()
	inForce := func(name string) *sealed.List {
		if i := slices.IndexFunc(force, func(l *sealed.List) bool { return l.Name == name }); i >= 0 {
			return force[i]
		}
		return nil
	}
	held := make(map[string]bool) // sources
	configured := make(map[string]bool)
	for _, l := range k.configured() {
		configured[l.Name] = true
	}
	take := func(name string) {
		m := s.of(name)
		if m.Forgotten && !configured[name] { // nobody ends what the service is told to enforce
			return
		}
		l, damaged := k.dir.load(name, k.key)
		if was := inForce(name); was != nil && (l == nil || damaged) {
			l, damaged = was, true
			err = errors.Join(err, k.dir.keep(was, k.key))
		}
		if damaged {
			m.lost(now)
			k.log().Error("a sealed list was lost or damaged", "list", name, "enforced", l != nil)
			if l == nil && !configured[name] { // of which nothing else would tell
				err = errors.Join(err, fmt.Errorf("list %q has left the configuration, and its copy cannot be opened", name))
			}
		}
		if l != nil && len(out) < sealed.MaxLists {
			l.Name = name
			held[l.Source] = true
			out = append(out, l)
		}
	}
	seen := make(map[string]bool)
	var names []string
	for _, l := range k.configured() {
		names = append(names, l.Name)
	}
	for _, name := range append(names, k.dir.names()...) {
		if !seen[name] {
			seen[name] = true
			take(name)
		}
	}
	for _, l := range force {
		if !seen[l.Name] && !held[l.Source] { // not one that was renamed
			take(l.Name)
		}
	}
	return out, err
}

// lost notes that a copy was lost or damaged; the source is then asked again at once, and without conditions, but once.
func (m *look) lost(now time.Time) {
	m.Lost = now
	if !m.Checked.IsZero() {
		*m = look{Source: m.Source, Proven: m.Proven, Lost: now}
	}
}

// move renames the copies of a list.
func (f folder) move(from, to string) error {
	for _, p := range [][2]string{{f.old(from), f.old(to)}, {f.sealed(from), f.sealed(to)}} {
		if err := os.Rename(p[0], p[1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// stampOf tells sets apart by what they are made of.
func stampOf(lists []*sealed.List) string {
	var b strings.Builder
	for _, l := range lists {
		fmt.Fprintf(&b, "%s %s %d\n", l.Name, l.Mark, l.Fetched.UnixNano())
	}
	return b.String()
}
