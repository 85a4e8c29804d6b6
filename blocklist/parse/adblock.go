package parse

import (
	"strings"

	"schoolgate/blocklist"
)

// adblock reads a rule in the syntax of content blockers, as far as DNS can follow it.
func (p *parser) adblock(line string) {
	if line[0] == '!' || line[0] == '[' || line[0] == '#' && !cosmetic(line) {
		return // a comment, or a heading such as [Adblock Plus]
	}
	p.entry()
	if cosmetic(line) {
		p.skip(Cosmetic, line)
		return
	}
	rest, except := strings.CutPrefix(line, "@@")
	if regex(rest) {
		p.skip(Pattern, line)
		return
	}
	pattern, modifiers, modified := strings.Cut(rest, "$")
	name, scope, why := wholeDomain(pattern)
	switch {
	case why != nil:
		p.skip(*why, line)
	case modified && !harmless(modifiers, except):
		p.skip(Modifier, line)
	default:
		p.rule(name, scope, except)
	}
}

// wholeDomain reads a pattern that covers hosts whole; why is set when this one does not.
func wholeDomain(pattern string) (name string, s blocklist.Scope, why *Reason) {
	no := func(r Reason) (string, blocklist.Scope, *Reason) { return "", 0, &r }
	name, scope := pattern, blocklist.Subtree
	if n, ok := strings.CutPrefix(name, "||"); ok {
		name = n
	} else if n, ok := strings.CutPrefix(name, "|"); ok {
		name, scope = n, blocklist.Exact
	}
	name = strings.TrimSuffix(name, "|")
	name, closed := strings.CutSuffix(name, "^")
	if n, ok := strings.CutPrefix(name, "*."); ok {
		name, scope = n, blocklist.Below
	}
	switch {
	case name == "" || !closed && strings.HasSuffix(name, "."): // "||ads." goes for every name that begins so
		return no(Pattern)
	case addressLike(name):
		return no(Address)
	case strings.ContainsAny(name, "/:?&="):
		return no(Page)
	case strings.ContainsAny(name, "*^|"):
		return no(Pattern)
	}
	return name, scope, nil
}

// harmless says whether a rule with these modifiers still speaks of the whole domain; the package comment lists them.
func harmless(modifiers string, except bool) bool {
	for m := range strings.SplitSeq(modifiers, ",") {
		switch strings.TrimSpace(m) {
		case "important", "all", "document", "doc":
		case "popup", "network", "third-party", "3p":
			if except {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// cosmetic finds the marks of rules that hide parts of pages or run scripts in them: ##, #@#, #?#, #$#, #%#, and $$.
// A heading such as "## news" in a hosts file is none, since a blank follows.
func cosmetic(line string) bool {
	for i := strings.IndexByte(line, '#'); i >= 0 && i+1 < len(line); {
		switch next := line[i+1:]; {
		case next[0] == '#' && len(next) > 1 && next[1] != '#' && next[1] != ' ':
			return true
		case strings.HasPrefix(next, "@#"), strings.HasPrefix(next, "?#"), strings.HasPrefix(next, "$#"),
			strings.HasPrefix(next, "%#"), strings.HasPrefix(next, "@?#"), strings.HasPrefix(next, "@$#"):
			return true
		}
		j := strings.IndexByte(line[i+1:], '#')
		if j < 0 {
			break
		}
		i += 1 + j
	}
	return strings.Contains(line, "$$")
}

// regex finds /…/ and /…/$modifiers.
func regex(s string) bool {
	return len(s) > 2 && s[0] == '/' && s[1] != '/' && (s[len(s)-1] == '/' || strings.Contains(s, "/$"))
}
