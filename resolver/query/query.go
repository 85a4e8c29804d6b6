// Package query is the life of one question as a value: facts are gathered in it on the way down, and at the end it is
// the line that goes into the record.
package query

import (
	"net/netip"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// Query is one question on its way through the resolver. A lane owns one Query and uses it again for each packet of the
// fast loop; what outlives the call to Done must be copied.
type Query struct {
	Start    time.Time
	Lane     int // which packet loop carries it: lanes 1…n each have a single producer; 0 is shared by all others
	Proto    Proto
	Ident    string     // what the client calls itself over an encrypted transport, in lower case; "" for nothing. No proof
	Asked    netip.Addr // the box's address that was asked; not known in a packet loop, where the zero value stands
	Proven   bool       // the client has the address that it asks from: its cookie or its transport shows it
	Client   Client
	Question wire.Question

	Verdict  Verdict
	Source   Source
	RCode    uint16 // as sent, extended bits included
	Duration time.Duration
}

// Client is who asks, as Identify found it. The strings are shared with the snapshot that they come from.
type Client struct {
	Addr   netip.Addr // unmapped
	MAC    [6]byte    // zero when not known
	Device string     // the configured name, else the MAC, else the address, as text
	Group  uint8      // index into the policy of the same snapshot
	Name   string     // the group's name
}

// Verdict is what the policy says of a name for a client at a time. Strings are shared with the policy.
type Verdict struct {
	Action   Action
	Rule     Rule
	Category string      // of the list that decided; "" when no list did
	List     string      // the list that decided, the server of BlockedUpstream, the signal of Bypass, the engine of SafeSearch, the name of Lookalike; "" for none
	Target   domain.Name // Rewrite: the name whose addresses are given instead; LocalName: where its record leads outside, or ""
	Pages    string      // a list of the illegal tier that lists pages of this host, which are passed; "" for none. Counted, never kept
	Cloaked  bool        // a CNAME, HTTPS or SVCB target in the answer was judged, not the question itself
	Wrapped  bool        // a name was judged that the name asked for, or the target, carries (example-com.translate.goog)
}

// Kind is the word for a block: the category of the list that decided, or what was found in an upstream's reply; "" when
// neither decided. It is what blocks are counted and alerted on by.
func (v *Verdict) Kind() string {
	if v.Category == "" && v.Rule.Found() {
		return v.Rule.String()
	}
	return v.Category
}

// Via is what of the question the verdict is about.
func (v *Verdict) Via() Via {
	var via Via
	if v.Cloaked {
		via |= ViaTarget
	}
	if v.Wrapped {
		via |= ViaCarried
	}
	return via
}

// Blocked says whether the client was refused the name.
func (v *Verdict) Blocked() bool { return v.Action == Block }

// Action is what becomes of a query.
type Action uint8

// The actions.
const (
	Allow Action = iota
	Block
	Rewrite // answered with another name's addresses: safe search
)

func (a Action) String() string { return name(a, actionNames[:]) }

var actionNames = [...]string{"allowed", "blocked", "rewritten"}

// Rule is the line of the precedence (see policy.Decide) that decided.
type Rule uint8

// The rules, in order of precedence but for the last ones, since numbers are kept in records: IllegalURL stands beside
// Illegal. Default is where a name ends that none of them matched.
const (
	Default Rule = iota
	Illegal
	Stopped
	OwnBlock
	OwnAllow
	Approved // an allow-only group's approved list, for and against
	SchoolsPack
	Category
	Bypass
	SafeSearch
	IllegalURL // a host of which the illegal tier lists pages, refused as a whole: an over-block that the DSL approved

	// Found in an upstream's reply, whoever asks.
	BlockedUpstream // the upstream server refused it by a filter of its own; Verdict.List is that server's name
	Rebinding       // a public name with an address of the local network

	Lookalike // it looks like a well-known name of a category that the group is refused; Verdict.List is that name
	LocalName // a name of this network, which no rule but Illegal refuses
)

// Withheld says whether the name of a question that this rule decided must be kept nowhere.
func (r Rule) Withheld() bool { return r == Illegal || r == IllegalURL }

// Found says whether an upstream's reply decided (see wire.Finding), not what the name is.
func (r Rule) Found() bool { return r == BlockedUpstream || r == Rebinding }

func (r Rule) String() string { return name(r, ruleNames[:]) }

var ruleNames = [...]string{"default", "illegal", "stopped", "own-block", "own-allow", "approved", "schools-pack", "category", "bypass", "safe-search", "illegal-url", "blocked-upstream", "rebinding", "lookalike", "local"}

// Signals are the words in Verdict.List for names by which devices ask whether they may go around the filter (Bypass).
func Signals() []string {
	return []string{FirefoxDoH, PrivateRelay, ChromePrefetch, DesignatedResolvers, ESNI}
}

// The signals; see config.Signals.
const (
	FirefoxDoH          = "firefox-doh"
	PrivateRelay        = "private-relay"
	ChromePrefetch      = "chrome-prefetch"
	DesignatedResolvers = "designated-resolvers"
	ESNI                = "esni"
)

// Via is what of a question was judged, where it was not the name asked for.
type Via uint8

// The ways; both of them together are a name that a target carries.
const (
	ViaTarget  Via = 1 << iota // what the answer leads to: see Verdict.Cloaked
	ViaCarried                 // a name within the name: see Verdict.Wrapped
)

func (v Via) String() string { return name(v, viaNames[:]) }

var viaNames = [...]string{"", "target", "carried", "target-carried"}

// Source is where the answer came from.
type Source uint8

// The sources.
const (
	None     Source = iota // no answer could be had, or the request was malformed
	Policy                 // made here: a block, a rewrite's refusal, a canary
	Cache                  // fresh in the cache
	Stale                  // past its time, served because no upstream answered (RFC 8767)
	Upstream               // asked for now
	Local                  // made here, of the names of this network
)

func (s Source) String() string { return name(s, sourceNames[:]) }

var sourceNames = [...]string{"none", "policy", "cache", "stale", "upstream", "local"}

// Proto is how the question came.
type Proto uint8

// The transports.
const (
	UDP Proto = iota
	TCP
	TLS   // RFC 7858
	HTTPS // RFC 8484
	QUIC  // RFC 9250
)

func (p Proto) String() string { return name(p, protoNames[:]) }

var protoNames = [...]string{"udp", "tcp", "tls", "https", "quic"}

func name[T ~uint8](v T, names []string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// ParseAction, ParseRule and ParseSource are the inverse of String; ok is false for a word that names none.
func ParseAction(s string) (Action, bool) { return parse[Action](s, actionNames[:]) }

// ParseRule: see ParseAction.
func ParseRule(s string) (Rule, bool) { return parse[Rule](s, ruleNames[:]) }

// ParseSource: see ParseAction.
func ParseSource(s string) (Source, bool) { return parse[Source](s, sourceNames[:]) }

// ParseVia: see ParseAction.
func ParseVia(s string) (Via, bool) { return parse[Via](s, viaNames[:]) }

func parse[T ~uint8](s string, names []string) (T, bool) {
	for i, n := range names {
		if n == s {
			return T(i), true
		}
	}
	return 0, false
}
