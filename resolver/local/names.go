// Package local holds the names of the network itself: of the box, of devices, of the configuration's records, and the zones
// that mean nothing outside. They are answered here and asked of nobody.
package local

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// ttl is how long clients may keep what is made here and what is not there, in seconds: a name that somebody has just
// written down should be found soon.
const ttl = 60

// Names is one immutable reading of the configuration. Its methods may be called concurrently, and do not allocate unless
// they say so.
type Names struct {
	owners map[string]*owner // by name in wire form
	zones  map[string]bool   // answered here as a whole
	soa    []byte            // of every denial, from the type on
	ns     []byte            // of every zone
	ptr    []byte            // of every address of the box
	box    []byte            // its name in wire form
	list   []domain.Name     // every name of owners
}

// owner is what is known of a name. One without sets exists because others lie below it.
type owner struct{ sets []*set }

// set is the records of a name for some groups.
type set struct {
	groups  uint64 // bits of those for whom it holds, 0 for everyone
	below   bool   // of names below too
	open    bool   // types that are not here are asked of an upstream
	box     bool   // its addresses are those by which the box is reached
	alias   []byte // in wire form; nil for none
	outside domain.Name
	records []record
}

// record is one resource record from its type on.
type record struct {
	typ  uint16
	data []byte
}

// Compile reads cfg, which must have been validated.
func Compile(cfg *config.Config) (*Names, error) {
	n := &Names{owners: map[string]*owner{}, zones: map[string]bool{}}
	var err error
	if n.box, err = cfg.Local.Name.AppendWire(nil); err != nil || cfg.Local.Name == "" {
		n.box = []byte("\x0aschoolgate\x04home\x04arpa\x00")
	}
	n.soa = soaRecord(n.box)
	n.ns, n.ptr = newRecord(wire.TypeNS, ttl, n.box).data, newRecord(wire.TypePTR, ttl, n.box).data
	zones := special()
	if cfg.Local.Domain != "" {
		zones = append(zones, cfg.Local.Domain)
	}
	for _, z := range zones {
		w, err := z.AppendWire(nil)
		if err != nil {
			return nil, fmt.Errorf("local zone %q: %w", z, err)
		}
		n.zones[string(w)] = true
	}
	if err := n.configured(cfg); err != nil {
		return nil, err
	}
	if err := n.builtin(); err != nil {
		return nil, err
	}
	n.short(cfg.Local.Domain)
	n.between()
	return n, nil
}

// configured takes in the records, the box and the devices; what comes first has a name.
func (n *Names) configured(cfg *config.Config) error {
	for i := range cfg.Local.Records {
		if err := n.record(cfg, &cfg.Local.Records[i]); err != nil {
			return fmt.Errorf("local record %q: %w", cfg.Local.Records[i].Name, err)
		}
	}
	if cfg.Local.Name != "" && !n.has(cfg.Local.Name) {
		if err := n.add(cfg.Local.Name, &set{box: true}); err != nil {
			return fmt.Errorf("local name %q: %w", cfg.Local.Name, err)
		}
	}
	for i := range cfg.Local.Records {
		r := &cfg.Local.Records[i]
		if r.Below || len(r.Groups) > 0 {
			continue // which name an address has would be a matter of who asks
		}
		for _, a := range r.Addresses {
			if err := n.pointer(a, r.Name); err != nil {
				return err
			}
		}
	}
	if !cfg.Local.Devices {
		return nil
	}
	for i := range cfg.Devices {
		d := &cfg.Devices[i]
		name, ok := cfg.Local.HostName(d)
		if !d.IP.IsValid() || !ok || n.has(name) {
			continue
		}
		a := d.IP.Unmap().WithZone("")
		if err := n.add(name, &set{records: []record{addressRecord(a, ttl)}}); err != nil {
			return err
		}
		if err := n.pointer(a, name); err != nil {
			return err
		}
	}
	return nil
}

// builtin takes in what is always so: localhost (RFC 6761), and the addresses by which networks without IPv4 are told
// (RFC 8880), whose other types an upstream may know.
func (n *Names) builtin() error {
	four, six := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	v4only := []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 0, 170}), netip.AddrFrom4([4]byte{192, 0, 0, 171})}
	for _, one := range []struct {
		name      domain.Name
		addresses []netip.Addr
		below     bool
		open      bool
	}{{"localhost", []netip.Addr{four, six}, true, false}, {"ipv4only.arpa", v4only, false, true}} {
		s := &set{below: one.below, open: one.open}
		for _, a := range one.addresses {
			s.records = append(s.records, addressRecord(a, ttl))
			if err := n.pointer(a, one.name); err != nil {
				return err
			}
		}
		if err := n.add(one.name, s); err != nil {
			return err
		}
	}
	return nil
}

