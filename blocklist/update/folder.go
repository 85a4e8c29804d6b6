package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// currentSet is the file of the compiled set.
const currentSet = "current.set"

// lockName is the file whose lock one process holds while it fetches and compiles.
const lockName = "lock"

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 200 * time.Millisecond

// maxMeta bounds what is read of a .meta file, in bytes.
const maxMeta = 1 << 20

// folder is the directory of the lists' state. What its files mean is said in Updater.
type folder string

// meta is what is known of one list besides its bytes: the .meta file.
type meta struct {
	Source       string    `json:"source"`         // as display gives it
	AskedID      string    `json:"asked_id"`       // of the source asked last
	SourceID     string    `json:"source_id"`      // of the source that the last good copy came from
	From         string    `json:"from,omitempty"` // addressID of the address that served it
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	SHA256       string    `json:"sha256,omitempty"` // of the last good copy; of a directory its fingerprint
	Size         int64     `json:"size,omitempty"`
	Signed       int64     `json:"signed,omitempty"`      // Unix seconds, as its maker says under the signature; 0 for no word of it
	Fingerprint  string    `json:"fingerprint,omitempty"` // local sources: as last looked at
	Reading      string    `json:"reading,omitempty"`     // how Rules was counted
	Rules        int       `json:"rules,omitempty"`
	Problems     int       `json:"problems,omitempty"`
	Broken       string    `json:"broken,omitempty"`      // infoDigest of a copy that could not be compiled
	Fetched      time.Time `json:"fetched,omitzero"`      // when the bytes of the last good copy came
	Checked      time.Time `json:"checked,omitzero"`      // when they were last known to be current
	Attempted    time.Time `json:"attempted,omitzero"`    // when the source was last asked, whatever came of it
	Failures     int       `json:"failures,omitempty"`    // in a row
	Refused      bool      `json:"refused,omitempty"`     // the last failure was about the content
	RetryAfter   int64     `json:"retry_after,omitempty"` // seconds, as the server asked
	Error        string    `json:"error,omitempty"`
	Candidate    *version  `json:"candidate,omitempty"` // the .new file: fetched whole, not yet read
	Before       *version  `json:"before,omitempty"`    // the .old file: the version before the last good copy
	Waiting      *version  `json:"waiting,omitempty"`   // the .wait file: read, and waiting for a person
	Declined     *version  `json:"declined,omitempty"`  // what a person refused last
	Held         *hold     `json:"held,omitempty"`      // a person wants this copy and no newer one
	Bad          []string  `json:"bad,omitempty"`       // addressIDs whose last version was refused, since one was accepted

	Skipped   map[string]int `json:"skipped,omitempty"`  // of the last good copy: entries that made no rule, by reason
	Conflicts Conflicts      `json:"conflicts,omitzero"` // of the last good copy

	Config asConfigured `json:"config,omitzero"`
}

// version describes one file that was fetched or copied whole.
type version struct {
	SourceID     string    `json:"source_id"`
	From         string    `json:"from,omitempty"`
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	SHA256       string    `json:"sha256"`
	Size         int64     `json:"size"`
	Signed       int64     `json:"signed,omitempty"`
	Rules        int       `json:"rules,omitempty"` // 0 until it was read
	Fetched      time.Time `json:"fetched"`
	Trusted      bool      `json:"trusted,omitempty"` // it may shrink and conflict: a person vouches for it
	Judged       string    `json:"judged,omitempty"`  // one that waits for a person: by which limits, as judgedBy gives them

	Conflicts Conflicts `json:"conflicts,omitzero"`
}

// hold is a person's word that a list stays at its present copy.
type hold struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
}

// current describes the last good copy.
func (m *meta) current() version {
	return version{
		SourceID: m.SourceID, From: m.From, ETag: m.ETag, LastModified: m.LastModified, SHA256: m.SHA256, Size: m.Size, Signed: m.Signed,
		Rules: m.Rules, Fetched: m.Fetched, Conflicts: m.Conflicts,
	}
}

// use notes that the last good copy is what v describes.
func (m *meta) use(v version) {
	m.SourceID, m.From, m.ETag, m.LastModified = v.SourceID, v.From, v.ETag, v.LastModified
	m.SHA256, m.Size, m.Signed, m.Rules, m.Fetched, m.Conflicts = v.SHA256, v.Size, v.Signed, v.Rules, v.Fetched, v.Conflicts
	m.Reading, m.Skipped = "", nil
}

// fail notes what went wrong at the time now; refused says that what the source holds is to blame.
func (m *meta) fail(err error, refused bool, now time.Time) {
	m.Attempted, m.Error, m.Refused, m.RetryAfter = now, printable(err.Error()), refused, 0
	m.Failures++
	if s, ok := errors.AsType[*StatusError](err); ok {
		m.RetryAfter = int64(s.RetryAfter / time.Second)
	}
}

