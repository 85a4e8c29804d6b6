package main

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"

	"schoolgate/config"
	"schoolgate/resolver/clock"
)

// TestOwnLookups: the box finds mail and list servers through its upstreams, whatever the system's resolver is.
func TestOwnLookups(t *testing.T) {
	internet, err := startInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer internet.stop()
	a := &appliance{log: slog.New(slog.DiscardHandler), clock: new(clock.Clock)}
	cfg := config.Default()
	cfg.Upstream.Servers = []config.Server{{Kind: config.ServerUDP, Addr: internet.addr}}
	a.asking.Store(a.ask(cfg))
	defer func() { a.asking.Load().stop() }()
	addrs, err := a.lookups().LookupNetIP(t.Context(), "ip4", "mail.little-oak.example.")
	if err != nil {
		t.Fatal(err)
	}
	if len(addrs) != 1 || !slices.Equal(addrs[0].AsSlice()[:3], []byte{198, 51, 100}) {
		t.Errorf("addresses %v", addrs)
	}
	internet.stop()
	if addrs, err := a.lookups().LookupNetIP(t.Context(), "ip4", "other.little-oak.example."); err == nil {
		t.Errorf("without an upstream: %v", addrs)
	} else if _, ok := errors.AsType[*net.DNSError](err); !ok {
		t.Errorf("error %v", err)
	}
}
