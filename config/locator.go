package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// maxDepth bounds how deep arrays and tables may nest; this file's own keys need four.
const maxDepth = 32

// lines maps the path of each key, table and array element of a TOML text to the line it stands on. The TOML library
// keeps such positions to itself, so a second, small reading of the text finds them.
type lines map[string]int

// of is the line of path, else of the nearest thing around it that the text has; 0 when it has none.
func (l lines) of(path string) int {
	for path != "" {
		if n, ok := l[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// child is the path of a key in the table at path.
func child(path, key string) string {
	if key == "" || strings.Trim(key, bareKey) != "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// element is the path of element i of the array at path.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

const bareKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// locator walks TOML that the library has accepted or will judge. On other text it finds what it finds, but it always
// ends, in linear time.
type locator struct {
	src      string
	pos      int
	newlines []int // offsets
	found    lines
	tables   map[string]int // arrays of tables: elements so far
	tooDeep  int            // line where the text nests deeper than maxDepth, 0 when it does not
}

// locate finds the lines of a text, and the line where it nests deeper than maxDepth (0: nowhere): such a text nobody
// should parse.
func locate(src string) (found lines, tooDeep int) {
	l := &locator{src: src, found: make(lines), tables: make(map[string]int)}
	for i := range len(src) {
		if src[i] == '\n' {
			l.newlines = append(l.newlines, i)
		}
	}
	table := ""
	for l.blank(); l.pos < len(src); l.blank() {
		before := l.pos
		if src[l.pos] == '[' {
			table = l.header()
		} else {
			l.pair(table, 0)
		}
		if l.pos == before {
			l.restOfLine()
		}
	}
	return l.found, l.tooDeep
}

func (l *locator) line(pos int) int { return 1 + sort.SearchInts(l.newlines, pos) }

// mark notes the line of path unless it is known.
func (l *locator) mark(path string, pos int) {
	if _, ok := l.found[path]; !ok && l.tooDeep == 0 {
		l.found[path] = l.line(pos)
	}
}

func (l *locator) giveUp() {
	l.tooDeep = l.line(l.pos)
	l.pos = len(l.src)
}

func (l *locator) at(prefix string) bool { return strings.HasPrefix(l.src[l.pos:], prefix) }

// blank skips white space, ends of lines and comments.
func (l *locator) blank() {
	for l.pos < len(l.src) {
		switch l.src[l.pos] {
		case ' ', '\t', '\r', '\n':
			l.pos++
		case '#':
			l.restOfLine()
		default:
			return
		}
	}
}

func (l *locator) space() {
	for l.pos < len(l.src) && (l.src[l.pos] == ' ' || l.src[l.pos] == '\t') {
		l.pos++
	}
}

func (l *locator) restOfLine() {
	if i := strings.IndexByte(l.src[l.pos:], '\n'); i >= 0 {
		l.pos += i + 1
	} else {
		l.pos = len(l.src)
	}
}

// header reads [a.b] or [[a.b]] and gives the path that the keys below it are in.
func (l *locator) header() string {
	start := l.pos
	array := l.at("[[")
	l.pos += len("[")
	if array {
		l.pos++
	}
	keys := l.key()
	path := ""
	for i, k := range keys {
		path = child(path, k)
		last := i == len(keys)-1
		if last && l.tables[path] == 0 {
			delete(l.found, path) // a header says more than the mention of a table in an earlier one
		}
		l.mark(path, start)
		if array && last {
			l.tables[path]++
		}
		if n := l.tables[path]; n > 0 {
			path = element(path, n-1)
			l.mark(path, start)
		}
	}
	for range 2 {
		l.space()
		if l.at("]") {
			l.pos++
		}
	}
	return path
}

// key reads a dotted key as its parts, none when there is no key here.
func (l *locator) key() []string {
	var parts []string
	for {
		if len(parts) > maxDepth {
			l.giveUp()
			return nil
		}
		l.space()
		start := l.pos
		switch {
		case l.at(`"`), l.at(`'`):
			l.text()
			parts = append(parts, unquoteKey(l.src[start:l.pos]))
		default:
			for l.pos < len(l.src) && strings.IndexByte(bareKey, l.src[l.pos]) >= 0 {
				l.pos++
			}
			if l.pos == start {
				return parts
			}
			parts = append(parts, l.src[start:l.pos])
		}
		l.space()
		if !l.at(".") {
			return parts
		}
		l.pos++
	}
}

func unquoteKey(s string) string {
	if len(s) >= 2 && s[0] == '\'' {
		return s[1 : len(s)-1]
	}
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

// pair reads key = value in the table at path.
func (l *locator) pair(path string, depth int) {
	start := l.pos
	for _, k := range l.key() {
		path = child(path, k)
		l.mark(path, start)
	}
	l.space()
	if l.at("=") {
		l.pos++
		l.space()
		l.value(path, depth)
	}
}

func (l *locator) value(path string, depth int) {
	switch {
	case depth > maxDepth:
		l.giveUp()
	case l.at(`"`), l.at(`'`):
		l.text()
	case l.at("["):
		l.inside("]", func(i int) {
			l.mark(element(path, i), l.pos)
			l.value(element(path, i), depth+1)
		})
	case l.at("{"):
		l.inside("}", func(int) { l.pair(path, depth+1) })
	default:
		for l.pos < len(l.src) && !strings.ContainsRune(",]}#\r\n", rune(l.src[l.pos])) {
			l.pos++
		}
	}
}

// inside reads comma-separated parts up to the closing bracket.
func (l *locator) inside(end string, part func(i int)) {
	l.pos++
	for i := 0; ; i++ {
		l.blank()
		if l.pos >= len(l.src) {
			return
		}
		if l.at(end) {
			l.pos++
			return
		}
		before := l.pos
		part(i)
		l.blank()
		if l.at(",") {
			l.pos++
		}
		if l.pos == before {
			l.pos++
		}
	}
}

// text skips a string of any of the four kinds.
func (l *locator) text() {
	quote := l.src[l.pos : l.pos+1]
	long := strings.Repeat(quote, 3)
	end := quote
	if l.at(long) {
		end = long
	}
	l.pos += len(end)
	for l.pos < len(l.src) {
		switch {
		case l.at(end):
			l.pos += len(end)
			for n := 0; n < 2 && end == long && l.at(quote); n++ { // """a""""" ends with two quotes of its own
				l.pos++
			}
			return
		case quote == `"` && l.at(`\`):
			l.pos = min(l.pos+2, len(l.src))
		case end == quote && l.at("\n"):
			return
		default:
			l.pos++
		}
	}
}

// tooDeepProblem is what a text gets that nests deeper than the library should be asked to follow.
func tooDeepProblem(file string, line int) Problem {
	return Problem{File: file, Line: line, What: fmt.Sprintf("arrays or tables nest more than %d deep", maxDepth), Hint: "see the example file for what each key holds"}
}