// confirm notes that the last good copy is current at the time now.
func (m *meta) confirm(now time.Time) {
	m.Attempted, m.Checked = now, now
	m.Error, m.Failures, m.Refused, m.RetryAfter = "", 0, false, 0
}

// base is the file name of a list without its ending. The configuration allows only names that are safe; any other
// is replaced, so that no name can leave the folder.
func base(list string) string {
	safe := list != "" && len(list) <= 100
	for i := range len(list) {
		c := list[i]
		safe = safe && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-')
	}
	if safe {
		return list
	}
	return "_" + digest("list", list)[:32]
}

func (f folder) raw(list string) string  { return filepath.Join(string(f), base(list)+".raw") }
func (f folder) next(list string) string { return filepath.Join(string(f), base(list)+".new") }
func (f folder) meta(list string) string { return filepath.Join(string(f), base(list)+".meta") }
func (f folder) old(list string) string  { return filepath.Join(string(f), base(list)+".old") }
func (f folder) wait(list string) string { return filepath.Join(string(f), base(list)+".wait") }
func (f folder) set() string             { return filepath.Join(string(f), currentSet) }

// make sees to it that the folder is there.
func (f folder) make() error {
	if _, err := os.Stat(string(f)); err == nil {
		return nil
	}
	if err := os.MkdirAll(string(f), 0o750); err != nil {
		return err
	}
	return own(string(f))
}

// own gives what the administrator's command made to the owner of the folder that it lies in, so that the service can
// read it.
func own(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
		return os.Lchown(path, int(sys.Uid), int(sys.Gid))
	}
	return nil
}

// readMeta gives the zero meta when there is none or it cannot be read: the list is then fetched without conditions.
func (f folder) readMeta(list string) meta {
	var m meta
	file, err := os.Open(f.meta(list))
	if err != nil {
		return meta{}
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxMeta)).Decode(&m) != nil {
		return meta{}
	}
	return m
}

func (f folder) writeMeta(list string, m meta) error {
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the state of list %q: %w", list, err)
	}
	out, err := create(f.meta(list))
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(append(b, '\n')); err != nil {
		return err
	}
	return out.commit()
}

// hasRaw says whether there is a last good copy.
func (f folder) hasRaw(list string) bool {
	st, err := os.Stat(f.raw(list))
	return err == nil && st.Mode().IsRegular() && st.Size() > 0
}

// sweep removes the temporary files of a process that ended in the middle. The lock must be held.
func (f folder) sweep() error {
	return f.remove(func(name string) bool { return strings.Contains(name, tempMark) })
}

// prune removes the files of lists that are not kept.
func (f folder) prune(keep map[string]bool) error {
	return f.remove(func(name string) bool {
		stem, ending, _ := strings.Cut(name, ".")
		return slices.Contains([]string{"raw", "new", "meta", "old", "wait"}, ending) && !keep[stem]
	})
}

func (f folder) remove(which func(name string) bool) error {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Type().IsRegular() && which(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(string(f), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// lock waits until no other process works in the folder. The lock goes with the process, so none is ever left over.
func (f folder) lock(ctx context.Context) (unlock func(), err error) {
	if err := f.make(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(string(f), lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := own(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", f, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// tempMark is in the name of every temporary file and of no other: list names have no dot.
const tempMark = ".tmp"

// draft is a file that appears under its name only when it is whole and on disk.
type draft struct {
	*os.File
	path string
	done bool
}

func create(path string) (*draft, error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"-*")
	if err != nil {
		return nil, err
	}
	if err := own(file.Name()); err != nil {
		file.Close()
		os.Remove(file.Name())
		return nil, err
	}
	return &draft{File: file, path: path}, nil
}

// commit puts the file in place of what had its name. A power cut leaves either the old or the new.
func (d *draft) commit() error {
	if err := d.Sync(); err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := rename(d.Name(), d.path); err != nil {
		return err
	}
	d.done = true
	return nil
}

// discard removes the file unless it was committed.
func (d *draft) discard() {
	if !d.done {
		d.Close()
		os.Remove(d.Name())
	}
}

// rename is os.Rename that lasts through a power cut.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncPath(filepath.Dir(to))
}

// syncPath flushes a file or directory to the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

// link gives the file from a second name, or the name to a copy of it where the disk knows no second names.
func link(from, to string) error {
	os.Remove(to)
	if os.Link(from, to) == nil {
		return syncPath(filepath.Dir(to))
	}
	return duplicate(from, to)
}

func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := create(to)
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.commit()
}

// sum gives the size and the SHA-256 of a file.
func sum(path string) (size int64, hexSum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	h := sha256.New()
	size, err = io.Copy(h, file)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// intact says whether a file is what v describes, byte for byte.
func intact(path string, v version) bool {
	size, hexSum, err := sum(path)
	return err == nil && size == v.Size && hexSum == v.SHA256
}

// stamp identifies one version of a file without reading it; "" when there is none.
func stamp(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d %d", st.Size(), st.ModTime().UnixNano(), inode(st))
}

func inode(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}
