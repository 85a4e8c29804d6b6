package parse

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Reason is why a line, or a name on it, made no rule.
type Reason uint8

// The reasons. The first group are lines that cannot be read; the second are understood, but name no domain to block.
const (
	Syntax  Reason = iota // not a line of this format
	BadName               // no host name can look like this

	Address      // an IP address or network
	PublicSuffix // com, co.uk: would block every site below it
	Page         // a web page, path or port, not a whole site
	Pattern      // a regular expression, or a * inside a name
	Cosmetic     // hides parts of pages
	Modifier     // adblock: only in some circumstances
	Forward      // dnsmasq: asks a server of its own for this name
	Data         // answers with data of its own, such as a rewrite to another address
	Trigger      // RPZ: by address or name server, not by name
	Directive    // another setting of the server that the list was made for
	AllowList    // UT1: a directory for allowing, passed over

	reasons
)

func (r Reason) String() string {
	return [reasons]string{
		"syntax", "bad name", "address", "public suffix", "page", "pattern", "cosmetic", "modifier",
		"forward", "data", "trigger", "directive", "allow list",
	}[r]
}

// MarshalText writes the reason as its words, as a key of JSON too.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Reason) unreadable() bool { return r <= BadName }

// MaxProblems is how many problems a Report tells one by one.
const MaxProblems = 20

const maxProblemText = 120 // bytes

// Problem is one line, or name on it, that made no rule.
type Problem struct {
	File   string `json:"file,omitempty"` // of an archive or directory: the file in it; else ""
	Line   int    `json:"line"`           // from 1; 0 when it is about the whole file
	Text   string `json:"text,omitempty"` // the line, cut to 120 bytes
	Reason Reason `json:"reason"`
}

func (p Problem) String() string {
	where := fmt.Sprintf("line %d", p.Line)
	if p.File != "" {
		where = fmt.Sprintf("%s line %d", p.File, p.Line)
	}
	return fmt.Sprintf("%s: %s: %q", where, p.Reason, p.Text)
}

// Report is what came of reading a list. A line may make several rules (hosts), and skip several names.
type Report struct {
	Lines    int            // all lines
	Entries  int            // lines that are more than a comment, a heading or nothing
	Rules    int            // rules given to add, exceptions included
	Skipped  map[Reason]int // entries and names that made no rule; nil when there are none
	Problems []Problem      // the first MaxProblems of them, or as many as Refused was asked for
}

// String is the report in one line, without any name of the list.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rules from %d entries", r.Rules, r.Entries)
	if s := r.skipped(); s != "" {
		b.WriteString("; skipped: " + s)
	}
	return b.String()
}

func (r Report) skipped() string {
	why := make([]Reason, 0, len(r.Skipped))
	for reason := range r.Skipped {
		why = append(why, reason)
	}
	sort.Slice(why, func(i, j int) bool { return why[i] < why[j] })
	parts := make([]string, len(why))
	for i, reason := range why {
		parts[i] = fmt.Sprintf("%d %s", r.Skipped[reason], reason)
	}
	return strings.Join(parts, ", ")
}

// note counts what makes no rule, and keeps as many problems one by one as were asked for.
func (p *parser) note(pr Problem, count int) {
	r := &p.rep
	if r.Skipped == nil {
		r.Skipped = make(map[Reason]int)
	}
	r.Skipped[pr.Reason] += count
	if len(r.Problems) < max(p.keep, MaxProblems) {
		pr.Text = clip(pr.Text)
		r.Problems = append(r.Problems, pr)
	}
}

// clip cuts and copies, so that a Problem does not keep a block of the list alive. What is no UTF-8 becomes "?".
func clip(s string) string {
	if len(s) > maxProblemText {
		cut := maxProblemText
		for cut > maxProblemText-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return strings.Clone(strings.ToValidUTF8(s, "?"))
}
