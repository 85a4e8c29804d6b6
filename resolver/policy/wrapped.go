package policy

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
)

// wrapper is how the names below a suffix carry the names of other sites, whose pages are shown under them: the service
// fetches a page, and the device asks for nothing but the service.
type wrapper struct {
	form form
	skip int // labels between the suffix and what is carried
}

// form is how a name is written into another.
type form uint8

const (
	// hyphens: in one label, "-" for "." and "--" for "-".
	hyphens form = iota
	// translated: hyphens with marks that the query part of the address explains, which DNS does not see: "1-" stands before
	// a name that begins like a mark, "0-" for the "xn--" of an international one
	// (developers.google.com/search/docs/appearance/ad-network-and-translation). A long name has lost its beginning.
	translated
	// cached: hyphens over the name in Unicode, the whole in Punycode; "0-" before and "-0" behind it where there would be
	// hyphens in the third and fourth place (amp.dev, AMP Cache URL Format). A long name is a hash, which tells nothing.
	cached
	// onion: the labels as they are, without the top "onion".
	onion
	// rewritten: hyphens in one label, or the labels as they are: EZproxy and its like (help.oclc.org, About URL rewriting).
	rewritten
)

// wrapped lists the suffixes that are known to work so. Where a name carries another in its path (web archives, most web
// proxies) DNS cannot see it; those are services of the catalogue, to be refused as a whole.
var wrapped = map[domain.Name]wrapper{
	"translate.goog":       {form: translated},
	"cdn.ampproject.org":   {form: cached},
	"www.bing-amp.com":     {form: cached},
	"bing-amp.com":         {form: cached},
	"turbopages.org":       {form: hyphens},
	"ipns.dweb.link":       {form: hyphens},
	"ipns.cf-ipfs.com":     {form: hyphens},
	"ipns.inbrowser.dev":   {form: hyphens},
	"ipns.inbrowser.link":  {form: hyphens},
	"idm.oclc.org":         {form: rewritten, skip: 1},
	"proxy.openathens.net": {form: rewritten, skip: 1},
	"onion.cab":            {form: onion},
	"onion.city":           {form: onion},
	"onion.link":           {form: onion},
	"onion.ly":             {form: onion},
	"onion.moe":            {form: onion},
	"onion.pet":            {form: onion},
	"onion.sh":             {form: onion},
	"onion.to":             {form: onion},
	"onion.ws":             {form: onion},
	"tor2web.org":          {form: onion},
	"tor2web.io":           {form: onion},
	"tor2web.fi":           {form: onion},
}

// readings is in how many ways a name can be read, since DNS does not see all that the service does.
const readings = 2

// compileWrappers adds what the names that carry others end in to the own set.
func (p *Policy) compileWrappers(b *blocklist.Builder) error {
	p.wrappers = make(map[string]wrapper, len(wrapped))
	for n, w := range wrapped {
		wire, err := n.AppendWire(nil)
		if err != nil {
			return fmt.Errorf("wrapper %q: %w", n, err)
		}
		p.wrappers[string(wire)] = w
		if err := b.Add(ownWrapper, blocklist.Rule{Name: n, Scope: blocklist.Below}); err != nil {
			return fmt.Errorf("wrapper %q: %w", n, err)
		}
	}
	return nil
}

// library is the label by which the proxy of a library goes, which each runs under a name of its own, with what it carries
// left of it; 0 for none.
func library(name *domain.Wire) int {
	for i := 1; i < name.Labels()-2; i++ { // left of a library's own name, which has two labels at least
		switch l := name.Label(i); len(l) {
		case len("ezproxy"), len("libproxy"):
			if s := string(l); s == "ezproxy" || s == "libproxy" {
				return i
			}
		}
	}
	return 0
}

// carried gives the verdict on a name that may carry others: v, which is that on the name itself, unless a name that it
// carries is refused. asked is the verdict on the question when the name is a target, else nil.
func (p *Policy) carried(now time.Time, client uint8, name *domain.Wire, v query.Verdict, asked *query.Verdict) query.Verdict {
	var inner domain.Wire
	for n := range readings {
		at, ok := p.unwrap(name, n, &inner)
		if !ok {
			continue
		}
		key := blocklist.KeyOf(&inner)
		hits := p.set.LookupKey(&key)
		var got query.Verdict
		if asked == nil {
			got = p.Decide(now, client, &key, hits)
		} else {
			got = p.DecideTarget(now, client, *asked, &key, hits)
		}
		if got.Action == query.Rewrite { // what is carried cannot be steered
			got.Action, got.Target = query.Block, ""
		}
		got.Wrapped = true
		switch {
		case got.Rule.Withheld():
			return got
		case v.Action == query.Block:
		case got.Action == query.Block && !(got.Rule != query.OwnBlock && p.meant(client, name, at, v.Rule)):
			v = got
		case got.Pages != "":
			v.Pages = got.Pages
		}
	}
	return v
}

// meant says whether a person allowed just this name, and not the service that it belongs to as a whole: label at is where
// that begins.
func (p *Policy) meant(client uint8, name *domain.Wire, at int, rule query.Rule) bool {
	if rule != query.OwnAllow && rule != query.Approved {
		return false
	}
	var service domain.Wire
	if _, err := service.Read(name.From(at), 0); err != nil {
		return false
	}
	own, g := p.own.Lookup(&service), p.group(client)
	return !own.Has(ownAllow) && !own.Has(g.allow) && !own.Has(g.approved)
}

