package config

import (
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
)

const (
	maxRecords = 10000
	maxPerName = 64  // of each kind, so that an answer has room for them
	maxTXT     = 255 // bytes, of one string
)

func (k *checker) local() {
	l := &k.c.Local
	if l.Domain == "" {
		k.refusef("local.domain", `write what names of this network end in, such as "home.arpa"`, "no domain")
		return
	}
	if l.Domain.IsPublicSuffix() && !ownDomain(l.Domain) {
		k.refusef("local.domain", `write a name for this network alone, such as "school.home.arpa" or "internal"`, "%q is a name under which others register: all sites below it would be gone", l.Domain)
	} else if !ownDomain(l.Domain) {
		k.warnf("local.domain", `"school.home.arpa" is for this; single names of a public domain go into [[local.records]]`,
			"nothing below %q that is not written here can be reached any longer, the school's web site included", l.Domain)
	}
	if l.Name == "" {
		k.refusef("local.name", `write this box's name, such as "schoolgate.home.arpa"`, "no name")
	}
	for i := range l.Records {
		k.record(element("local.records", i), &l.Records[i])
	}
	k.sameNames()
	k.deviceNames()
}

// ownDomain says whether a domain is nobody's on the Internet.
func ownDomain(n domain.Name) bool {
	return n == "home.arpa" || n == "internal" || n == "lan" || n == "test" || n.Within("home.arpa") || n.Within("internal") || n.Within("lan") || n.Within("test")
}

// record checks one record.
func (k *checker) record(path string, r *Record) {
	if r.Name == "" {
		k.refusef(child(path, "name"), `write the whole name, such as "printer.home.arpa"`, "no name")
	}
	rest := len(r.Addresses) + len(r.TXT) + len(r.MX) + len(r.SRV)
	if r.PTR != "" {
		rest++
	}
	switch {
	case r.CNAME != "" && rest > 0:
		k.refusef(child(path, "cname"), "leave out the rest", "%q is another name, which has no records beside that (RFC 1034)", r.Name)
	case r.CNAME != "" && r.CNAME == r.Name:
		k.refusef(child(path, "cname"), "write another name", "%q would lead to itself", r.Name)
	case r.CNAME == "" && rest == 0:
		k.warnf(path, "write addresses = […] or another kind of record", "%q has no records: it exists, and is empty", r.Name)
	}
	for _, kind := range []struct {
		key string
		n   int
	}{{"addresses", len(r.Addresses)}, {"txt", len(r.TXT)}, {"mx", len(r.MX)}, {"srv", len(r.SRV)}} {
		if kind.n > maxPerName {
			k.refusef(child(path, kind.key), "leave some out", "%d of them: at most %d", kind.n, maxPerName)
		}
	}
	for i, a := range r.Addresses {
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() || a.IsMulticast() {
			k.refusef(element(child(path, "addresses"), i), `write such as "192.0.2.7" or "2001:db8::7"`, "%v is no address of a host", a)
		}
	}
	for i, t := range r.TXT {
		if t == "" || len(t) > maxTXT {
			k.refusef(element(child(path, "txt"), i), "write several strings", "a string of %d bytes: 1 to %d", len(t), maxTXT)
		}
	}
	if r.PTR != "" && !r.Name.Within("arpa") {
		k.warnf(child(path, "ptr"), `the name of an address is such as "7.2.0.192.in-addr.arpa"; for names in addresses it is made by itself`, "%q is no address", r.Name)
	}
	k.within(child(path, "ttl"), r.TTL, 0, 7*day)
	for i, g := range r.Groups {
		if _, ok := k.c.Group(g); !ok {
			k.refusef(element(child(path, "groups"), i), suggest(g, k.groupNames(), "the groups are "+strings.Join(k.groupNames(), ", ")), "there is no group %q", g)
		}
	}
}

// sameNames refuses two records of one name that hold for the same group.
func (k *checker) sameNames() {
	first := map[domain.Name][]int{}
	for i, r := range k.c.Local.Records {
		for _, j := range first[r.Name] {
			o := k.c.Local.Records[j]
			both := slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(o.Groups, g) })
			if both || len(r.Groups) == 0 && len(o.Groups) == 0 {
				k.refusef(child(element("local.records", i), "name"), "write all of it into one record, or give each groups of its own", "%q stands in %s already", r.Name, element("local.records", j))
				break
			}
		}
		first[r.Name] = append(first[r.Name], i)
	}
}

// deviceNames warns of devices whose names below the local domain others have.
func (k *checker) deviceNames() {
	l := &k.c.Local
	if !l.Devices {
		return
	}
	taken := map[domain.Name]string{l.Name: "this box"}
	for _, r := range l.Records {
		taken[r.Name] = "a record"
	}
	for i := range k.c.Devices {
		d := &k.c.Devices[i]
		name, ok := l.HostName(d)
		if !d.IP.IsValid() || !ok {
			continue
		}
		if other := taken[name]; other != "" {
			k.warnf(child(element("devices", i), "name"), "call it something else, or write [[local.records]]", "as a name of the network, %q is that of %s already, so %q has none", name, other, d.Name)
			continue
		}
		taken[name] = "the device " + d.Name
	}
}
