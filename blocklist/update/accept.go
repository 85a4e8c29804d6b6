package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"

	"schoolgate/blocklist"
	"schoolgate/blocklist/parse"
	"schoolgate/config"
)

// maxShrink is the part of its rules that a list may lose from one version to the next. Whoever wants a version that
// lost more pins it by sha256 in the configuration, or removes the list's .raw file.
const maxShrink = 0.5

// errDamaged is a version that was fetched whole and is so no longer, or that came from another address.
var errDamaged = errors.New("the fetched version was lost before it was read")

// prepare decides what is read for a list: a new version if it is good, else the last good copy, else nothing. Its error
// is one of the folder, not of the list.
func (c *compiler) prepare(l config.List) (*entry, error) {
	m := c.dir.readMeta(l.Name)
	e := &entry{list: l, was: m, now: m, info: infoOf(l, m)}
	e.now.Source, e.now.Config = display(l.Source), configured(l)
	var err error
	if remote(l.Source) {
		err = c.prepareRemote(e)
	} else {
		err = c.prepareLocal(e)
	}
	if err != nil {
		return nil, err
	}
	if e.path == "" {
		if err := c.lastGood(e); err != nil {
			return nil, err
		}
	}
	e.info = infoOf(l, e.now)
	return e, c.note(e)
}

// lastGood takes the last good copy, if there is one, and notices when it is not what the .meta file says.
func (c *compiler) lastGood(e *entry) error {
	if !c.dir.hasRaw(e.list.Name) {
		if e.err == nil {
			e.err = ErrNoCopy
		}
		return nil
	}
	e.path = c.dir.raw(e.list.Name)
	size, hexSum, err := sum(e.path)
	if err != nil {
		return err
	}
	if hexSum != e.now.SHA256 {
		e.now.SHA256, e.now.Size, e.now.Rules = hexSum, size, 0
		e.now.ETag, e.now.LastModified = "", "" // they belong to other bytes
	}
	return nil
}

// prepareRemote looks at the version that was fetched, if one waits.
func (c *compiler) prepareRemote(e *entry) error {
	next := c.dir.next(e.list.Name)
	cand := e.now.Candidate
	if cand == nil {
		os.Remove(next) // nobody knows what it is
		return nil
	}
	if c.intact(next, *cand) && cand.SourceID == identity(e.list) {
		if err := c.accept(e, *cand); err != nil {
			return err
		}
	} else if c.intact(c.dir.raw(e.list.Name), *cand) {
		e.take(*cand) // accepted just before a power cut
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
	mark, is := fingerprint(l.Source)
	same := mark == e.now.Fingerprint && e.now.SourceID == identity(l)
	e.now.Fingerprint, e.now.Candidate = mark, nil
	switch {
	case is == missing:
		e.err = unreadable(l.Source)
		if e.now.Failures == 0 {
			e.refuse(e.err, false, c)
		}
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
func (c *compiler) accept(e *entry, cand candidate) error {
	next := c.dir.next(e.list.Name)
	rep, stop, err := c.count(next, e.list)
	if stop != nil {
		return stop
	}
	if err == nil {
		err, stop = c.shrunk(e, cand, rep.Rules)
	}
	if stop != nil {
		return stop
	}
	if err != nil {
		e.refuse(err, true, c)
		return nil
	}
	if err := rename(next, c.dir.raw(e.list.Name)); err != nil {
		return err
	}
	e.accepted = true
	e.take(cand)
	e.now.Rules, e.now.Problems, e.now.Reading = rep.Rules, skipped(rep), reading(e.list)
	return nil
}

// take notes that the last good copy is what cand describes.
func (e *entry) take(cand candidate) {
	e.now.SourceID, e.now.ETag, e.now.LastModified = cand.SourceID, cand.ETag, cand.LastModified
	e.now.SHA256, e.now.Size, e.now.Fetched = cand.SHA256, cand.Size, cand.Fetched
	e.now.Rules, e.now.Reading = 0, ""
	e.now.confirm(cand.Fetched)
}

func (c *compiler) intact(path string, cand candidate) bool {
	size, hexSum, err := sum(path)
	return err == nil && size == cand.Size && hexSum == cand.SHA256
}

// shrunk gives a ShrinkError when a new version has lost too much against the last good copy of the same source.
func (c *compiler) shrunk(e *entry, cand candidate, rules int) (err, stop error) {
	if cand.Trusted || cand.SourceID != e.now.SourceID || !c.dir.hasRaw(e.list.Name) {
		return nil, nil
	}
	old := e.now.Rules
	if e.now.Reading != reading(e.list) || old == 0 {
		var rep parse.Report
		rep, stop, err = c.count(c.dir.raw(e.list.Name), e.list)
		if stop != nil || err != nil {
			return nil, stop // the last good copy is none, read in this way: anything is better
		}
		old = rep.Rules
	}
	if float64(rules) < (1-maxShrink)*float64(old) {
		return &ShrinkError{Old: old, New: rules}, nil
	}
	return nil, nil
}

func (e *entry) refuse(err error, content bool, c *compiler) {
	e.err = err
	e.now.fail(err, content, c.now)
}

// copyIn copies a local file to where new versions wait.
func (c *compiler) copyIn(l config.List) (candidate, error) {
	in, err := os.Open(l.Source)
	if err != nil {
		return candidate{}, err
	}
	defer in.Close()
	out, err := create(c.dir.next(l.Name))
	if err != nil {
		return candidate{}, err
	}
	defer out.discard()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, maxSize(l)+1))
	if err != nil {
		return candidate{}, err
	}
	if n > maxSize(l) {
		return candidate{}, &SizeError{Limit: maxSize(l)}
	}
	got := hex.EncodeToString(h.Sum(nil))
	if l.SHA256 != "" && !strings.EqualFold(l.SHA256, got) {
		return candidate{}, &DigestError{Want: strings.ToLower(l.SHA256), Got: got}
	}
	if err := out.commit(); err != nil {
		return candidate{}, err
	}
	return candidate{SourceID: identity(l), SHA256: got, Size: n, Fetched: c.now, Trusted: true}, nil
}

// infoOf describes a list as the set will.
func infoOf(l config.List, m meta) blocklist.Info {
	return blocklist.Info{Name: l.Name, Rules: m.Rules, Digest: infoDigest(m.SHA256, l), Fetched: m.Checked}
}
