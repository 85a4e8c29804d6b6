package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/resolver/listen"
)

// guard puts in force who is answered and how much of it.
func (a *appliance) guard(cfg *config.Config) {
	var allow []netip.Prefix
	own := false
	for _, n := range cfg.DNS.Allow {
		switch n.Word {
		case config.NetworkPrivate:
			allow = append(allow, listen.Private()...)
		case config.NetworkOwn:
			own = true
		case config.NetworkPrefix:
			allow = append(allow, n.Prefix)
		}
	}
	a.access.Set(allow, own, cfg.DNS.Forwarders)
	l := cfg.DNS.Limits
	a.server.SetRates(listen.Rates{Client: l.Client, Network: l.Network, Answers: l.Answers, Spare: int(l.Spare)})
	a.server.SetSessions(l.Sessions, l.ClientSessions)
}

// burdens remembers what was over a limit of late, so that a condition outlasts the moment.
type burdens struct {
	mu     sync.Mutex // guards the rest
	counts map[string]uint64
	at     map[string]time.Time
}

// burdenLasts is how long a limit that held somebody back stays a condition of health.
const burdenLasts = time.Hour

// recent says whether a count grew within the last hour.
func (b *burdens) recent(what string, count uint64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts, b.at = make(map[string]uint64), make(map[string]time.Time)
	}
	if count != b.counts[what] {
		b.counts[what], b.at[what] = count, now
	}
	at, ok := b.at[what]
	return ok && now.Sub(at) < burdenLasts
}

// exposedFrom is from how many networks outside questions come, within an hour, when the Internet reaches the box.
const exposedFrom = 5

// guardConditions says who asks that is not answered, and which limits hold clients back.
func (a *appliance) guardConditions(now time.Time) (out []monitor.Condition) {
	if a.server == nil {
		return nil
	}
	s := a.server.Stats()
	if n := s.Outside.Networks; len(n) >= exposedFrom {
		out = append(out, monitor.Condition{
			Code: "dns.exposed", Severity: monitor.Warning,
			Title: fmt.Sprintf("The Internet seems to reach this box: within an hour %s networks that dns.allow does not name asked questions, and were refused", atLeast(len(n))),
			Hint:  "End the forwarding of port 53 (853, 443) on the router, and keep it shut by its firewall: docs/abuse.md",
		})
	} else if len(n) > 0 {
		out = append(out, monitor.Condition{
			Code: "dns.outsiders", Severity: monitor.Notice, Title: "Questions from networks that dns.allow does not name are refused: " + prefixes(n),
			Hint: "If it is the school's, a VLAN or a VPN perhaps, add it to dns.allow and reload; else keep it out by the router's firewall: docs/abuse.md",
		})
	}
	var bites []string
	lost := false
	for _, l := range []struct {
		key   string
		count uint64
		lost  bool
	}{
		{"dns.limits.client", s.Limited.Client + s.Limited.Stream, s.Limited.Lost+s.Limited.Stream > 0},
		{"dns.limits.network", s.Limited.Network, false},
		{"dns.limits.answers", s.Limited.Answers, false},
		{"dns.limits.spare", s.Limited.Spare, false},
		{"dns.limits.sessions", s.TCPEnded, false},
		{"dns.limits.client_sessions", s.TCPRefused, true},
		{"questions waiting for an upstream", s.Overloaded, true},
	} {
		if a.burdens.recent(l.key, l.count, now) {
			bites, lost = append(bites, l.key), lost || l.lost
		}
	}
	if len(bites) > 0 {
		c := monitor.Condition{
			Code: "dns.limited", Severity: monitor.Notice, Title: "Clients ask more than they may, within the last hour: " + strings.Join(bites, ", "),
			Hint: "schoolgate log shows which device asks most: a router that asks for others belongs into dns.forwarders, a device gone wrong off the network: docs/abuse.md",
		}
		if lost {
			c.Severity = monitor.Warning
		}
		out = append(out, c)
	}
	return out
}

func atLeast(n int) string {
	if n >= listen.MaxStrangers {
		return fmt.Sprintf("%d or more", n)
	}
	return fmt.Sprint(n)
}

// prefixes is networks in words. A network is no device.
func prefixes(list []netip.Prefix) string {
	slices.SortFunc(list, netip.Prefix.Compare)
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}
