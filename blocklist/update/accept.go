package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// errDamaged is a version that was fetched whole and is so no longer, or that came from another address.
var errDamaged = errors.New("the fetched version was lost before it was read")

// prepare decides what is read for a list: a new version if it is good, else the last good copy, else nothing. Its error
// is one of the folder, not of the list.
func (c *compiler) prepare(l config.List) (*entry, error) {
	m := c.dir.readMeta(l.Name)
	e := &entry{list: l, was: m, now: m, info: infoOf(l, m)}
	e.now.Source, e.now.Config = display(l.Source), configured(l)
	var err error
	switch {
	case m.Held != nil:
	case remote(l.Source):
		err = c.prepareRemote(e)
	default:
		err = c.prepareLocal(e)
	}
	if err != nil {
		return nil, err
	}
	if e.path == "" {
		c.lastGood(e)
	}
	e.info = infoOf(l, e.now)
	return e, c.note(e)
}

// lastGood takes the last good copy, if there is one, and notices when it is not what the .meta file says. One that the
// disk does not give back is fetched again, and stops no other list.
func (c *compiler) lastGood(e *entry) {
	if !c.dir.hasRaw(e.list.Name) {
		if e.err == nil {
			e.err = ErrNoCopy
		}
		return
	}
	path := c.dir.raw(e.list.Name)
	size, hexSum, err := sum(path)
	if err != nil {
		e.now.Broken = infoDigest(e.now.SHA256, e.list)
		e.refuse(errors.Join(e.err, err), false, c)
		return
	}
	e.path = path
	if hexSum != e.now.SHA256 {
		e.now.SHA256, e.now.Size, e.now.Rules = hexSum, size, 0
		e.now.ETag, e.now.LastModified = "", "" // they belong to other bytes
	}
}

// prepareRemote looks at the version that was fetched, if one waits.
func (c *compiler) prepareRemote(e *entry) error {
	next := c.dir.next(e.list.Name)
	cand := e.now.Candidate
	if cand == nil {
		os.Remove(next) // nobody knows what it is
		return nil
	}
	if intact(next, *cand) && cand.SourceID == identity(e.list) {
		if err := c.accept(e, *cand); err != nil {
			return err
		}
	} else if intact(c.dir.raw(e.list.Name), *cand) { // accepted just before a power cut
		if err := c.keepBefore(e, *cand); err != nil {
			return err
		}
		e.take(*cand)
	} else {
		e.refuse(errDamaged, false, c)
	}
	e.now.Candidate = nil
	os.Remove(next)
	return nil
}

// prepareLocal copies a local file, when it has changed, so that there is a last good copy of it too. A directory is
// read where it is.
func (c *compiler) prepareLocal(e *entry) error {
	l := e.list
	mark, is := mark(l)
	same := mark == e.now.Fingerprint && e.now.SourceID == identity(l)
	e.now.Fingerprint, e.now.Candidate = mark, nil
	switch {
	case is == missing:
		e.err = unreadable(l.Source)
		if e.now.Failures == 0 {
			e.refuse(e.err, false, c)
		}
		return nil
	case is == directory && l.MinisignKey != "":
		e.refuse(&SignatureError{"a directory has none"}, true, c)
		return nil
	case is == directory:
		e.path = l.Source
		if !same {
			e.now.SourceID, e.now.SHA256, e.now.Size, e.now.Fetched = identity(l), mark, 0, c.now
		}
		e.now.confirm(c.now)
		return nil
	case same && c.dir.hasRaw(l.Name):
		if e.now.Failures > 0 {
			e.err = errors.New(e.now.Error)
			return nil
		}
		e.now.confirm(c.now)
		return nil
	}
	cand, err := c.copyIn(l)
	if err != nil {
		e.refuse(err, true, c)
		return nil
	}
	next := c.dir.next(l.Name)
	defer os.Remove(next)
	if cand.SHA256 == e.now.SHA256 && c.dir.hasRaw(l.Name) {
		e.now.SourceID = cand.SourceID
		e.now.confirm(c.now)
		return nil
	}
	return c.accept(e, cand)
}

// accept puts a new version in place of the last good copy, or says in the entry why not. The bytes come first, then
// what is known of them: a power cut in between only makes the next fetch unconditional.
func (c *compiler) accept(e *entry, cand version) error {
	next := c.dir.next(e.list.Name)
	found, stop, err := c.inspect(next, e.list)
	if stop != nil {
		return stop
	}
	if err == nil {
		err, stop = c.compare(e, &cand, found)
	}
	if stop != nil {
		return stop
	}
	if err != nil {
		e.refuse(err, c.blame(e, cand), c)
		return nil
	}
	cand.Rules = found.Rules
	if c.mustWait(e, cand) {
		return c.park(e, cand)
	}
	if err := c.keepBefore(e, cand); err != nil {
		return err
	}
	if err := rename(next, c.dir.raw(e.list.Name)); err != nil {
		return err
	}
	e.accepted = true
	e.take(cand)
	e.now.Rules, e.now.Problems, e.now.Reading = found.Rules, skipped(found.Report), reading(e.list)
	e.now.Skipped = found.reasons()
	os.Remove(c.dir.wait(e.list.Name))
	return nil
}

// take notes that the last good copy is what v describes.
func (e *entry) take(v version) {
	e.now.use(v)
	e.now.Waiting, e.now.Declined, e.now.Bad = nil, nil, nil
	e.now.confirm(v.Fetched)
}

