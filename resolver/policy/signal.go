package policy

import (
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// signal is a name by which browsers and systems ask whether they may use another resolver than the network's.
type signal struct {
	word  string // in records, metrics and explanations
	on    func(*config.Signals) bool
	below bool // names below these too
	names []domain.Name
}

// signals are all that are known by name; those for encrypted server names are known by a label. Not here, since they must be answered as any other name: ipv4only.arpa, by which
// networks without IPv4 are recognised (RFC 8880), and *-dnsotls-ds.metric.gstatic.com, by which Android makes sure
// that an encrypted resolver, this one included, answers.
func signals() []signal {
	return []signal{
		// Firefox's default DNS over HTTPS (support.mozilla.org/kb/canary-domain-use-application-dnsnet).
		{query.FirefoxDoH, func(s *config.Signals) bool { return s.FirefoxDoH }, false, []domain.Name{"use-application-dns.net"}},
		// iCloud Private Relay (developer.apple.com/icloud/prepare-your-network-for-icloud-private-relay), with the name that
		// Apple's resolvers ask besides, its interface, and the resolver that it uses.
		{query.PrivateRelay, func(s *config.Signals) bool { return s.PrivateRelay }, false, []domain.Name{
			"mask.icloud.com", "mask-h2.icloud.com", "mask-canary.icloud.com", "mask-api.icloud.com", "doh.dns.apple.com",
		}},
		// Chrome's private prefetch proxy.
		{query.ChromePrefetch, func(s *config.Signals) bool { return s.ChromePrefetch }, false, []domain.Name{"dns-tunnel-check.googlezip.net"}},
		// Discovery of designated resolvers (RFC 9462): iOS, Android and Windows would take up the upstream's.
		{query.DesignatedResolvers, func(s *config.Signals) bool { return s.DesignatedResolvers }, true, []domain.Name{"resolver.arpa"}},
	}
}

// isESNI says whether the leftmost label asks for the keys of an encrypted server name, a draft that few still use.
func isESNI(name *domain.Wire) bool {
	return name.Labels() > 1 && string(name.Label(0)) == "_esni"
}
