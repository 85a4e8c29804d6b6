package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"schoolgate/blocklist/sealed"
)

// maxFile bounds what is read of one file, in bytes: sixteen for each entry of a feed of sixteen million.
const maxFile = 256 << 20

// folder is the directory of the state: state.json, and for each list LIST.sealed and LIST.old, the version before it.
type folder string

func (f folder) sealed(list string) string { return filepath.Join(string(f), list+".sealed") }
func (f folder) old(list string) string    { return filepath.Join(string(f), list+".old") }
func (f folder) state() string             { return filepath.Join(string(f), "state.json") }

// look is what is known of one list besides what it holds.
type look struct {
	Source       string    `json:"source"`                // as people may see it
	SourceID     string    `json:"source_id"`             // of the source asked last
	Fingerprint  string    `json:"fingerprint,omitempty"` // of a file: size and time, as last read
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	Checked      time.Time `json:"checked,omitzero"`   // when the sealed list was last known to be current
	Attempted    time.Time `json:"attempted,omitzero"` // when the source was last asked, whatever came of it
	RetryAfter   time.Time `json:"retry_after,omitzero"`
	Failures     int       `json:"failures,omitempty"` // in a row
	Refused      bool      `json:"refused,omitempty"`  // the last failure was about the content
	Error        string    `json:"error,omitempty"`
	Proven       time.Time `json:"proven,omitzero"`     // when the resolver last refused the canary because of this list
	Lost         time.Time `json:"lost,omitzero"`       // when its copy, or the key, was last found missing or damaged
	Forgotten    bool      `json:"forgotten,omitempty"` // ended on purpose: no copy in memory may come back to disk
	Added        int       `json:"added,omitempty"`     // entries of the newest copy that the one before had not
	Removed      int       `json:"removed,omitempty"`
}

// state is what is known of all lists, by name. What has no copy and is not configured is not in it.
type state map[string]*look

func (s state) of(list string) *look {
	l := s[list]
	if l == nil {
		l = new(look)
		s[list] = l
	}
	return l
}

// readState gives an empty state when there is none or it cannot be read: everything is then fetched anew, and nothing
// that is sealed is lost.
func (f folder) readState() state {
	b, err := readFile(f.state(), 1<<20)
	s := state{}
	if err != nil || json.Unmarshal(b, &s) != nil {
		return state{}
	}
	for name, l := range s {
		if l == nil {
			delete(s, name)
		}
	}
	return s
}

func (f folder) writeState(s state) error {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	b = append(b, '\n')
	if was, err := readFile(f.state(), 1<<20); err == nil && bytes.Equal(was, b) {
		return nil
	}
	if err := writeFile(f.state(), b); err != nil {
		return fmt.Errorf("keeping the state of the illegal tier: %w", err)
	}
	return nil
}

// readable is nil for a folder that can be looked into, and for one that is not there: nothing was ever kept.
func (f folder) readable() error {
	d, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// names gives the lists of which there is a sealed copy.
func (f folder) names() []string {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil // nothing was ever kept
	}
	seen := make(map[string]bool)
	var out []string
	for _, e := range entries {
		name, ending, _ := strings.Cut(e.Name(), ".")
		if (ending == "sealed" || ending == "old") && !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// load reads the sealed copy of a list, or the one before it when that is damaged. damaged says that not all is as it
// was written. The list is nil when there is none that can be used.
func (f folder) load(list string, k *sealed.Key) (l *sealed.List, damaged bool) {
	for _, path := range []string{f.sealed(list), f.old(list)} {
		b, err := readFile(path, maxFile)
		if err == nil {
			l, err = sealed.Decode(b, k)
		}
		if err == nil {
			return l, damaged
		}
		damaged = damaged || !errors.Is(err, fs.ErrNotExist)
	}
	return nil, damaged
}

// keep puts a sealed list in place of the last one, which becomes the one before.
func (f folder) keep(l *sealed.List, k *sealed.Key) error {
	b, err := l.Encode(k)
	if err != nil {
		return err
	}
	if _, damaged := f.load(l.Name, k); !damaged { // else the one before is worth more
		if err := os.Rename(f.sealed(l.Name), f.old(l.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return writeFile(f.sealed(l.Name), b)
}

func (f folder) forget(list string) error {
	var errs []error
	for _, path := range []string{f.sealed(list), f.old(list)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// writeFile writes a whole file or none, for its owner alone. After a power cut the old or the new is there.
func writeFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close(), own(f.Name(), dir)); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
