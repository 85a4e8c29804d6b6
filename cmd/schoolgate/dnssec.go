package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/metrics"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/dnssec"
	"schoolgate/resolver/wire"
)

// validator makes the validation of what up answers, nil for none. Anchors that cannot be read leave those built in.
func (a *appliance) validator(cfg *config.Config, up dnssec.Exchange) *dnssec.Validator {
	if cfg.DNSSEC.Mode == config.ValidationOff {
		return nil
	}
	o := dnssec.Options{Upstream: up, Enforce: cfg.DNSSEC.Mode == config.ValidationEnforce, Now: a.clock.Now, Proven: a.clock.Proven}
	if file := cfg.DNSSEC.Anchors; file != "" {
		var err error
		if o.Anchors, err = dnssec.ReadAnchors(file); err != nil {
			a.log.Error("trust anchors unusable, those built in are trusted", "error", err)
		}
	}
	for _, u := range cfg.DNSSEC.NegativeTrustAnchors {
		o.Exempt = append(o.Exempt, dnssec.Exemption{Zone: u.Zone, Until: u.End(cfg.Location())})
	}
	for _, f := range cfg.Forward {
		for _, z := range f.Zones {
			o.Private = append(o.Private, z.Names()...)
		}
	}
	return dnssec.New(o)
}

// Exchange asks upstream, and validates the answer if that is wanted.
func (k *asker) Exchange(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
	if k.validator != nil {
		return k.validator.Exchange(ctx, q)
	}
	return k.Router.Exchange(ctx, q)
}

// A share of bogus answers from which on it is not the zones that are broken, and how many it takes to know.
const (
	muchBogus = 0.2
	fewBogus  = 20
)

// dnssecConditions says what is wrong with the validation of answers.
func (a *appliance) dnssecConditions(now time.Time) (out []monitor.Condition) {
	say := func(code string, severity monitor.Severity, title, hint string) {
		out = append(out, monitor.Condition{Code: code, Severity: severity, Title: title, Hint: hint})
	}
	cfg := a.cfg.Load()
	var over []string
	for _, u := range cfg.DNSSEC.NegativeTrustAnchors {
		if end := u.End(cfg.Location()); !end.IsZero() && !now.Before(end) {
			over = append(over, u.Zone.String())
		}
	}
	if len(over) > 0 {
		say("dnssec.over", monitor.Notice, "Zones are validated again, since their time in dnssec.negative_trust_anchors is over: "+strings.Join(over, ", "),
			"schoolgate dnssec NAME shows whether they are in order now; then take them out")
	}
	k := a.asking.Load()
	if k == nil || k.validator == nil {
		return out
	}
	s := k.validator.State()
	switch {
	case s.NewKeys:
		say("dnssec.anchors", monitor.Warning, "The root of the DNS has keys that this box does not know: DNSSEC is not enforced",
			"Update Schoolgate, or name a file with the root's new keys in dnssec.anchors; if nothing was announced, somebody may be forging answers")
	case !s.Passes:
		say("dnssec.stripped", monitor.Warning, "DNSSEC does not come through from upstream, so it is not enforced: "+s.Why,
			"Choose upstreams that pass on signatures, over TLS; a router or firewall in between may take them out")
	}
	if all, bad := s.Judged(), s.Recent[dnssec.Bogus]; bad >= fewBogus && float64(bad) > muchBogus*float64(all) {
		say("dnssec.bogus", monitor.Warning, fmt.Sprintf("%d of %d answers of the last minutes failed DNSSEC validation", bad, all),
			"Look at the clock first (timedatectl), then at upstream.servers; schoolgate dnssec NAME shows why a name fails")
	}
	if a.late.recent(s.Late, now) {
		say("dnssec.clock", monitor.Notice, "Signatures are not of this time, which is not known to be right: such answers are not refused",
			"timedatectl shows whether the time is kept")
	}
	return out
}

// meterDNSSEC tells how validation goes.
func (a *appliance) meterDNSSEC() metrics.DNSSEC {
	m := metrics.DNSSEC{Verdicts: map[string]uint64{}}
	if k := a.asking.Load(); k != nil && k.validator != nil {
		s := k.validator.State()
		for i, n := range s.Verdicts {
			m.Verdicts[dnssec.Status(i).String()] = n
		}
		m.Enforced, m.Requests, m.Signatures = s.Enforced, s.Requests, s.Verifies
	}
	return m
}

