package config

import (
	"net/netip"
	"slices"
	"strings"
)

// maxContact is the most bytes of a contact: they go into answers of at most 1,232 bytes.
const maxContact = 100

func (k *checker) page() {
	p := k.c.Page
	for i, a := range p.HTTP {
		path := element("page.http", i)
		if !k.address(path, a) {
			continue
		}
		for _, d := range k.c.DNS.Listen {
			if d.IsValid() && (covers(d, a) || covers(a, d)) {
				k.refusef(path, "write port 80: that is where browsers ask", "%v is taken by dns.listen %v", a, d)
			}
		}
		if h := k.c.HTTP.Listen; h.IsValid() && (covers(h, a) || covers(a, h)) {
			k.refusef(path, "give http.listen another port", "%v is taken by http.listen %v", a, h)
		}
		if a.Port() != 80 && a.Port() != 0 {
			k.warnf(path, "write port 80, unless something else passes it on", "browsers ask for a page at port 80 and not at %d", a.Port())
		}
	}
	distinct("page.http", p.HTTP, func(path string, first int) {
		k.refusef(path, "leave it out", "%v is here already", p.HTTP[first])
	})
	if p.Lead != "" {
		k.label("page.lead", p.Lead)
	}
	for i, c := range p.Contact {
		if !isContact(c) {
			k.refusef(element("page.contact", i), `write such as "mailto:office@school.example" or "tel:+44-1632-960001"; programs heed no others`,
				"%q is no contact of at most %d characters", c, maxContact)
		}
	}
	if p.HTTPS {
		k.pageOverHTTPS()
	}
	if len(p.HTTP) > 0 && !slices.ContainsFunc(k.c.Groups, func(g Group) bool { return g.Answer == (Answer{Kind: AnswerPage}) }) {
		k.warnf("page.http", `write answer = "page" for the groups that are to see it`, "no group is led to the block page")
	}
	distinct("page.contact", p.Contact, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", p.Contact[first])
	})
}

// pageOverHTTPS wants the listeners that it takes.
func (k *checker) pageOverHTTPS() {
	const at = "page.https"
	e := k.c.Encrypted.HTTPS
	switch {
	case len(k.c.Page.HTTP) == 0:
		k.refusef(at, `write http = ["192.0.2.1:80"] too`, "a page by HTTPS alone: whoever asks without it would get nothing")
	case len(e) == 0:
		k.refusef(at, `write [encrypted] with name and https = ["192.0.2.1:443"]: the page and DNS over HTTPS share that listener`, "nothing listens for HTTPS")
	case !slices.ContainsFunc(e, func(a netip.AddrPort) bool { return a.Port() == 443 || a.Port() == 0 }):
		k.warnf(at, "write port 443 there, unless something else passes it on", "browsers ask for a page at port 443, and encrypted.https has no such address")
	}
}

// isContact says whether s is a URI that structured errors may hold: tel (RFC 3966) with a number that means the same
// everywhere, or mailto (RFC 6068) with one plain address.
func isContact(s string) bool {
	if number, ok := strings.CutPrefix(s, "tel:+"); ok {
		return len(s) <= maxContact && strings.Trim(number, "0123456789-.()") == "" && len(strings.Trim(number, "-.()")) >= 5
	}
	address, ok := strings.CutPrefix(s, "mailto:")
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+@"
	return ok && len(s) <= maxContact && strings.Trim(address, plain) == "" && isMailAddress(address)
}

// answer checks what a group gets for a blocked name.
func (k *checker) answer(path string, a Answer) {
	switch {
	case a.Kind != AnswerPage:
	case a.V4 == a.V6: // neither: the box's own
		if len(k.c.Page.HTTP) == 0 {
			k.refusef(path, `write [page] with http = ["192.0.2.1:80"], the box's own address, or the addresses of another page`, "the box serves no block page")
		}
	case !a.V4.Is4() || a.V6.IsValid() && !a.V6.Is6():
		k.refusef(path, `write such as "page 192.0.2.1 2001:db8::1"`, "a block page needs an IPv4 address")
	}
}
