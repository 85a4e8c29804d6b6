package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"schoolgate/blocklist/parse"
	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// What a new version can be refused for besides what packages sealed and update know. Each leaves the last good copy in
// force; a person accepts such a version by Refresh.
var (
	ErrStranger = errors.New("nothing of the last version is in the new one")
	ErrPlain    = errors.New("a list of the illegal tier is fetched over https alone")
)

// ShrinkError is a new version with less than half of the entries of the last one, as a damaged feed has.
type ShrinkError struct{ Old, New int }

func (e *ShrinkError) Error() string {
	return fmt.Sprintf("the new version has only %d entries, the last one %d", e.New, e.Old)
}

// SurgeError is a new version that lists far more whole sites than the last one, as a feed has whose addresses of pages
// lost their ends: it would block what nobody listed.
type SurgeError struct{ Old, New int }

func (e *SurgeError) Error() string {
	return fmt.Sprintf("the new version lists %d whole sites, the last one %d", e.New, e.Old)
}

// MovedError is a version from another source that lacks entries of the last one: whoever may write the configuration could
// end any entry so.
type MovedError struct{ Lacks int }

func (e *MovedError) Error() string {
	return fmt.Sprintf("it comes from another source than the last version, and lacks %d of its entries", e.Lacks)
}

// What makes a version strange.
const (
	maxShrink = 2   // times fewer entries
	maxSurge  = 4   // times as many whole sites,
	someSites = 100 // and so many more
	fewOnes   = 20  // entries of a list that may change wholly
)

// guard compares a new version with the last one; moved says that it comes from another source.
func guard(old, fresh *sealed.List, moved bool) error {
	if old == nil {
		return nil
	}
	_, lacks, kept := fresh.Since(old)
	switch {
	case moved && lacks > 0:
		return &MovedError{lacks}
	case fresh.Entries()*maxShrink < old.Entries():
		return &ShrinkError{old.Entries(), fresh.Entries()}
	case fresh.Domains > maxSurge*old.Domains && fresh.Domains > old.Domains+someSites:
		return &SurgeError{old.Domains, fresh.Domains}
	case kept == 0 && old.Entries() >= fewOnes:
		return ErrStranger
	}
	return nil
}

// look asks one source, seals what is new, and notes in m what came of it.
func (k *Keeper) look(ctx context.Context, l config.List, m *look, accept bool, progress func(done, total int64)) error {
	now := k.now()
	old, _ := k.dir.load(l.Name, k.key)
	if m.SourceID != update.Identity(l) || old == nil {
		*m = look{Proven: m.Proven, Lost: m.Lost} // ask without conditions
	}
	m.Source, m.SourceID, m.Forgotten = update.Display(l.Source), update.Identity(l), false
	m.Attempted, m.RetryAfter = now, time.Time{}
	var err error
	if update.Remote(l.Source) {
		err = k.lookRemote(ctx, l, m, old, accept, progress)
	} else {
		err = k.lookLocal(l, m, old, accept)
	}
	if err != nil {
		m.Failures++
		m.Error = err.Error()
		return err
	}
	m.Checked, m.Failures, m.Refused, m.Error = now, 0, false, ""
	if st, err := os.Stat(l.Source); err == nil && !update.Remote(l.Source) && st.ModTime().Before(now) {
		m.Checked = st.ModTime().UTC().Round(0) // that nobody puts a new one there is no sign that it is current
	}
	return nil
}

func (k *Keeper) lookRemote(ctx context.Context, l config.List, m *look, old *sealed.List, accept bool, progress func(done, total int64)) error {
	if !private(l.Source) {
		return ErrPlain
	}
	d := update.Download{List: l, Transport: k.Transport, Version: k.Version, Timeout: k.timeoutNow(), Progress: progress}
	if !accept {
		d.ETag, d.LastModified = m.ETag, m.LastModified
	}
	var b bytes.Buffer
	defer func() { wipe(b.Bytes()) }()
	got, err := d.To(ctx, &b)
	switch {
	case err != nil:
		m.Refused = got.Content
		m.RetryAfter = m.Attempted.Add(got.RetryAfter)
		return err
	case got.NotModified:
		return nil
	}
	if err := k.take(l, m, old, b.Bytes(), accept); err != nil {
		return err
	}
	m.ETag, m.LastModified = got.ETag, got.LastModified
	return nil
}

