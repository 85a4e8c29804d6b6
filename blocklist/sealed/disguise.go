package sealed

import (
	"strings"
	"unicode"

	"schoolgate/blocklist/domain"
)

// What Bears looks at, so that a long name costs no more than a short one: so many pieces, and so many labels taken away
// behind.
const (
	maxPieces = 8
	maxSearch = 8
)

// Bears says whether a name, in canonical text, is a whole site of a list, or holds one in disguise: with other labels
// behind it, as a system makes when it tries the names of its search list in turn, or among characters that no host
// name has, as when an address of a page is taken for a name. It costs at most some dozen look-ups.
func (s *Set) Bears(name string) bool {
	if len(s.Lists()) == 0 {
		return false
	}
	pieces := 0
	for piece := range strings.FieldsFuncSeq(plain(name), func(r rune) bool { return !hostRune(r) }) {
		if pieces++; pieces > maxPieces {
			return false
		}
		if s.bears(strings.Trim(piece, ".")) {
			return true
		}
	}
	return false
}

// bears looks at one piece, and at it without the labels behind.
func (s *Set) bears(piece string) bool {
	for range maxSearch + 1 {
		var w domain.Wire
		cut := strings.LastIndexByte(piece, '.')
		if cut < 0 {
			return false
		}
		if w.SetName(domain.Name(piece)) == nil && s.Lookup(&w).Sites != 0 {
			return true
		}
		piece = piece[:cut]
	}
	return false
}

// plain puts a space for each escaped byte, \DDD, of a name in canonical text.
func plain(name string) string {
	for {
		i := strings.IndexByte(name, '\\')
		if i < 0 {
			return name
		}
		name = name[:i] + " " + name[min(i+4, len(name)):]
	}
}

func hostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.'
}

// Withhold gives a text that people wrote with mark in place of every word that bears a whole site of a list, in letters
// of whatever script and case.
func (s *Set) Withhold(text, mark string) string {
	if len(s.Lists()) == 0 {
		return text
	}
	var out strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, inWord)
		if n < 0 {
			n = len(text)
		}
		out.WriteString(text[:n])
		text = text[n:]
		if n = strings.IndexFunc(text, func(r rune) bool { return !inWord(r) }); n < 0 {
			n = len(text)
		}
		word := text[:n]
		if name, err := domain.Parse(strings.Trim(word, "-_.")); err == nil && s.bears(string(name)) {
			word = mark
		}
		out.WriteString(word)
		text = text[n:]
	}
	return out.String()
}

// inWord says whether r may be part of a name as people write it; in some scripts the full stop is another one.
func inWord(r rune) bool {
	return r == '-' || r == '_' || r == '.' || r == '。' || r == '．' || r == '｡' || unicode.In(r, unicode.L, unicode.M, unicode.Nd)
}
