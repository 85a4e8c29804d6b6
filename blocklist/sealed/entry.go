package sealed

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"schoolgate/blocklist/domain"
)

// kind is what an entry of a feed lists.
type kind uint8

const (
	whole   kind = iota // a site: the name and all below it
	page                // one page of a host, which DNS cannot see
	address             // a page or site at an IP address, or a page of a hidden service: for these nobody asks DNS
)

// Errors of an entry. They hold no part of it.
var (
	errEntry  = errors.New("neither a name nor the address of a page")
	errSuffix = errors.New("a name below which others have their sites")
)

// entry is one line of a feed, read.
type entry struct {
	kind kind
	host domain.Name
	rest string // page: port, path, query and fragment, as written
}

// readEntry reads a name, or an address of a page with or without its scheme. What has neither port nor path, query
// nor fragment lists the whole site.
func readEntry(s string) (entry, error) {
	s = strings.ReplaceAll(s, `\`, "/") // as browsers read it
	s = strings.TrimPrefix(s, "//")
	if i := strings.Index(s, "://"); i >= 0 && !strings.ContainsAny(s[:i], "/?#.") {
		s = s[i+3:]
	}
	authority, rest := s, ""
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		authority, rest = s[:i], s[i:]
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if isAddress(authority) {
		return entry{kind: address}, nil
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if hasPort && port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return entry{}, errEntry
		}
		if port != "80" && port != "443" {
			rest = ":" + port + rest
		}
	}
	host, err := url.PathUnescape(host)
	if err != nil {
		return entry{}, errEntry
	}
	host = strings.TrimRight(host, ".")
	if bare := strings.TrimPrefix(strings.TrimPrefix(host, "*"), "."); rest == "" || rest == "/" {
		host = bare
	}
	name, err := domain.Parse(host)
	switch {
	case err != nil || name == "":
		return entry{}, errEntry
	case isAddress(string(name)):
		return entry{kind: address}, nil
	case rest != "" && rest != "/" && name.Within("onion"): // which nothing asks DNS for (RFC 7686)
		return entry{kind: address}, nil
	case rest != "" && rest != "/":
		return entry{kind: page, host: name, rest: rest}, nil
	case !strings.Contains(string(name), ".") || name.IsPublicSuffix():
		return entry{}, errSuffix
	}
	return entry{kind: whole, host: name}, nil
}

// isAddress knows addresses as they stand in addresses of pages: with brackets and ports, or without.
func isAddress(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	return strings.HasPrefix(s, "[")
}
