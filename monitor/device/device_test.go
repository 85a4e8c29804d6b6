package device

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"schoolgate/config"
	"schoolgate/resolver/query"
)

var (
	tablet  = config.MAC{0x02, 0, 0, 0, 0, 0x07}
	laptop  = config.MAC{0x02, 0, 0, 0, 0, 0x08}
	visitor = config.MAC{0x02, 0, 0, 0, 0, 0x09}
)

func school() *config.Config {
	c := config.Default()
	c.Groups = []config.Group{
		{Name: "children"},
		{Name: "staff", Clients: []config.Client{{Prefix: netip.MustParsePrefix("192.0.2.128/25")}, {Prefix: netip.MustParsePrefix("2001:db8:1::/48")}, {MAC: laptop}}},
		{Name: "office", Clients: []config.Client{{Prefix: netip.MustParsePrefix("192.0.2.200/32")}}},
	}
	c.Policy.DefaultGroup = "children"
	c.Devices = []config.Device{
		{Name: "tablet-07", MAC: tablet, Group: "children"},
		{Name: "head-laptop", MAC: laptop},
		{Name: "printer", IP: netip.MustParseAddr("192.0.2.20"), Group: "office"},
	}
	c.DNS.Forwarders = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.129")}
	return c
}

// fixed is a table that a test fills.
func fixed(t *testing.T, rows map[netip.Addr]config.MAC) *Neighbours {
	t.Helper()
	n := &Neighbours{Read: func() (map[netip.Addr]config.MAC, error) { return rows, nil }}
	if err := n.Refresh(); err != nil {
		t.Fatal(err)
	}
	return n
}

func identify(r *Rules, addr string, mac config.MAC) query.Client {
	q := query.Query{Client: query.Client{Addr: netip.MustParseAddr(addr)}}
	q.Question.HasMAC, q.Question.MAC = mac != config.MAC{}, mac
	r.Identify(&q)
	return q.Client
}

func TestIdentify(t *testing.T) {
	r := New(school(), fixed(t, map[netip.Addr]config.MAC{
		netip.MustParseAddr("192.0.2.7"): tablet, netip.MustParseAddr("192.0.2.8"): laptop,
		netip.MustParseAddr("192.0.2.9"): visitor, netip.MustParseAddr("192.0.2.140"): tablet,
		netip.MustParseAddr("2001:db8:2::7"): tablet, netip.MustParseAddr("192.0.2.1"): {0x02, 1},
	}))
	for _, tt := range []struct {
		what, addr    string
		mac           config.MAC
		device, group string
	}{
		{"a device by its hardware address", "192.0.2.7", config.MAC{}, "tablet-07", "children"},
		{"over IPv6 too", "2001:db8:2::7", config.MAC{}, "tablet-07", "children"},
		{"its group outranks the prefix of the address", "192.0.2.140", config.MAC{}, "tablet-07", "children"},
		{"a device whose group comes from its hardware address", "192.0.2.8", config.MAC{}, "head-laptop", "staff"},
		{"a device by address", "192.0.2.20", config.MAC{}, "printer", "office"},
		{"an unknown device in a prefix", "192.0.2.150", config.MAC{}, "192.0.2.150", "staff"},
		{"the longest prefix", "192.0.2.200", config.MAC{}, "192.0.2.200", "office"},
		{"IPv6", "2001:db8:1::5", config.MAC{}, "2001:db8:1::5", "staff"},
		{"an IPv4 address in an IPv6 socket", "::ffff:192.0.2.150", config.MAC{}, "192.0.2.150", "staff"},
		{"an unknown device with a known hardware address", "192.0.2.9", config.MAC{}, "02:00:00:00:00:09", "children"},
		{"unknown altogether: the strictest", "198.51.100.1", config.MAC{}, "198.51.100.1", "children"},
		{"behind a trusted forwarder", "192.0.2.1", laptop, "head-laptop", "staff"},
		{"an unknown device behind it", "192.0.2.1", visitor, "02:00:00:00:00:09", "children"},
		{"a device of which the forwarder says nothing: not the forwarder's group", "192.0.2.129", config.MAC{}, "192.0.2.129", "children"},
		{"a client that claims another's hardware address", "192.0.2.9", laptop, "02:00:00:00:00:09", "children"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			for range 3 { // worked out, then remembered
				got := identify(r, tt.addr, tt.mac)
				if got.Device != tt.device || got.Name != tt.group {
					t.Fatalf("is %q in %q, want %q in %q", got.Device, got.Name, tt.device, tt.group)
				}
				if r.groups[got.Group] != got.Name {
					t.Errorf("index %d is not group %q", got.Group, got.Name)
				}
				if got.Addr != netip.MustParseAddr(tt.addr).Unmap() {
					t.Errorf("address became %v", got.Addr)
				}
			}
		})
	}
}

func TestAddressChangesHands(t *testing.T) {
	rows := map[netip.Addr]config.MAC{netip.MustParseAddr("192.0.2.7"): tablet}
	table := &Neighbours{Read: func() (map[netip.Addr]config.MAC, error) { return rows, nil }}
	if err := table.Refresh(); err != nil {
		t.Fatal(err)
	}
	r := New(school(), table)
	for range 3 {
		if c := identify(r, "192.0.2.7", config.MAC{}); c.Device != "tablet-07" {
			t.Fatalf("is %q", c.Device)
		}
	}
	rows = map[netip.Addr]config.MAC{netip.MustParseAddr("192.0.2.7"): laptop}
	if err := table.Refresh(); err != nil {
		t.Fatal(err)
	}
	if c := identify(r, "192.0.2.7", config.MAC{}); c.Device != "head-laptop" || c.Name != "staff" {
		t.Errorf("is %q in %q after the laptop took the address", c.Device, c.Name)
	}
}

