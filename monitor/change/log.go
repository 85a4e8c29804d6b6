package change

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// FileName is the log's below store.path.
const FileName = "changes.log"

const (
	lockPoll  = 20 * time.Millisecond
	lockTries = 250 // 5 s
	maxCut    = 4096
)

// ErrBusy is returned when another process holds the log for too long.
var ErrBusy = errors.New("another process is writing the log of changes and does not end")

// Log is the file. Its methods may be called from any goroutine, and beside other processes.
type Log struct {
	path string
	now  func() time.Time
}

// New names the log below a state directory; it opens nothing.
func New(dir string) *Log { return &Log{path: filepath.Join(dir, FileName), now: time.Now} }

// Stamp tells versions of the file apart without reading it; "" when there is none.
func (l *Log) Stamp() string {
	st, err := os.Stat(l.path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(st.Size(), st.ModTime().UnixNano(), inode(st))
}

func inode(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}

// Read reads all of the log. One that does not exist is an empty Book. A writer that does not end is not waited for.
func (l *Log) Read() (*Book, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return readBook(strings.NewReader(""))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the log of changes: %w", err)
	}
	defer f.Close()
	if err := lock(f, syscall.LOCK_SH); err != nil && !errors.Is(err, ErrBusy) {
		return nil, err
	}
	return readBook(f)
}

// Update reads the log, asks decide what to add, and adds it, while no other process can. The entries get their numbers,
// times and hashes here. When it returns without error they are on the disk; the Book is the one that decide saw, or the
// new one when something was added. An error of decide is returned as it is, and nothing is added.
func (l *Log) Update(decide func(b *Book, now time.Time) ([]Entry, error)) (*Book, error) {
	f, fresh, err := l.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lock(f, syscall.LOCK_EX); err != nil {
		return nil, err
	}
	b, err := readBook(f)
	if err != nil {
		return nil, err
	}
	now := l.now().UTC().Truncate(time.Millisecond)
	added, err := decide(b, now)
	if err != nil || len(added) == 0 {
		return b, err
	}
	lead := b.mend()
	if lead.Kind != "" {
		added = append([]Entry{lead}, added...)
	}
	text, err := b.lines(added, now)
	if err != nil {
		return nil, err
	}
	if err := l.write(f, text, b.end, b.size, fresh); err != nil {
		return nil, fmt.Errorf("writing the log of changes: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the log of changes: %w", err)
	}
	return readBook(f)
}

// open opens the file, and makes it for the owner of the folder: the administrator's command must not keep the service
// from it.
func (l *Log) open() (f *os.File, fresh bool, err error) {
	f, err = os.OpenFile(l.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
		fresh = true
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening the log of changes: %w", err)
	}
	if fresh && os.Geteuid() == 0 {
		if st, err := os.Stat(filepath.Dir(l.path)); err == nil {
			if sys, ok := st.Sys().(*syscall.Stat_t); ok {
				_ = f.Chown(int(sys.Uid), int(sys.Gid)) // else the service says that it cannot read it
			}
		}
	}
	return f, fresh, nil
}

// lock waits for the file's lock, which goes with the process.
func lock(f *os.File, how int) error {
	for range lockTries {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("locking the log of changes: %w", err)
		}
		time.Sleep(lockPoll)
	}
	return ErrBusy
}

// mend deals with an end that is no whole line. A line that lacks nothing but its newline is kept; anything else is
// overwritten by the entry that it gives, which says what stood there.
func (b *Book) mend() (e Entry) {
	if b.Partial == nil {
		return e
	}
	if line, err := parseEntry(b.Partial); err == nil && line.Prev == b.Head.Hash && line.Number == b.Head.Count+1 {
		return e // Update writes the newline
	}
	shown := b.Partial
	if len(shown) > maxCut {
		shown = shown[:maxCut]
	}
	var before []string
	for text := fmt.Sprintf("%q", shown); text != ""; {
		n := min(len(text), maxItem)
		before, text = append(before, text[:n]), text[n:]
	}
	return Entry{Kind: KindCut, Why: fmt.Sprintf("%d bytes at the end were no whole line, as a power cut leaves them; they were cut off", b.size-b.end), Before: before}
}

// lines writes entries as they follow on the Book: with the newline that its end may lack, and from b.end.
func (b *Book) lines(entries []Entry, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	head := b.Head
	if b.Partial != nil && entries[0].Kind != KindCut {
		last, err := parseEntry(b.Partial)
		if err != nil {
			return nil, fmt.Errorf("completing the last line: %w", err)
		}
		out.Write(append(bytes.Clone(b.Partial), '\n'))
		head.Count, head.Hash = last.Number, last.Hash
	}
	for _, e := range entries {
		e.Number, e.At, e.Prev = head.Count+1, now, head.Hash
		line, hash, err := e.encode()
		if err != nil {
			return nil, err
		}
		out.Write(append(line, '\n'))
		head.Count, head.Hash = e.Number, hash
	}
	return out.Bytes(), nil
}

// write puts text at offset at of a file of size bytes, and returns when it is on the disk. A write that fails is undone as
// far as the disk allows; what is left of it is an end that is no whole line.
func (l *Log) write(f *os.File, text []byte, at, size int64, fresh bool) error {
	_, err := f.WriteAt(text, at)
	if end := at + int64(len(text)); err == nil && end < size {
		err = f.Truncate(end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil && fresh {
		err = syncDir(filepath.Dir(l.path))
	}
	if err != nil && size == at {
		_ = f.Truncate(at)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