// wipe overwrites what was read, and gives back to the system, which overwrites it, what smaller buffers and the network held
// of it.
func wipe(feed []byte) {
	if clear(feed); len(feed) > 0 {
		debug.FreeOSMemory()
	}
}

// private says whether nobody on the way can read what comes from a source.
func private(source string) bool {
	u, err := url.Parse(source)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Scheme, "https") || err == nil && a.IsLoopback() || u.Hostname() == "localhost"
}

// lookLocal reads a file of the licensee's own, when it has changed.
func (k *Keeper) lookLocal(l config.List, m *look, old *sealed.List, accept bool) error {
	mark := fingerprint(l.Source)
	if mark != "" && mark == m.Fingerprint && !accept && m.Failures == 0 {
		return nil
	}
	f, err := os.Open(l.Source)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	defer f.Close()
	limit := int64(l.MaxSize)
	if limit <= 0 {
		limit = parse.DefaultMaxSize
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	defer func() { wipe(b) }()
	switch {
	case err != nil:
		return fmt.Errorf("reading the source: %w", err)
	case int64(len(b)) > limit:
		return &update.SizeError{Limit: limit}
	}
	m.Fingerprint = mark
	return k.take(l, m, old, b, accept)
}

// fingerprint changes when a file does; it is "" when there is none.
func fingerprint(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
}

// take seals a feed and puts it in place of the last version, unless it is the same or too strange.
func (k *Keeper) take(l config.List, m *look, old *sealed.List, feed []byte, accept bool) error {
	mark := k.key.Fingerprint(feed)
	moved := old != nil && old.Source != m.SourceID
	if old != nil && old.Mark == mark && !moved {
		return nil
	}
	limit := int64(l.MaxSize)
	if limit <= 0 {
		limit = parse.DefaultMaxSize
	}
	text, err := parse.Unpacked(io.NopCloser(bytes.NewReader(feed)), limit*parse.Unpack)
	if err != nil {
		m.Refused = true
		return err
	}
	defer text.Close()
	fresh, err := sealed.Seal(text, k.key)
	if err == nil && !accept {
		err = guard(old, fresh, moved)
	}
	if err != nil {
		m.Refused = true
		return err
	}
	fresh.Name, fresh.Source, fresh.Mark, fresh.Fetched = l.Name, m.SourceID, mark, m.Attempted
	if err := k.dir.keep(fresh, k.key); err != nil {
		return fmt.Errorf("keeping the sealed list: %w", err)
	}
	m.Added, m.Removed = fresh.Entries(), 0
	if old != nil {
		m.Added, m.Removed, _ = fresh.Since(old)
	}
	k.log().Info("list of the illegal tier sealed", "list", l.Name, "domains", fresh.Domains, "urls", fresh.URLs,
		"added", m.Added, "removed", m.Removed, "skipped", fresh.Skipped)
	return nil
}

func (k *Keeper) timeoutNow() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.timeout
}

// The times between two tries at one source.
const (
	firstRetry   = time.Minute // doubles with every failure in a row
	lastRetry    = time.Hour
	refusedRetry = 6 * time.Hour // when the content was refused
)

// due is when a list is to be looked at next: every so often, less up to a tenth by chance, so that many boxes do not ask
// one server in the same minute.
func due(l config.List, m *look, now time.Time) time.Time {
	every := every(l)
	switch {
	case m.SourceID != update.Identity(l), m.Attempted.After(now.Add(time.Minute)): // a clock was wrong
		return now
	case !update.Remote(l.Source) && fingerprint(l.Source) != m.Fingerprint && m.Failures == 0:
		return now
	case m.Failures > 0:
		wait := min(firstRetry<<min(m.Failures-1, 10), lastRetry)
		if m.Refused {
			wait = refusedRetry
		}
		next := m.Attempted.Add(min(wait, every))
		if m.RetryAfter.After(next) {
			return m.RetryAfter
		}
		return next
	}
	return m.Attempted.Add(every - time.Duration(m.Attempted.Nanosecond())*(every/10)/time.Second)
}

// maxAge is how long after the last look that went well a list counts as stale.
func maxAge(l config.List) time.Duration {
	if l.MaxAge <= 0 {
		return 2 * every(l)
	}
	return l.MaxAge.Std()
}

func every(l config.List) time.Duration {
	if l.Every <= 0 {
		return 24 * time.Hour
	}
	return l.Every.Std()
}