// unwrap puts the n-th reading of what a name carries into inner; at is the label that the service's own name begins with.
// It allocates for international names alone.
func (p *Policy) unwrap(name *domain.Wire, n int, inner *domain.Wire) (at int, ok bool) {
	w := wrapper{form: rewritten}
	if at = library(name); at == 0 {
		for i := 1; i < name.Labels() && at == 0; i++ {
			if found, known := p.wrappers[string(name.From(i))]; known {
				w, at = found, i
			}
		}
	}
	left := at - w.skip // labels that carry
	if at == 0 || left <= 0 {
		return 0, false
	}
	var b [2 * domain.MaxWire]byte
	out := b[:0]
	switch label := name.Label(left - 1); {
	case w.form == onion:
		out, ok = append(append(out, name.Bytes()[:name.Offset(at)]...), "\x05onion\x00"...), n == 0
	case w.form == rewritten && left > 1:
		out, ok = append(append(out, name.Bytes()[:name.Offset(left)]...), 0), n == 0
	case w.form == translated:
		out, ok = appendTranslated(out, label, n)
	case w.form == cached:
		out, ok = appendCached(out, label, n)
	case n == 0:
		out, ok = appendHyphened(out, label, "")
	}
	if !ok {
		return 0, false
	}
	_, err := inner.Read(out, 0)
	return at, err == nil && inner.Labels() > 1
}

// appendHyphened appends the name that a label carries in wire form, with prefix before its first label: "-" is the dot
// between labels, "--" a hyphen. ok is false when there is no such name.
func appendHyphened(out, label []byte, prefix string) (_ []byte, ok bool) {
	length := len(out)
	out = append(append(out, 0), prefix...)
	end := func() bool {
		n := len(out) - length - 1
		out[length] = byte(n)
		return n > 0 && n <= domain.MaxLabel
	}
	for i := 0; i < len(label); i++ {
		switch c := label[i]; {
		case c != '-':
			out = append(out, c)
		case i+1 < len(label) && label[i+1] == '-':
			out = append(out, '-')
			i++
		case !end():
			return out, false
		default:
			length = len(out)
			out = append(out, 0)
		}
	}
	if !end() {
		return out, false
	}
	return append(out, 0), true
}

// appendTranslated reads a label of the form translated: first as if its marks were marks, then as if they were not.
func appendTranslated(out, label []byte, n int) (_ []byte, ok bool) {
	text, prefix := label, ""
	if rest, marked := cutPrefix(text, "1-"); marked {
		text = rest
	}
	if rest, marked := cutPrefix(text, "0-"); marked {
		text, prefix = rest, "xn--"
	}
	if n == 0 {
		return appendHyphened(out, text, prefix)
	}
	if len(text) == len(label) {
		return out, false
	}
	return appendHyphened(out, label, "")
}

// cutPrefix is a mark that stands for itself: before a hyphen it is the beginning of a doubled one.
func cutPrefix(text []byte, mark string) ([]byte, bool) {
	if len(text) > len(mark) && string(text[:len(mark)]) == mark && text[len(mark)] != '-' {
		return text[len(mark):], true
	}
	return text, false
}

// appendCached reads a label of the form cached: first as if its marks were marks, then as if they were not.
func appendCached(out, label []byte, n int) (_ []byte, ok bool) {
	if len(label) > 4 && string(label[:4]) == "xn--" {
		return appendInternational(out, string(label), n)
	}
	text := label
	if len(label) > 4 && string(label[:2]) == "0-" && string(label[len(label)-2:]) == "-0" {
		text = label[2 : len(label)-2]
	}
	if n == 0 {
		return appendHyphened(out, text, "")
	}
	if len(text) == len(label) {
		return out, false
	}
	return appendHyphened(out, label, "")
}

// appendInternational reads a label whose Punycode holds a whole name with its dots as hyphens.
func appendInternational(out []byte, label string, n int) (_ []byte, ok bool) {
	text, err := idna.Punycode.ToUnicode(label)
	if err != nil || text == label {
		return out, false
	}
	marked := strings.HasPrefix(text, "0-") && strings.HasSuffix(text, "-0") && len(text) > 4
	if n == 0 && marked {
		text = text[2 : len(text)-2]
	}
	if n > 0 && !marked {
		return out, false
	}
	const hyphen = "\x00" // which no name in text has
	text = strings.ReplaceAll(strings.ReplaceAll(text, "--", hyphen), "-", ".")
	name, err := domain.Parse(strings.ReplaceAll(text, hyphen, "-"))
	if err != nil {
		return out, false
	}
	out, err = name.AppendWire(out)
	return out, err == nil
}

// carriedNames is the names that name carries, one for each way to read it, and the service that it belongs to; none when it
// carries none.
func (p *Policy) carriedNames(name *domain.Wire) (names []domain.Name, service domain.Name) {
	var inner domain.Wire
	for n := range readings {
		if at, ok := p.unwrap(name, n, &inner); ok {
			names = append(names, inner.Name())
			service = domain.Name(domain.AppendText(nil, name.From(at)))
		}
	}
	return names, service
}
