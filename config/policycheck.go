package config

import (
	"slices"
	"strings"
)

// gravity is the categories that the product itself speaks of, the gravest first.
var gravity = [...]string{IllegalTier, Extremism, Hate, Pornography, Gambling, Circumvent, Dating, SocialMedia, Gaming, Chatbots}

// gravest is what no child should meet, and nobody at a school should need.
var gravest = [...]string{Pornography, Hate, Extremism}

// Categories is the categories that the product itself speaks of, the gravest first, in a fresh slice.
func Categories() []string { return slices.Clone(gravity[:]) }

// Gravity is the place of a category in Categories: by it a verdict names the gravest of several, and a report puts it
// first. Categories of the school's own come after all of them.
func Gravity(category string) int {
	if i := slices.Index(gravity[:], category); i >= 0 {
		return i
	}
	return len(gravity)
}

// Gravest says whether a category is one that no child should meet and nobody at a school should need, the illegal tier
// among them. To a device they are all the same: see policy.Told.
func Gravest(category string) bool {
	return category == IllegalTier || slices.Contains(gravest[:], category)
}

// known checks references to categories at path, where more words than those may stand.
func (k *checker) known(path string, categories []string, more ...string) {
	all := slices.Concat(k.categories, more)
	for i, c := range categories {
		if slices.Contains(all, c) {
			continue
		}
		k.refusef(element(path, i), suggest(c, all, "known are "+strings.Join(all, ", ")+", and every category of a list"), "unknown category %q", c)
	}
	distinct(path, categories, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", categories[first])
	})
}

func (k *checker) policy() {
	p := k.c.Policy
	if _, ok := k.c.Group(p.DefaultGroup); !ok {
		k.refusef("policy.default_group", suggest(p.DefaultGroup, k.groupNames(), "the groups are "+strings.Join(k.groupNames(), ", ")), "there is no group %q", p.DefaultGroup)
	}
	if p.StopAll {
		k.warnf("policy.stop_all", "write stop_all = false when it is over", "no name resolves for anyone")
	}
	k.names("policy.block", p.Block)
	k.names("policy.allow", p.Allow)
	k.suffixes("policy.block", p.Block)
	k.openings("policy.allow", p.Allow)
	k.contradiction("policy.allow", p.Allow, "policy.block", p.Block)
	k.schoolsPack()
}

func (k *checker) groupNames() []string {
	names := make([]string, len(k.c.Groups))
	for i, g := range k.c.Groups {
		names[i] = g.Name
	}
	return names
}

func (k *checker) groups() {
	if len(k.c.Groups) == 0 {
		k.refusef("groups", "write at least one, such as [[groups]] with name = \"children\"", "no group")
	}
	distinct("groups", k.groupNames(), func(path string, first int) {
		k.refusef(child(path, "name"), "give each group a name of its own", "%q is the name of %s already", k.c.Groups[first].Name, element("groups", first))
	})
	clients := make(map[Client]int)
	for i, g := range k.c.Groups {
		path := element("groups", i)
		k.slug(child(path, "name"), g.Name)
		k.clients(child(path, "clients"), i, clients)
		k.known(child(path, "block"), g.Block)
		k.groupNamesOf(path, g)
		k.illegalURLs(path, g)
		k.answer(child(path, "answer"), g.Answer)
		k.safeSearch(path, g)
		for j, h := range g.Hours {
			k.hours(element(child(path, "hours"), j), h)
		}
	}
	k.strictest()
}