func TestTableThatCannotBeRead(t *testing.T) {
	broken := errors.New("broken")
	rows := map[netip.Addr]config.MAC{netip.MustParseAddr("192.0.2.7"): tablet}
	var err error
	table := &Neighbours{Read: func() (map[netip.Addr]config.MAC, error) { return rows, err }, Log: slog.New(slog.DiscardHandler)}
	if err := table.Refresh(); err != nil {
		t.Fatal(err)
	}
	rows, err = nil, broken
	if got := table.Refresh(); !errors.Is(got, broken) {
		t.Errorf("error %v", got)
	}
	if table.MAC(netip.MustParseAddr("192.0.2.7")) != tablet {
		t.Error("what was known is lost")
	}
}

// TestStrangersAreBounded floods Identify with invented source addresses.
func TestStrangersAreBounded(t *testing.T) {
	r := New(school(), fixed(t, nil))
	for i := range 3 * maxKnown {
		addr := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		q := query.Query{Client: query.Client{Addr: addr}}
		r.Identify(&q)
		if q.Client.Device != addr.String() || q.Client.Name != "children" {
			t.Fatalf("%v is %+v", addr, q.Client)
		}
	}
	if seen := r.seen.Load(); len(seen.main)+len(seen.fresh) > maxKnown {
		t.Errorf("remembers %d clients, at most %d", len(seen.main)+len(seen.fresh), maxKnown)
	}
}

func TestIdentifyKnownDoesNotAllocate(t *testing.T) {
	r := New(school(), fixed(t, map[netip.Addr]config.MAC{netip.MustParseAddr("192.0.2.7"): tablet}))
	var q query.Query
	addr := netip.MustParseAddr("192.0.2.7")
	for range 4 {
		q.Client = query.Client{Addr: addr}
		r.Identify(&q)
	}
	if got := testing.AllocsPerRun(100, func() { q.Client = query.Client{Addr: addr}; r.Identify(&q) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestIdentifyConcurrently(t *testing.T) {
	table := fixed(t, nil)
	r := New(school(), table)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				addr := fmt.Sprintf("198.51.100.%d", (i+g*31)%256)
				if c := identify(r, addr, config.MAC{}); c.Device != addr {
					t.Errorf("%s is %q", addr, c.Device)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			table.Read = func() (map[netip.Addr]config.MAC, error) {
				return map[netip.Addr]config.MAC{netip.MustParseAddr("192.0.2.7"): {0x02, byte(i)}}, nil
			}
			_ = table.Refresh()
		}
	})
	wg.Wait()
}

func TestNamed(t *testing.T) {
	r := New(school(), fixed(t, nil))
	for name, group := range map[string]string{"tablet-07": "children", "head-laptop": "staff", "printer": "office", "02:00:00:00:00:08": "staff"} {
		c, ok := r.Named(name)
		if !ok || c.Name != group {
			t.Errorf("%s: found %v in %q, want %q", name, ok, c.Name, group)
		}
	}
	if c, ok := r.Named("nobody"); ok {
		t.Errorf("found %+v", c)
	}
	want := query.Client{Name: "children"}
	if diff := cmp.Diff(want, r.Default(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

// What a device calls itself counts for less than what the network shows, and for more than where in it the device is.
func TestIdent(t *testing.T) {
	cfg := school()
	cfg.Devices = append(cfg.Devices,
		config.Device{Name: "phone-01", ID: "phone-k3x9", Group: "staff"},
		config.Device{Name: "phone-02", ID: "phone-plain"},
	)
	r := New(cfg, fixed(t, map[netip.Addr]config.MAC{
		netip.MustParseAddr("192.0.2.7"): tablet, netip.MustParseAddr("192.0.2.8"): laptop, netip.MustParseAddr("192.0.2.9"): visitor,
	}))
	type who struct{ Device, Group string }
	for _, tt := range []struct {
		name, addr, ident string
		want              who
	}{
		{"nothing known", "198.51.100.1", "phone-k3x9", who{"phone-01", "staff"}},
		{"a MAC that nothing names", "192.0.2.9", "phone-k3x9", who{"phone-01", "staff"}},
		{"no group: that of the network", "192.0.2.130", "phone-plain", who{"phone-02", "staff"}},
		{"no group at all", "198.51.100.1", "phone-plain", who{"phone-02", "children"}},
		{"another device by its MAC", "192.0.2.7", "phone-k3x9", who{"tablet-07", "children"}},
		{"another device by its address", "192.0.2.20", "phone-k3x9", who{"printer", "office"}},
		{"a MAC that a group names, and a device", "192.0.2.8", "phone-k3x9", who{"head-laptop", "staff"}},
		{"nobody's id", "192.0.2.130", "phone", who{"192.0.2.130", "staff"}},
		{"behind a forwarder", "192.0.2.1", "phone-k3x9", who{"phone-01", "staff"}},
	} {
		for range 2 { // worked out, then remembered
			q := query.Query{Ident: tt.ident, Client: query.Client{Addr: netip.MustParseAddr(tt.addr)}}
			r.Identify(&q)
			if d := cmp.Diff(tt.want, who{q.Client.Device, q.Client.Name}); d != "" {
				t.Errorf("%s: %s", tt.name, d)
			}
		}
	}
	if c, ok := r.Named("phone-01"); !ok || c.Name != "staff" {
		t.Errorf("by its name: %v, %v", c, ok)
	}
	q := query.Query{Ident: "phone-k3x9", Client: query.Client{Addr: netip.MustParseAddr("198.51.100.1")}}
	if n := testing.AllocsPerRun(100, func() { r.Identify(&q); q.Client = query.Client{Addr: q.Client.Addr} }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
