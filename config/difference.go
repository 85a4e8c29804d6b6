package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// Diff says in plain sentences what is different in new, for the record of changes. It is empty only when both are
// Equal. Of sources and sign-in names, which may hold secrets, it says no more than that they changed.
func Diff(old, new *Config) []string {
	d := &differ{}
	d.table("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	return d.sentences
}

// NeedsRestart is the paths of what is different in new and cannot be changed while the program runs.
func NeedsRestart(old, new *Config) []string {
	var paths []string
	if !slices.Equal(old.DNS.Listen, new.DNS.Listen) {
		paths = append(paths, "dns.listen")
	}
	for _, l := range []struct {
		path     string
		old, new []netip.AddrPort
	}{
		{"encrypted.tls", old.Encrypted.TLS, new.Encrypted.TLS},
		{"encrypted.https", old.Encrypted.HTTPS, new.Encrypted.HTTPS},
		{"encrypted.quic", old.Encrypted.QUIC, new.Encrypted.QUIC},
	} {
		if !slices.Equal(l.old, l.new) {
			paths = append(paths, l.path)
		}
	}
	if old.HTTP.Listen != new.HTTP.Listen {
		paths = append(paths, "http.listen")
	}
	if !slices.Equal(old.Page.HTTP, new.Page.HTTP) {
		paths = append(paths, "page.http")
	}
	if old.Page.HTTPS != new.Page.HTTPS {
		paths = append(paths, "page.https")
	}
	if old.Cache != new.Cache {
		paths = append(paths, "cache")
	}
	if old.Store.Path != new.Store.Path {
		paths = append(paths, "store.path")
	}
	if old.Store.Flush != new.Store.Flush {
		paths = append(paths, "store.flush")
	}
	return paths
}

type differ struct{ sentences []string }

func (d *differ) sayf(format string, args ...any) {
	d.sentences = append(d.sentences, fmt.Sprintf(format, args...))
}

// table compares two structs; subject begins each sentence: "group children: " or "cache.".
func (d *differ) table(subject string, old, new reflect.Value) {
	for i, key := range keysOf(old.Type()) {
		o, n := old.Field(i), new.Field(i)
		switch {
		case reflect.DeepEqual(o.Interface(), n.Interface()):
		case isTable(o.Type()):
			d.table(subject+key+".", o, n)
		case o.Kind() == reflect.Slice && isTable(o.Type().Elem()) && o.Type().Elem() != reflect.TypeFor[Hours]():
			d.keyed(key, o, n)
		case key == "mirrors":
			d.sayf("%smirrors changed, now: %s", subject, strings.Join(redacted(texts(n)), ", "))
		case o.Kind() == reflect.Slice:
			d.elements(subject, key, old.Type(), texts(o), texts(n))
		default:
			d.scalar(subject, key, o, n)
		}
	}
}

func (d *differ) scalar(subject, key string, old, new reflect.Value) {
	switch {
	case key == "user":
		d.sayf("%s%s changed", subject, key)
	case (key == "source" || key == "signature") && redact(old.String()) == redact(new.String()):
		d.sayf("%s%s changed at %s", subject, key, redact(new.String()))
	case key == "internet" && new.Bool():
		d.sayf("%sno longer cut off", subject)
	case key == "internet":
		d.sayf("%scut off: every name is refused", subject)
	case key == "stop_all" && new.Bool():
		d.sayf("every name is refused to everyone")
	case key == "stop_all":
		d.sayf("names resolve again")
	case key == "schools_pack" && new.Bool():
		d.sayf("no category list refuses the names of the schools pack any longer")
	case key == "schools_pack":
		d.sayf("the schools pack is off: category lists refuse its names too")
	case text(old) == "":
		d.sayf("%s%s is now %s", subject, key, shown(key, new))
	default:
		d.sayf("%s%s is now %s (was %s)", subject, key, shown(key, new), shown(key, old))
	}
}

func shown(key string, v reflect.Value) string {
	s := text(v)
	if key == "source" || key == "signature" {
		s = redact(s)
	}
	if s == "" || v.Kind() == reflect.String {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// keyed compares arrays of tables whose elements have names.
func (d *differ) keyed(key string, old, new reflect.Value) {
	noun := strings.TrimSuffix(key, "s")
	if key == "people" {
		noun = "person"
	}
	before := make(map[string]reflect.Value, old.Len())
	for i := range old.Len() {
		before[identity(old.Index(i))] = old.Index(i)
	}
	said := len(d.sentences)
	after := make(map[string]bool, new.Len())
	for i := range new.Len() {
		n := new.Index(i)
		id := identity(n)
		after[id] = true
		subject := noun + " " + id + ": "
		o, ok := before[id]
		if !ok {
			d.sayf("%s %s is new", noun, id)
			fresh := reflect.New(n.Type())
			if f, ok := fresh.Interface().(defaulter); ok {
				f.setDefaults()
			}
			fresh.Elem().FieldByName("Name").Set(n.FieldByName("Name"))
			if r, ok := fresh.Interface().(*Record); ok {
				r.Groups = n.Interface().(Record).Groups
			}
			o = fresh.Elem()
		}
		d.table(subject, o, n)
	}
	for i := range old.Len() {
		if id := identity(old.Index(i)); !after[id] {
			d.sayf("%s %s is gone", noun, id)
		}
	}
	if len(d.sentences) == said && !slices.Equal(identities(old), identities(new)) {
		d.sayf("the order of %s is new", key)
	}
}

// identity is what tells an element from the others of its array.
func identity(v reflect.Value) string {
	if t, ok := v.Interface().(Term); ok {
		return fmt.Sprintf("%s %d/%02d", t.Name, t.First.schoolYear(), (t.First.schoolYear()+1)%100)
	}
	if r, ok := v.Interface().(Record); ok && len(r.Groups) > 0 {
		return r.Name.String() + " for " + strings.Join(r.Groups, ", ")
	}
	return v.FieldByName("Name").String()
}

func identities(v reflect.Value) []string {
	ids := make([]string, v.Len())
	for i := range ids {
		ids[i] = identity(v.Index(i))
	}
	return ids
}

// elements compares arrays of words.
func (d *differ) elements(subject, key string, in reflect.Type, old, new []string) {
	count := make(map[string]int, len(old))
	for _, e := range old {
		count[e]++
	}
	said := len(d.sentences)
	has, hasNot := wording(subject, key, in)
	for _, e := range new {
		if count[e]--; count[e] < 0 {
			d.sayf(has, e)
		}
	}
	for _, e := range old {
		if count[e] > 0 {
			count[e]--
			d.sayf(hasNot, e)
		}
	}
	if len(d.sentences) == said && !slices.Equal(old, new) {
		if strings.HasSuffix(subject, ": ") {
			d.sayf("%sthe order of %s is new", subject, key)
		} else {
			d.sayf("the order of %s%s is new", subject, key)
		}
	}
}

// wording is how to say that an element is there now and that it is there no longer.
func wording(subject, key string, in reflect.Type) (has, hasNot string) {
	subject = strings.ReplaceAll(subject, "%", "%%")
	switch in {
	case reflect.TypeFor[Policy]():
		if key == "schools_pack_except" {
			return "schools pack: %s is excepted", "schools pack: %s is no longer excepted"
		}
		return "own list: %s is " + key + "ed for everyone", "own list: %s is no longer " + key + "ed for everyone"
	case reflect.TypeFor[Answers]():
		switch key {
		case "private":
			return "answers: %s may have addresses of the local network", "answers: %s may no longer have addresses of the local network"
		case "exempt_targets":
			return "answers: no category list refuses %s as what an answer leads to", "answers: category lists refuse %s as what an answer leads to"
		case "exempt_targets_except":
			return "answers: %s is no longer exempt as what an answer leads to", "answers: %s is exempt as what an answer leads to again"
		}
	case reflect.TypeFor[Group]():
		switch key {
		case "block":
			return subject + "category %s is blocked", subject + "category %s is no longer blocked"
		case "allow":
			return subject + "%s is allowed", subject + "%s is no longer allowed"
		case "deny":
			return subject + "%s is blocked", subject + "%s is no longer blocked"
		case "block_services":
			return subject + "service %s is blocked", subject + "service %s is no longer blocked"
		case "allow_services":
			return subject + "service %s is allowed", subject + "service %s is no longer allowed"
		case "approved":
			return subject + "%s is approved", subject + "%s is no longer approved"
		case "safe_search_except":
			return subject + "%s is left as the person sets it", subject + "%s is no longer left as the person sets it"
		case "clients":
			return subject + "%s belongs to it", subject + "%s no longer belongs to it"
		case "hours":
			return subject + "hours now hold: %s", subject + "hours no longer hold: %s"
		}
	}
	return subject + key + " now has %s", subject + key + " no longer has %s"
}

// redacted is addresses that may be shown.
func redacted(addresses []string) []string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = redact(a)
	}
	return out
}

func texts(v reflect.Value) []string {
	out := make([]string, v.Len())
	for i := range out {
		out[i] = text(v.Index(i))
	}
	return out
}

func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case fmt.Stringer:
		if v.IsZero() && v.Kind() == reflect.Struct && !isTable(v.Type()) && reflect.TypeOf(x).PkgPath() == "net/netip" {
			return "" // which netip calls invalid
		}
		return x.String()
	default:
		return fmt.Sprint(x)
	}
}

// String says when the window is and what it changes.
func (h Hours) String() string {
	days := "every day"
	if len(h.Days) > 0 {
		days = strings.Join(texts(reflect.ValueOf(h.Days)), ", ")
	}
	s := fmt.Sprintf("%s %v to %v", days, h.From, h.To)
	if len(h.Block) > 0 {
		s += ", blocked: " + strings.Join(h.Block, ", ")
	}
	if len(h.Allow) > 0 {
		s += ", allowed: " + strings.Join(h.Allow, ", ")
	}
	return s
}
