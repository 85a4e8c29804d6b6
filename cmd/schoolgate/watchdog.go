package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/miekg/dns"

	"schoolgate/resolver/query"
)

// probe is a name that the box asks itself for. It lies in a zone that is answered here, and is neither counted nor
// recorded.
const (
	probe     = "probe.schoolgate.invalid."
	probeWire = "\x05probe\x0aschoolgate\x07invalid\x00"
)

func isProbe(q *query.Query) bool {
	return q.Question.Type == dns.TypeA && string(q.Question.Name.Bytes()) == probeWire
}

// beat tells systemd that the box answers, as often as the unit asks for: a process that lives but no longer answers is
// started again.
func (a *appliance) beat(ctx context.Context) error {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil || d <= 0 {
		return nil
	}
	tick := time.NewTicker(d / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if a.answers(ctx) {
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			} else {
				a.log.Error("the box does not answer itself")
			}
		}
	}
}

// answers asks the box for the probe.
func (a *appliance) answers(ctx context.Context) bool {
	_, err := a.askSelf(ctx, new(dns.Msg).SetQuestion(probe, dns.TypeA))
	return err == nil
}

// askSelf asks the box over UDP, twice at most.
func (a *appliance) askSelf(ctx context.Context, m *dns.Msg) (reply *dns.Msg, err error) {
	addr := a.server.Bound()[0]
	if addr.Addr().IsUnspecified() {
		loop := netip.IPv6Loopback()
		if addr.Addr().Is4() {
			loop = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		addr = netip.AddrPortFrom(loop, addr.Port())
	}
	c := dns.Client{Timeout: 2 * time.Second}
	for range 2 {
		if reply, _, err = c.ExchangeContext(ctx, m, addr.String()); err == nil {
			return reply, nil
		}
	}
	return nil, err
}