// clients checks which devices group i claims; owner is who has claimed what before.
func (k *checker) clients(path string, i int, owner map[Client]int) {
	for j, c := range k.c.Groups[i].Clients {
		path := element(path, j)
		other, taken := owner[c]
		switch {
		case c.MAC.IsZero() && !c.Prefix.IsValid():
			k.refusef(path, `write such as "00:00:5e:00:53:01", "192.0.2.7" or "192.0.2.0/24"`, "selects no device")
			continue
		case taken && other == i:
			k.warnf(path, "leave it out", "%v is here already", c)
		case taken:
			k.refusef(path, "leave it out of one of them", "%v is in the group %q too", c, k.c.Groups[other].Name)
		case c.Prefix.IsValid() && c.Prefix.Bits() == 0:
			k.warnf(path, "policy.default_group is meant for everyone else", "%v takes in every device that nothing else names", c)
		}
		if !taken {
			owner[c] = i
		}
	}
}

// groupNamesOf checks the lists of names of a group against each other and the setting's.
func (k *checker) groupNamesOf(path string, g Group) {
	allow, approved, deny := child(path, "allow"), child(path, "approved"), child(path, "deny")
	k.names(allow, g.Allow)
	k.names(approved, g.Approved)
	k.names(deny, g.Deny)
	k.suffixes(deny, g.Deny)
	k.openings(allow, g.Allow)
	k.openings(approved, g.Approved)
	k.contradiction(allow, g.Allow, deny, g.Deny)
	k.contradiction(approved, g.Approved, deny, g.Deny)
	k.contradiction(allow, g.Allow, "policy.block", k.c.Policy.Block)
	k.contradiction(approved, g.Approved, "policy.block", k.c.Policy.Block)
	k.services(path, g)
	if g.AllowOnly && len(g.Approved)+len(g.Allow)+len(g.AllowServices)+len(k.c.Policy.Allow) == 0 {
		k.refusef(child(path, "allow_only"), "write approved = […], or internet = false if that is meant", "group %q would have no name at all", g.Name)
	}
	if !g.AllowOnly && len(g.Approved) > 0 {
		k.warnf(approved, "write allow_only = true, or allow = […] for names that no category may block", "group %q is not allow_only, so its approved names change nothing", g.Name)
	}
}

func (k *checker) hours(path string, h Hours) {
	if h.From == h.To && h.From != 0 || h.From < 0 || h.From > 1439 || h.To < 0 || h.To > 1439 {
		k.refusef(child(path, "to"), `the whole day is from "00:00" to "00:00"`, "%v to %v is no stretch of time", h.From, h.To)
	}
	k.known(child(path, "block"), h.Block)
	k.known(child(path, "allow"), h.Allow)
	distinct(child(path, "days"), h.Days, func(path string, first int) {
		k.warnf(path, "leave it out", "%v is here already", h.Days[first])
	})
	if len(h.Block)+len(h.Allow) == 0 {
		k.warnf(path, "write block = […] or allow = […]", "hours that change nothing")
	}
	for i, c := range h.Allow {
		path := element(child(path, "allow"), i)
		switch {
		case c == IllegalTier:
			k.refusef(path, "leave it out", "the illegal tier is switched off by nobody, at no hour")
		case slices.Contains(h.Block, c):
			k.refusef(path, "leave it out of one of them", "%q is in block too", c)
		case slices.Contains(gravest[:], c):
			when := "in these hours"
			if h.wholeWeek() {
				when = "at any hour of the week"
			}
			k.warnf(path, "leave it out, and write the sites that a lesson needs into the group's allow", "%q is not blocked %s", c, when)
		}
	}
}

// wholeWeek says whether the window never ends.
func (h Hours) wholeWeek() bool {
	days := make(map[Weekday]bool)
	for _, d := range h.Days {
		days[d] = true
	}
	return h.From == 0 && h.To == 0 && (len(days) == 0 || len(days) == 7)
}

// strictest warns when devices that nobody has named would see what others may not.
func (k *checker) strictest() {
	g, ok := k.c.Group(k.c.Policy.DefaultGroup)
	if !ok || g.AllowOnly || !g.Internet {
		return
	}
	path := "policy.default_group"
	for _, c := range gravest {
		if !slices.Contains(g.Block, c) {
			k.warnf(path, "add it to that group's block, or choose another default_group", "devices that nothing names are in the group %q, which does not block %q", g.Name, c)
		}
	}
	for _, other := range k.c.Groups {
		for _, c := range other.Block {
			if !slices.Contains(g.Block, c) && c != IllegalTier && !slices.Contains(gravest[:], c) {
				k.warnf(path, "the default group should be the strictest", "devices that nothing names are in the group %q, which does not block %q as %q does", g.Name, c, other.Name)
			}
		}
	}
}

