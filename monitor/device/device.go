// Package device says which device holds an address now and which group it is in.
package device

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"schoolgate/config"
	"schoolgate/resolver/query"
)

// Rules is one reading of the configuration: who is in which group. It is safe for concurrent use; Identify takes no
// lock and does not allocate for a device that it has seen before.
type Rules struct {
	groups     []string // by index, shared with every Client
	fallback   uint8    // of a client that nothing names
	byMAC      map[config.MAC]owner
	byIP       map[netip.Addr]owner
	byID       map[string]owner
	prefixes   bart.Table[uint8]
	forwarders map[netip.Addr]bool
	table      *Neighbours

	seen atomic.Pointer[known]
	mu   sync.Mutex // guards growing seen
}

// owner is what the configuration says of one device. Device is "" for a MAC or address that only a group names, group
// is noGroup for a device that names none.
type owner struct {
	device string
	group  uint8
}

const noGroup = 0xff

// known holds clients worked out before, for one version of the neighbour table. fresh is what has come since main was
// published; it is guarded by Rules.mu.
type known struct {
	version uint64
	main    map[key]query.Client
	fresh   map[key]query.Client
}

type key struct {
	addr      netip.Addr
	mac       config.MAC // as a trusted forwarder gave it; zero when it gave none, or none that counts
	forwarded bool       // addr is the forwarder's, and says nothing of the device
	ident     string     // of a configured device, as the client calls itself; "" for none
}

// maxKnown bounds what strangers can enlarge by inventing source addresses: beyond it a client is worked out anew for
// each query, which costs an allocation and nothing else.
const maxKnown = 8192

// New reads the groups and devices of a validated configuration. table may be shared between readings.
func New(cfg *config.Config, table *Neighbours) *Rules {
	r := &Rules{
		byMAC: map[config.MAC]owner{}, byIP: map[netip.Addr]owner{}, byID: map[string]owner{}, forwarders: map[netip.Addr]bool{}, table: table,
	}
	index := map[string]uint8{"": noGroup}
	for i, g := range cfg.Groups {
		index[g.Name] = uint8(i)
		r.groups = append(r.groups, g.Name)
		for _, c := range g.Clients {
			if c.MAC != (config.MAC{}) {
				r.byMAC[c.MAC] = owner{group: uint8(i)}
			} else {
				r.prefixes.Insert(c.Prefix.Masked(), uint8(i))
			}
		}
	}
	r.fallback = index[cfg.Policy.DefaultGroup]
	for _, d := range cfg.Devices {
		o := owner{device: d.Name, group: index[d.Group]}
		if d.MAC != (config.MAC{}) {
			m := o
			if m.group == noGroup {
				m.group = r.macGroup(d.MAC)
			}
			r.byMAC[d.MAC] = m
		}
		if d.IP.IsValid() {
			r.byIP[d.IP.Unmap()] = o
		}
		if d.ID != "" {
			r.byID[d.ID] = o
		}
	}
	for _, a := range cfg.DNS.Forwarders {
		r.forwarders[a.Unmap()] = true
	}
	r.seen.Store(&known{version: table.Version(), main: map[key]query.Client{}, fresh: map[key]query.Client{}})
	return r
}

func (r *Rules) macGroup(m config.MAC) uint8 {
	if o, ok := r.byMAC[m]; ok {
		return o.group
	}
	return noGroup
}

// Identify fills in q.Client from its address, the neighbour table, what it calls itself and, where the address is a trusted
// forwarder's, the hardware address in the question. The group is that of the first of: the MAC, the address, what it calls
// itself, the longest prefix, the default. Anybody can call itself anything, so that counts for less than what the network
// shows, and for more than where in it a device is.
func (r *Rules) Identify(q *query.Query) {
	k := key{addr: q.Client.Addr.Unmap().WithZone("")}
	if len(r.forwarders) > 0 && r.forwarders[k.addr] {
		k.forwarded = true
		if q.Question.HasMAC {
			k.mac = q.Question.MAC
		}
	}
	if q.Ident != "" {
		if _, ok := r.byID[q.Ident]; ok {
			k.ident = q.Ident
		}
	}
	seen := r.seen.Load()
	if seen.version == r.table.Version() {
		if c, ok := seen.main[k]; ok {
			q.Client = c
			return
		}
	}
	q.Client = r.learn(k)
}

// learn works out a client and remembers it.
func (r *Rules) learn(k key) query.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen.Load()
	if v := r.table.Version(); seen.version != v {
		seen = &known{version: v, main: map[key]query.Client{}, fresh: map[key]query.Client{}}
		r.seen.Store(seen)
	}
	if c, ok := seen.fresh[k]; ok {
		return c
	}
	c := r.client(k)
	if len(seen.main)+len(seen.fresh) >= maxKnown {
		return c
	}
	seen.fresh[k] = c
	// Publishing copies main, so it waits until the copy is a fixed share of what is new.
	if len(seen.fresh) > len(seen.main)/4 {
		next := &known{version: seen.version, main: make(map[key]query.Client, len(seen.main)+len(seen.fresh)), fresh: map[key]query.Client{}}
		for _, m := range []map[key]query.Client{seen.main, seen.fresh} {
			for k, c := range m {
				next.main[k] = c
			}
		}
		r.seen.Store(next)
	}
	return c
}

// client works out who holds an address.
func (r *Rules) client(k key) query.Client {
	mac := k.mac
	if !k.forwarded && mac == (config.MAC{}) {
		mac = r.table.MAC(k.addr)
	}
	c := query.Client{Addr: k.addr, MAC: mac}
	group := uint8(noGroup)
	if mac != (config.MAC{}) {
		c.Device = mac.String()
		if o, ok := r.byMAC[mac]; ok {
			group = o.group
			if o.device != "" {
				c.Device = o.device
			}
		}
	}
	// A device behind a forwarder that says nothing of it is in the default group, never in that of the forwarder: leaving
	// the option out, or sending a broken one, must be no way to choose a group.
	named := c.Device != "" && c.Device != mac.String()
	take := func(o owner, ok bool) {
		if ok && !named {
			c.Device, named = o.device, true
		}
		if ok && group == noGroup {
			group = o.group
		}
	}
	if !k.forwarded {
		o, ok := r.byIP[k.addr]
		take(o, ok)
	}
	if !named { // what is known to be one device is not another by its own word
		o, ok := r.byID[k.ident]
		take(o, ok)
	}
	if group == noGroup && !k.forwarded {
		if g, ok := r.prefixes.Lookup(k.addr); ok {
			group = g
		}
	}
	if c.Device == "" {
		c.Device = k.addr.String()
	}
	if group == noGroup {
		group = r.fallback
	}
	c.Group, c.Name = group, r.groups[group]
	return c
}

// Default is the client that nothing names.
func (r *Rules) Default() query.Client {
	return query.Client{Group: r.fallback, Name: r.groups[r.fallback]}
}

// Named finds a device by its configured name or its hardware address; ok is false when the configuration has neither.
func (r *Rules) Named(s string) (c query.Client, ok bool) {
	for mac, o := range r.byMAC {
		if o.device == s || strings.EqualFold(mac.String(), s) {
			return r.client(key{mac: mac, forwarded: true}), true
		}
	}
	for addr, o := range r.byIP {
		if o.device == s {
			return r.client(key{addr: addr}), true
		}
	}
	for id, o := range r.byID {
		if o.device == s {
			return r.client(key{ident: id, forwarded: true}), true
		}
	}
	return c, false
}
