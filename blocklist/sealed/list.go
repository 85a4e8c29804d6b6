// Package sealed holds names that must not be readable where they are enforced: sets of keyed hashes, in memory and on
// disk. Who has the key can test a name, nobody can list them.
package sealed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unsafe"

	"schoolgate/blocklist/domain"
)

// What a feed can be instead of one. No error of this package holds a part of a feed.
var (
	ErrEmpty   = errors.New("there is no entry in it")
	ErrNotFeed = errors.New("not a list of names and addresses of pages")
)

const maxLine = 64 << 10 // bytes

// hash is a name or an address of a page under a key. They are told apart by high and low alone.
type hash struct {
	high, low uint64
	quick     uint32 // of a name
}

// List is one feed, sealed. It is immutable.
type List struct {
	Counts
	Name    string    // of the list in the configuration; not in the file, which is known by it
	Source  string    // tells sources apart, and says nothing of them
	Mark    string    // Key.Fingerprint of the feed
	Fetched time.Time // when the feed came

	key   [8]byte
	sites []hash // whole sites; sorted, as all of these, and each once
	hosts []hash // of pages
	pages []hash
}

// Counts says how much a feed lists.
type Counts struct {
	Domains   int `json:"domains"`   // whole sites
	URLs      int `json:"urls"`      // pages
	Hosts     int `json:"hosts"`     // that the pages are on
	Addresses int `json:"addresses"` // pages at IP addresses and of hidden services: for these nobody asks DNS
	Skipped   int `json:"skipped"`   // lines that could not be read, and names below which others have their sites
}

// Seal reads a feed: a name or an address of a page to a line, mixed as they come, with comments behind # or ; at the
// beginning of a line. A name, or an address without port, path, query or fragment, lists a whole site; any other
// address lists one page. What more than half of cannot be read is ErrNotFeed.
//
// The key's canary is read and hashed with the rest, and not counted.
func Seal(r io.Reader, k *Key) (*List, error) {
	l := &List{key: k.id}
	lines, readable := 0, 0
	take := func(line string) {
		e, err := readEntry(line)
		switch {
		case err != nil:
			l.Skipped++
		case e.kind == address:
			l.Addresses++
		case e.kind == page:
			l.hosts = append(l.hosts, k.name(e.host))
			l.pages = append(l.pages, k.page(e))
		default:
			l.sites = append(l.sites, k.name(e.host))
		}
		if !errors.Is(err, errEntry) {
			readable++
		}
	}
	in := bufio.NewScanner(io.MultiReader(r, strings.NewReader("\n"+string(k.Canary())+"\n")))
	window := make([]byte, maxLine)
	defer clear(window)
	in.Buffer(window, maxLine)
	for in.Scan() {
		// No copy, which would lie about in memory: the string is of use until the next Scan only, and nobody keeps it.
		line := strings.TrimSpace(strings.TrimPrefix(unsafe.String(unsafe.SliceData(in.Bytes()), len(in.Bytes())), "\ufeff"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		lines++
		if end := strings.IndexFunc(line, unicode.IsSpace); end > 0 {
			line = line[:end]
		}
		take(line)
	}
	switch {
	case errors.Is(in.Err(), bufio.ErrTooLong):
		return nil, ErrNotFeed
	case in.Err() != nil:
		return nil, fmt.Errorf("reading the feed: %w", in.Err())
	}
	l.sort()
	l.count()
	switch lines, readable = lines-1, readable-1; { // without the canary
	case lines == 0:
		return nil, ErrEmpty
	case readable*2 < lines || l.Domains+l.URLs == 0:
		return nil, ErrNotFeed
	}
	return l, nil
}

func (l *List) sort() {
	for _, part := range []*[]hash{&l.sites, &l.hosts, &l.pages} {
		slices.SortFunc(*part, compare)
		*part = slices.Clip(slices.Compact(*part))
	}
}

// count leaves the canary out.
func (l *List) count() {
	l.Domains, l.Hosts, l.URLs = max(len(l.sites)-1, 0), len(l.hosts), len(l.pages)
}

// Entries is how many sites and pages the feed lists.
func (c Counts) Entries() int { return c.Domains + c.URLs }

// Since says how many entries came and went since an earlier version under the same key, and how many stayed.
func (l *List) Since(old *List) (added, removed, kept int) {
	both := common(l.sites, old.sites) - 1 + common(l.pages, old.pages)
	return l.Entries() - both, old.Entries() - both, both
}

// common counts what is in both of two sorted slices.
func common(a, b []hash) (n int) {
	for len(a) > 0 && len(b) > 0 {
		switch c := compare(a[0], b[0]); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			n++
			a, b = a[1:], b[1:]
		}
	}
	return n
}

func compare(a, b hash) int {
	switch {
	case a.high != b.high:
		if a.high < b.high {
			return -1
		}
		return 1
	case a.low < b.low:
		return -1
	case a.low > b.low:
		return 1
	}
	return 0
}

// name hashes a name as Set.Lookup does: label by label from the right.
func (k *Key) name(n domain.Name) hash {
	var w domain.Wire
	if w.SetName(n) != nil { // no name that was parsed
		return hash{}
	}
	s, q, fast := newSip(k.names), newQuick(k.quick), uint64(0)
	for i := w.Labels() - 1; i >= 0; i-- {
		writeLabel(&s, w.Label(i))
		fast = q.label(fast, w.Label(i))
	}
	return hash{s.high(), s.low(), uint32(fast >> 32)}
}

func writeLabel(s *sip, label []byte) {
	length := [1]byte{byte(len(label))}
	s.write(length[:])
	s.write(label)
}

func (k *Key) page(e entry) hash {
	s := newSip(k.pages)
	s.write([]byte(e.host)) // two writes: a joined copy would lie about in memory
	s.write([]byte(e.rest))
	return hash{s.high(), s.low(), 0}
}
