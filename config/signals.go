package config

import (
	"slices"
	"strings"
)

// Signals are the names by which browsers and systems ask the network whether they may use another resolver than its own.
// Each that is true is answered so that they stay.
type Signals struct {
	FirefoxDoH          bool `toml:"firefox_doh"`          // Firefox's default DNS over HTTPS
	PrivateRelay        bool `toml:"private_relay"`        // Apple's iCloud Private Relay
	ChromePrefetch      bool `toml:"chrome_prefetch"`      // Chrome's private prefetch proxy
	DesignatedResolvers bool `toml:"designated_resolvers"` // discovery of the upstream's encrypted resolvers (RFC 9462)
	ESNI                bool `toml:"esni"`                 // keys for encrypted server names, as an old draft asks for them
}

// Engines are the search engines that have a safe form which DNS can enforce.
func Engines() []string { return slices.Clone(engines[:]) }

var engines = [...]string{"google", "bing", "duckduckgo", "ecosia", "pixabay", "yandex", "brave"}

func (k *checker) signals() {
	s := k.c.Signals
	for _, one := range []struct {
		key string
		on  bool
	}{
		{"firefox_doh", s.FirefoxDoH},
		{"private_relay", s.PrivateRelay},
		{"chrome_prefetch", s.ChromePrefetch},
		{"designated_resolvers", s.DesignatedResolvers},
		{"esni", s.ESNI},
	} {
		if !one.on {
			k.warnf(child("signals", one.key), "leave it out; a group's allow = […] can open the names for that group alone",
				"devices that ask are not told to stay with this resolver, for any group")
		}
	}
}

// safeSearch checks what a group says of search engines.
func (k *checker) safeSearch(path string, g Group) {
	except := child(path, "safe_search_except")
	for i, e := range g.SafeSearchExcept {
		if !slices.Contains(engines[:], e) {
			k.refusef(element(except, i), suggest(e, engines[:], "those with a safe form are "+strings.Join(engines[:], ", ")), "%q is no search engine that is steered", e)
		}
	}
	distinct(except, g.SafeSearchExcept, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", g.SafeSearchExcept[first])
	})
	if len(g.SafeSearchExcept) > 0 && !g.SafeSearch {
		k.warnf(except, "write safe_search = true, or leave this out", "group %q has no safe search, so its exceptions change nothing", g.Name)
	}
}

// opens says whether new lets devices go that s keeps.
func (s Signals) opens(new Signals) bool {
	return s.FirefoxDoH && !new.FirefoxDoH || s.PrivateRelay && !new.PrivateRelay || s.ChromePrefetch && !new.ChromePrefetch ||
		s.DesignatedResolvers && !new.DesignatedResolvers || s.ESNI && !new.ESNI
}