// chain is what dnssec --json prints.
type chain struct {
	Name     string      `json:"name"`
	Type     string      `json:"type"`
	Verdict  string      `json:"verdict"`
	Why      string      `json:"why,omitempty"`
	EDE      uint16      `json:"extended_error,omitempty"` // RFC 8914
	Upstream string      `json:"upstream"`                 // response code
	Mode     string      `json:"mode"`
	Enforced bool        `json:"enforced"` // what fails is refused: the mode says so, and signatures come through
	Steps    []chainStep `json:"steps"`

	stripped string // why DNSSEC does not come through from upstream; "": it does
}

type chainStep struct {
	Name    string `json:"name"`
	Finding string `json:"finding"`
}

// runDNSSEC is the command dnssec.
func runDNSSEC(ctx context.Context, c *call) error {
	f := flags("dnssec")
	where := configFlag(f)
	typ := f.String("type", "A", "")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("schoolgate dnssec bbc.co.uk", "dnssec takes one name")
	}
	name, _, err := nameOf(rest[0])
	if err != nil {
		return err
	}
	q := wire.Question{Type: dns.StringToType[strings.ToUpper(*typ)], Class: wire.ClassIN, RD: true}
	if q.Type == 0 || q.Type == wire.TypeANY || q.Type == wire.TypeRRSIG {
		return usage("write such as A, AAAA, HTTPS or MX", "no type %q that can be validated", *typ)
	}
	if err := q.Name.SetName(name); err != nil {
		return err
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	x := chain{Name: name.String(), Type: strings.ToUpper(*typ), Mode: cfg.DNSSEC.Mode.String()}
	if cfg.DNSSEC.Mode == config.ValidationOff {
		cfg.DNSSEC.Mode = config.ValidationReport // what would be
	}
	a := &appliance{log: slog.New(slog.DiscardHandler), clock: &clock.Clock{Built: buildTime()}}
	ask := a.ask(cfg)
	defer ask.stop()
	reply, verdict, steps, err := ask.validator.Explain(ctx, &q)
	if err != nil {
		return failed("check the connection and upstream.servers", "validating %s: %v", name, err)
	}
	x.Verdict, x.Why, x.EDE, x.Upstream = verdict.Status.String(), verdict.Why, verdict.Code, dns.RcodeToString[int(reply.RCode)]
	for _, s := range steps {
		x.Steps = append(x.Steps, chainStep(s))
	}
	_, _ = ask.validator.Exchange(ctx, &q) // which looks whether signatures come through, as for devices
	state := ask.validator.State()
	x.Enforced, x.stripped = state.Enforced, state.Why
	if *asJSON {
		return json.NewEncoder(c.stdout).Encode(x)
	}
	return x.print(c.stdout)
}

func (x *chain) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s is %s\n", x.Name, x.Type, strings.ToUpper(x.Verdict))
	for _, s := range x.Steps {
		fmt.Fprintf(&b, "  %-24s %s\n", s.Name, s.Finding)
	}
	refused := x.Verdict == dnssec.Bogus.String() || x.Verdict == dnssec.Indeterminate.String()
	if x.Verdict == dnssec.Unjudged.String() {
		fmt.Fprintf(&b, "The upstream says %s: there is nothing to validate.\n", x.Upstream)
	} else if x.Why != "" {
		fmt.Fprintf(&b, "Why: %s.\n", x.Why)
	}
	switch {
	case refused && x.Enforced:
		fmt.Fprintf(&b, "Devices get SERVFAIL. Where its owner is known to have broken it: dnssec.negative_trust_anchors = [\"%s until DATE\"]\n", x.Name)
	case refused && x.Mode == config.ValidationEnforce.String():
		fmt.Fprintf(&b, "Devices get the answer all the same, since DNSSEC does not come through from upstream: %s.\n", x.stripped)
	case refused:
		fmt.Fprintf(&b, "Devices get the answer all the same: dnssec.mode is %s.\n", x.Mode)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
