package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"

	"schoolgate/config"
)

// lookAt asks one source, and notes what came of it. A list that was held is so no longer: only a person who names it
// has it looked at.
func (u *Updater) lookAt(ctx context.Context, get *fetcher, l config.List, progress func(done, total int64)) error {
	f := folder(u.dir)
	m := f.readMeta(l.Name)
	m.Source, m.Config = display(l.Source), configured(l)
	if m.Held != nil {
		m.Held = nil
		if err := f.decided(Decision{At: u.now(), By: u.By, List: l.Name, What: "no longer held: its newest version is wanted again"}); err != nil {
			u.log().Warn("a decision on a list could not be noted", "list", l.Name, "err", err)
		}
	}
	if m.AskedID != identity(l) {
		m.AskedID, m.Failures, m.Bad = identity(l), 0, nil
	}
	if !remote(l.Source) {
		return errors.Join(u.lookLocal(l, &m), f.writeMeta(l.Name, m))
	}
	err := u.lookRemote(ctx, get, l, &m, progress)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // a stop says nothing of the source
	case undecided(err):
		m.Attempted, m.Error, m.Failures, m.Refused = u.now(), "", 0, false
	case err != nil:
		m.fail(err, content(err), u.now())
	}
	return errors.Join(err, f.writeMeta(l.Name, m))
}

// lookLocal confirms a source that is as it was. One that is not is read by Compile.
func (u *Updater) lookLocal(l config.List, m *meta) error {
	mark, is := mark(l)
	m.Attempted = u.now()
	switch {
	case is == missing:
		err := unreadable(l.Source)
		m.fail(err, false, m.Attempted)
		return err
	case mark == m.Fingerprint && m.Failures > 0:
		return errors.New(m.Error)
	case mark == m.Fingerprint:
		m.confirm(m.Attempted)
	}
	return nil
}

// lookRemote asks the source and, while that fails, its mirrors in order. Those whose last version was refused come last.
func (u *Updater) lookRemote(ctx context.Context, get *fetcher, l config.List, m *meta, progress func(done, total int64)) error {
	addresses := append([]string{l.Source}, l.Mirrors...)
	slices.SortStableFunc(addresses, func(a, b string) int { return bad(m, a) - bad(m, b) })
	var failed []error
	for _, a := range addresses {
		err := u.lookThere(ctx, get, l, a, m, progress)
		if err == nil || undecided(err) || ctx.Err() != nil {
			return err
		}
		if len(addresses) > 1 {
			err = &addressError{host(a), err}
		}
		failed = append(failed, err)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return &mirrorsError{failed}
}

func bad(m *meta, address string) int {
	if slices.Contains(m.Bad, addressID(address)) {
		return 1
	}
	return 0
}

// host is what people may see of an address in a short error.
func host(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return "?"
}

// addressError is what one of several addresses gave.
type addressError struct {
	host string
	err  error
}

func (e *addressError) Error() string { return e.host + ": " + e.err.Error() }

func (e *addressError) Unwrap() error { return e.err }

// mirrorsError is what all addresses of a list gave.
type mirrorsError struct{ errs []error }

func (e *mirrorsError) Error() string { return errors.Join(e.errs...).Error() }

func (e *mirrorsError) Unwrap() []error { return e.errs }

// lookThere fetches a source from one address, if it is not what the last good copy is already, to where new versions
// wait to be read.
func (u *Updater) lookThere(ctx context.Context, get *fetcher, l config.List, address string, m *meta, progress func(done, total int64)) error {
	f := folder(u.dir)
	q := request{source: address, limit: maxSize(l), sha256: l.SHA256, verbatim: l.SHA256 != "" || l.MinisignKey != "", progress: progress}
	if address == l.Source { // a mirror is somebody else's
		var err error
		if q.authorization, err = l.Authorization(); err != nil {
			return err
		}
	}
	newest := f.newest(l, m)
	if newest != nil && (newest.From == addressID(address) || newest.From == "" && address == l.Source) {
		q.etag, q.lastModified = newest.ETag, newest.LastModified
	}
	out, err := create(f.next(l.Name))
	if err != nil {
		return err
	}
	defer out.discard()
	res, err := get.fetch(ctx, q, out)
	if err != nil {
		return err
	}
	v := version{
		SourceID: identity(l), From: addressID(address), ETag: res.etag, LastModified: res.lastModified, SHA256: res.sha256,
		Size: res.size, Fetched: u.now(), Trusted: l.SHA256 != "",
	}
	if res.notModified {
		v.SHA256 = newest.SHA256
	}
	if known, err := u.known(f, l, m, v, res.notModified); known {
		return err
	}
	if l.MinisignKey != "" {
		if v.Signed, err = u.verify(ctx, get, l, q, out.Name()); err != nil {
			return err
		}
		if v.Signed != 0 && m.SourceID == v.SourceID && v.Signed < m.Signed {
			return &SignatureError{"it is older than that of the version in use, as when an old version is played back"}
		}
	}
	if err := out.commit(); err != nil {
		return err
	}
	m.Attempted, m.Candidate = v.Fetched, &v
	return nil
}

// newest gives the version that the source held when it was last asked, nil when no copy of it is here.
func (f folder) newest(l config.List, m *meta) *version {
	v := m.current()
	switch {
	case f.waits(l, *m) && m.Waiting.Judged != judgedBy(l):
		return nil // by other limits it may not have to wait
	case f.waits(l, *m):
		return m.Waiting
	case m.Declined != nil && m.Declined.SourceID == identity(l):
		return m.Declined
	case f.holds(f.raw(l.Name), v) && m.SourceID == identity(l) && m.Broken == "":
		return &v
	}
	return nil
}

// holds says whether a file can be the one that v describes, without reading it.
func (f folder) holds(path string, v version) bool {
	st, err := os.Stat(path)
	return err == nil && st.Size() == v.Size
}

// known notes that the source holds a version that is here already: the last good copy, one that waits for a person, or
// one that a person refused.
func (u *Updater) known(f folder, l config.List, m *meta, v version, unchanged bool) (known bool, err error) {
	has := func(o *version) bool { return o != nil && o.SourceID == v.SourceID && o.SHA256 == v.SHA256 }
	current := m.current()
	switch {
	case has(m.Waiting) && f.waits(l, *m) && m.Waiting.Judged == judgedBy(l):
		return true, &WaitingError{New: m.Waiting.Conflicts.New, Limit: l.MaxConflicts}
	case has(m.Declined):
		return true, ErrDeclined
	case has(&current) && f.holds(f.raw(l.Name), current) && m.Broken == "":
		if !unchanged {
			m.From, m.ETag, m.LastModified = v.From, v.ETag, v.LastModified
		}
		m.Waiting, m.Bad = nil, nil
		os.Remove(f.wait(l.Name))
		m.confirm(v.Fetched)
		return true, nil
	}
	return false, nil
}

// verify fetches the signature of what was fetched by of to path, checks it, and gives the time in it.
func (u *Updater) verify(ctx context.Context, get *fetcher, l config.List, of request, path string) (made int64, err error) {
	var text bytes.Buffer
	q := request{source: signatureOf(l, of.source), limit: maxSignature, verbatim: true}
	if sameServer(q.source, of.source) {
		q.authorization = of.authorization
	}
	if _, err := get.fetch(ctx, q, &text); err != nil {
		return 0, fmt.Errorf("fetching the signature: %w", err)
	}
	return verify(l.MinisignKey, text.String(), path)
}