// mustWait says whether a person has to decide on a version. Nobody waits for a list's first version, since until then
// its category would not be blocked at all.
func (c *compiler) mustWait(e *entry, cand version) bool {
	return !cand.Trusted && cand.Conflicts.New > e.list.MaxConflicts && c.comparable(e, cand)
}

// park puts a version where it waits for a person.
func (c *compiler) park(e *entry, cand version) error {
	if err := rename(c.dir.next(e.list.Name), c.dir.wait(e.list.Name)); err != nil {
		return err
	}
	cand.Judged = judgedBy(e.list)
	e.now.Waiting = &cand
	e.now.Attempted, e.now.Error, e.now.Failures, e.now.Refused = c.now, "", 0, false
	e.err = &WaitingError{New: cand.Conflicts.New, Limit: e.list.MaxConflicts}
	return nil
}

// keepBefore keeps the last good copy beside the version that takes its place. A power cut may have parted the files from
// what is known of them, so each is looked for by its digest.
func (c *compiler) keepBefore(e *entry, cand version) error {
	raw, old := c.dir.raw(e.list.Name), c.dir.old(e.list.Name)
	before := e.now.current()
	if cand.SHA256 == before.SHA256 && e.now.Before != nil {
		before = *e.now.Before
	}
	switch {
	case cand.SHA256 == before.SHA256:
		return nil
	case intact(raw, before):
		if err := link(raw, old); err != nil {
			return err
		}
	case !intact(old, before):
		return nil
	}
	e.now.Before = &before
	return nil
}

// blame notes which address served a version that is refused for its content, and says whether all of the list's have
// by now. Until then the next one is asked soon.
func (c *compiler) blame(e *entry, cand version) (all bool) {
	if cand.From == "" {
		return true
	}
	e.now.Bad = append(slices.Clone(e.now.Bad), cand.From)
	for _, a := range append([]string{e.list.Source}, e.list.Mirrors...) {
		if !slices.Contains(e.now.Bad, addressID(a)) {
			return false
		}
	}
	e.now.Bad = nil
	return true
}

// comparable says whether a version is a newer one of the same source.
func (c *compiler) comparable(e *entry, cand version) bool {
	return cand.SourceID == e.now.SourceID && c.dir.hasRaw(e.list.Name)
}

// compare gives a ShrinkError or GrowthError when a new version differs too much from the last good copy of the same
// source, and notes in cand its conflicts.
func (c *compiler) compare(e *entry, cand *version, found inspection) (err, stop error) {
	same := c.comparable(e, *cand)
	old := e.now.Rules
	unknown := e.now.Reading != reading(e.list) || old == 0
	var before inspection
	if same && (unknown && !cand.Trusted || len(found.hits) > 0) {
		before, stop, err = c.inspect(c.dir.raw(e.list.Name), e.list)
		if stop != nil {
			return nil, stop
		}
		if err != nil { // the last good copy is none, read in this way: anything is better
			same, before = false, inspection{}
		}
		old = before.Rules
	}
	cand.Conflicts = c.guard.conflicts(e.list, found.hits, before.hits, !same, c.now)
	if cand.Trusted || !same {
		return nil, nil
	}
	return resized(e.list, old, found.Rules), nil
}

// slack is how many entries a list may gain whatever its limit says: a short list that doubles is no sign of anything.
const slack = 1000

func resized(l config.List, old, new int) error {
	shrink, growth := limit(l.MaxShrink, config.DefaultMaxShrink), limit(l.MaxGrowth, config.DefaultMaxGrowth)
	o, n := int64(old), int64(new)
	switch {
	case n*100 < o*(100-shrink):
		return &ShrinkError{Old: old, New: new, Limit: int(shrink)}
	case n > o+slack && n*100 > o*(100+growth):
		return &GrowthError{Old: old, New: new, Limit: int(growth)}
	}
	return nil
}

func (e *entry) refuse(err error, content bool, c *compiler) {
	e.err = err
	e.now.fail(err, content, c.now)
}

// copyIn copies a local file to where new versions wait.
func (c *compiler) copyIn(l config.List) (version, error) {
	in, err := os.Open(l.Source)
	if err != nil {
		return version{}, err
	}
	defer in.Close()
	out, err := create(c.dir.next(l.Name))
	if err != nil {
		return version{}, err
	}
	defer out.discard()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, maxSize(l)+1))
	if err != nil {
		return version{}, err
	}
	if n > maxSize(l) {
		return version{}, &SizeError{Limit: maxSize(l)}
	}
	got := hex.EncodeToString(h.Sum(nil))
	if l.SHA256 != "" && !strings.EqualFold(l.SHA256, got) {
		return version{}, &DigestError{Want: strings.ToLower(l.SHA256), Got: got}
	}
	if l.MinisignKey != "" {
		text, err := readSignatureFile(signatureOf(l, l.Source))
		if err == nil {
			_, err = verify(l.MinisignKey, text, out.Name())
		}
		if err != nil {
			return version{}, err
		}
	}
	if err := out.commit(); err != nil {
		return version{}, err
	}
	return version{SourceID: identity(l), SHA256: got, Size: n, Fetched: c.now, Trusted: true}, nil
}

// infoOf describes a list as the set will.
func infoOf(l config.List, m meta) blocklist.Info {
	return blocklist.Info{Name: l.Name, Rules: m.Rules, Digest: infoDigest(m.SHA256, l), Fetched: m.Checked}
}