// record takes in one record of the configuration.
func (n *Names) record(cfg *config.Config, r *config.Record) error {
	s := &set{below: r.Below, open: r.Fallthrough}
	for i, g := range cfg.Groups {
		if slices.Contains(r.Groups, g.Name) {
			s.groups |= 1 << i
		}
	}
	seconds := uint32(r.TTL.Std().Seconds())
	put := func(typ uint16, parts ...[]byte) {
		s.records = append(s.records, newRecord(typ, seconds, parts...))
	}
	name := func(host domain.Name) []byte {
		b, _ := host.AppendWire(nil) // a name of the configuration
		return b
	}
	numbers := func(all ...uint16) (b []byte) {
		for _, v := range all {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		return b
	}
	for _, a := range r.Addresses {
		s.records = append(s.records, addressRecord(a, seconds))
	}
	for _, t := range r.TXT {
		put(wire.TypeTXT, []byte{byte(len(t))}, []byte(t))
	}
	for _, m := range r.MX {
		put(typeMX, numbers(m.Preference), name(m.Host))
	}
	for _, v := range r.SRV {
		put(typeSRV, numbers(v.Priority, v.Weight, v.Port), name(v.Host))
	}
	if r.PTR != "" {
		put(wire.TypePTR, name(r.PTR))
	}
	if r.CNAME != "" {
		put(wire.TypeCNAME, name(r.CNAME))
		s.alias, s.outside = name(r.CNAME), r.CNAME
	}
	return n.add(r.Name, s)
}

// pointer names an address, unless it has a name.
func (n *Names) pointer(a netip.Addr, name domain.Name) error {
	reverse := Reverse(a)
	if n.has(reverse) {
		return nil
	}
	w, err := name.AppendWire(nil)
	if err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	return n.add(reverse, &set{records: []record{newRecord(wire.TypePTR, ttl, w)}})
}

func (n *Names) has(name domain.Name) bool {
	w, err := name.AppendWire(nil)
	return err == nil && n.owners[string(w)] != nil
}

func (n *Names) add(name domain.Name, s *set) error {
	w, err := name.AppendWire(nil)
	if err != nil {
		return err
	}
	o := n.owners[string(w)]
	if o == nil {
		o = &owner{}
		n.owners[string(w)] = o
		n.list = append(n.list, name)
	}
	o.sets = append(o.sets, s)
	slices.SortStableFunc(o.sets, func(a, b *set) int { // what is for some groups comes before what is for everyone
		if (a.groups == 0) == (b.groups == 0) {
			return 0
		} else if b.groups == 0 {
			return -1
		}
		return 1
	})
	return nil
}

// short lets names directly below the local domain be asked for by their first label alone.
func (n *Names) short(local domain.Name) {
	for _, name := range slices.Clone(n.list) {
		parent, ok := name.Parent()
		if !ok || parent != local || local == "" {
			continue
		}
		label := name[:len(name)-len(local)-1]
		w, err := label.AppendWire(nil)
		if err != nil || n.owners[string(w)] != nil || n.zones[string(w)] {
			continue
		}
		full, _ := name.AppendWire(nil)
		n.owners[string(w)] = n.owners[string(full)]
		n.list = append(n.list, label)
	}
}

// between makes every name between a zone and its records exist, so that nothing denies what lies below it (RFC 8020).
func (n *Names) between() {
	for _, name := range n.list {
		w, err := name.AppendWire(nil)
		if err != nil {
			continue
		}
		for up := w; len(up) > 1 && !n.zones[string(up)]; up = up[1+int(up[0]):] {
			if n.inZone(up) && n.owners[string(up)] == nil {
				n.owners[string(up)] = &owner{}
			}
		}
	}
}

// inZone says whether a name in wire form is in one of the zones.
func (n *Names) inZone(w []byte) bool {
	for ; len(w) > 1; w = w[1+int(w[0]):] {
		if n.zones[string(w)] {
			return true
		}
	}
	return false
}

// Rule is a name that Find may know, and whether it speaks for all below it too.
type Rule struct {
	Name  domain.Name
	Below bool
}

// Rules are all names that Find may know something of; no other needs to be asked for.
func (n *Names) Rules() (rules []Rule) {
	for w := range n.zones {
		rules = append(rules, Rule{domain.Name(domain.AppendText(nil, []byte(w))), true})
	}
	for w, o := range n.owners {
		below := slices.ContainsFunc(o.sets, func(s *set) bool { return s.below })
		rules = append(rules, Rule{domain.Name(domain.AppendText(nil, []byte(w))), below})
	}
	return rules
}

// newRecord joins the parts of a record's data.
func newRecord(typ uint16, seconds uint32, parts ...[]byte) record {
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = binary.BigEndian.AppendUint16(b, wire.ClassIN)
	b = binary.BigEndian.AppendUint32(b, seconds)
	b = append(b, 0, 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint16(b[8:], uint16(len(b)-10))
	return record{typ, b}
}

func addressRecord(a netip.Addr, seconds uint32) record {
	if a.Is4() {
		return newRecord(wire.TypeA, seconds, a.AsSlice())
	}
	return newRecord(wire.TypeAAAA, seconds, a.AsSlice())
}

// soaRecord is the record of a denial (RFC 2308), with the box as the server, as RFC 6303 section 3 has it.
func soaRecord(box []byte) []byte {
	times := []byte{0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 4, 176, 0, 9, 58, 128} // serial, and hours that nobody heeds
	return newRecord(wire.TypeSOA, ttl, box, []byte("\x06nobody\x07invalid\x00"), times, []byte{0, 0, 0, ttl}).data
}

// Types that only records of the configuration have.
const (
	typeMX  uint16 = 15
	typeSRV uint16 = 33
	typeDS  uint16 = 43

	typeRRSIG  uint16 = 46
	typeNSEC   uint16 = 47
	typeDNSKEY uint16 = 48
)
