// Package lookalike knows the best-known names that schools block, and finds names that look like one of them: one letter
// more, less, other or swapped, or letters of other scripts that look the same. What becomes of such a name is for others to
// say: some are innocent.
package lookalike

import (
	"embed"
	"strings"
	"sync"

	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/pack"
)

// known.txt has a category to a line, and below it, behind two spaces, its names. innocent.txt has labels that look like
// one of these and mean something else. "#" begins a comment.
//
//go:embed known.txt innocent.txt
var files embed.FS

// Hit is what a name looks like.
type Hit struct {
	Of       domain.Name // the well-known name
	Category string      // that it is blocked by
	Kind     Kind
}

// Kind is how a name looks like another.
type Kind uint8

// The kinds.
const (
	Misspelt  Kind = iota // a letter more, less, other, or two swapped
	Homograph             // other letters that look the same
)

func (k Kind) String() string {
	if k == Homograph {
		return "homograph"
	}
	return "misspelling"
}

// The least that a well-known label must have for others to be told from it by a letter, and by the look: the shorter it is,
// the more words are like it.
const (
	leastMisspelt  = 6
	leastHomograph = 4
)

// book is what names are looked up in.
type book struct {
	known    []entry
	labels   map[string]bool   // of the known ones, which look like nobody else
	looks    map[string]uint16 // by how the label looks
	nearly   map[string][]uint16
	innocent map[string]bool // labels, and whole sites with a dot
	longest  int
}

type entry struct {
	Hit
	label string
}

var read = sync.OnceValue(open)

func open() *book {
	b := &book{labels: map[string]bool{}, looks: map[string]uint16{}, nearly: map[string][]uint16{}, innocent: map[string]bool{}}
	category := ""
	for line := range lines("known.txt") {
		if line[0] != ' ' {
			category = strings.TrimSpace(line)
			continue
		}
		for n := range strings.FieldsSeq(line) {
			b.add(domain.Name(n), category)
		}
	}
	for line := range lines("innocent.txt") {
		for n := range strings.FieldsSeq(line) {
			b.innocent[n] = true
		}
	}
	for _, n := range pack.Popular() {
		b.innocent[string(domain.Name(n).Site())] = true
	}
	for _, s := range catalogue.Services() {
		for _, n := range s.Domains {
			b.innocent[string(domain.Name(n).Site())] = true // itself, whatever lists say of it
		}
	}
	return b
}

func (b *book) add(n domain.Name, category string) {
	label, _, _ := strings.Cut(string(n), ".")
	i := uint16(len(b.known))
	b.known = append(b.known, entry{Hit{Of: n, Category: category}, label})
	b.labels[label] = true
	b.longest = max(b.longest, len(label))
	var buf [domain.MaxLabel]byte
	b.looks[string(appendLook(buf[:0], []byte(label)))] = i
	if len(label) < leastMisspelt {
		return
	}
	b.nearly[label] = append(b.nearly[label], i)
	for k := range label {
		less := label[:k] + label[k+1:]
		if k == 0 || label[k] != label[k-1] { // else it is the same again
			b.nearly[less] = append(b.nearly[less], i)
		}
	}
}

// Find says what the site of a name looks like; ok is false when it looks like none of the well-known ones, or is one, or is
// known for something else. It allocates only for names in Punycode and for those that it finds.
func Find(name *domain.Wire) (hit Hit, ok bool) {
	b := read()
	n := name.Labels()
	// The label before the public suffix is the last but one, or the one left of that where suffixes have two labels.
	for i := n - 2; i >= max(n-3, 0); i-- {
		label := name.Label(i)
		if hit, ok = b.label(label); !ok {
			continue
		}
		site := domain.Name(domain.AppendText(nil, name.Bytes())).Site()
		if at := string(label) + "."; !strings.HasPrefix(string(site), at) || b.spared(site) {
			return Hit{}, false
		}
		return hit, true
	}
	return Hit{}, false
}

// FindName is Find for a name as text; what is no name looks like nothing.
func FindName(n domain.Name) (hit Hit, ok bool) {
	var w domain.Wire
	if w.SetName(n) != nil {
		return hit, false
	}
	return Find(&w)
}

// spared says whether a site is known to be what it is.
func (b *book) spared(site domain.Name) bool {
	if b.innocent[string(site)] {
		return true
	}
	_, held := pack.Holds(string(site))
	return held
}

// label finds what a label looks like.
func (b *book) label(label []byte) (hit Hit, ok bool) {
	if len(label) < leastHomograph || b.labels[string(label)] || b.innocent[string(label)] {
		return hit, false
	}
	if len(label) > 4 && string(label[:4]) == "xn--" {
		if label, ok = latin(string(label)); !ok {
			return hit, false
		}
	}
	if len(label) > 2*b.longest { // two letters can look like one
		return hit, false
	}
	var buf [domain.MaxLabel]byte
	if i, found := b.looks[string(appendLook(buf[:0], label))]; found {
		hit = b.known[i].Hit
		hit.Kind = Homograph
		return hit, true
	}
	if i, found := b.near(label); found {
		return b.known[i].Hit, true
	}
	return hit, false
}

// near finds a well-known label that is one letter away: such two are equal, or become equal when each has lost a letter at
// most.
func (b *book) near(label []byte) (uint16, bool) {
	if len(label) < leastMisspelt-1 || len(label) > b.longest+1 {
		return 0, false
	}
	if all := b.nearly[string(label)]; len(all) > 0 {
		return all[0], true
	}
	var buf [domain.MaxLabel]byte
	for k := range label {
		less := append(append(buf[:0], label[:k]...), label[k+1:]...)
		for _, i := range b.nearly[string(less)] {
			if oneOff(label, b.known[i].label) {
				return i, true
			}
		}
	}
	return 0, false
}

// oneOff says whether b is a with one letter more, less, other, or two neighbours swapped.
func oneOff(a []byte, b string) bool {
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	i, j := len(a), len(b)
	for i > from && j > from && a[i-1] == b[j-1] {
		i, j = i-1, j-1
	}
	switch more, less := i-from, j-from; {
	case more+less == 1, more == 1 && less == 1:
		return true
	case more == 2 && less == 2:
		return a[from] == b[from+1] && a[from+1] == b[from]
	}
	return false
}

// lines yields the lines of a file that say something.
func lines(file string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		text, err := files.ReadFile(file)
		if err != nil {
			panic("lookalike: " + err.Error()) // not built in, which a test rules out
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimRight(line, " \n"); line != "" && !yield(line) {
				return
			}
		}
	}
}