func (k *checker) devices() {
	claimed := make(map[Client]int)
	for i, g := range k.c.Groups {
		for _, c := range g.Clients {
			claimed[c] = i
		}
	}
	names, ids, macs, addrs := map[string]int{}, map[string]int{}, map[MAC]int{}, map[Client]int{}
	for i, d := range k.c.Devices {
		path := element("devices", i)
		k.label(child(path, "name"), d.Name)
		if j, ok := names[d.Name]; ok {
			k.refusef(child(path, "name"), "give each device a name of its own: the record knows it by that", "%q is the name of %s already", d.Name, element("devices", j))
		}
		names[d.Name] = i
		if d.MAC.IsZero() && !d.IP.IsValid() && d.ID == "" && !k.wrong[child(path, "mac")] && !k.wrong[child(path, "ip")] {
			k.refusef(path, `write mac = "00:00:5e:00:53:01" or ip = "192.0.2.7"`, "device %q has neither mac nor ip nor id", d.Name)
		}
		if _, ok := k.c.Group(d.Group); !ok && d.Group != "" {
			k.refusef(child(path, "group"), suggest(d.Group, k.groupNames(), "the groups are "+strings.Join(k.groupNames(), ", ")), "there is no group %q", d.Group)
		}
		k.deviceMAC(path, i, macs, claimed)
		k.deviceIP(path, i, addrs, claimed)
		k.deviceID(path, i, ids)
	}
}

func (k *checker) deviceMAC(path string, i int, macs map[MAC]int, claimed map[Client]int) {
	d := k.c.Devices[i]
	path = child(path, "mac")
	if d.MAC.IsZero() {
		return
	}
	if j, ok := macs[d.MAC]; ok {
		k.refusef(path, "leave one of the two out", "%v is the device %q already", d.MAC, k.c.Devices[j].Name)
	}
	macs[d.MAC] = i
	switch {
	case d.MAC[0]&1 != 0:
		k.refusef(path, "look at the device's own settings", "%v is the address of many, not of one device", d.MAC)
	case d.MAC[0]&2 != 0:
		k.warnf(path, "switch off private (random) addresses for this network on the device, then write its real one", "%v is an address that the device made up and may change", d.MAC)
	}
	k.claim(path, d, Client{MAC: d.MAC}, claimed)
}

func (k *checker) deviceIP(path string, i int, addrs map[Client]int, claimed map[Client]int) {
	d := k.c.Devices[i]
	path = child(path, "ip")
	if !d.IP.IsValid() {
		return
	}
	a := d.IP.Unmap().WithZone("")
	if a.IsUnspecified() || a.IsMulticast() {
		k.refusef(path, "write the address that the device asks from", "%v is no address of one device", a)
		return
	}
	prefix, _ := a.Prefix(a.BitLen()) // the length fits by construction
	c := Client{Prefix: prefix}
	if j, ok := addrs[c]; ok {
		k.refusef(path, "leave one of the two out", "%v is the device %q already", a, k.c.Devices[j].Name)
	}
	addrs[c] = i
	k.claim(path, d, c, claimed)
}

// claim refuses a device that says one group where a group's clients say another.
func (k *checker) claim(path string, d Device, c Client, claimed map[Client]int) {
	if i, ok := claimed[c]; ok && d.Group != "" && k.c.Groups[i].Name != d.Group {
		k.refusef(path, "leave it out of that group's clients", "%v is a client of the group %q, but the device %q is in %q", c, k.c.Groups[i].Name, d.Name, d.Group)
	}
}
