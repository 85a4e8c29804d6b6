package config

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// Most of what a list may name.
const (
	maxMirrors = 8
	maxAccept  = 1000
)

// builtInPrefixes begin the names of the lists that are built in.
var builtInPrefixes = [...]string{"starter-", "catalogue-"}

func (k *checker) lists() {
	lists := k.c.Lists
	if len(lists) == 0 && !k.c.Update.Starter && !k.c.Update.Catalogue {
		k.warnf("update.starter", "write starter = true or give lists", "there is no list at all: no category blocks anything")
	}
	names, sources := make([]string, len(lists)), make([]string, len(lists))
	for i, l := range lists {
		names[i] = l.Name
		sources[i] = l.Source + " " + strings.Join(l.Select, " ")
		k.list(element("lists", i), l)
	}
	distinct("lists", names, func(path string, first int) {
		k.refusef(child(path, "name"), "give each list a name of its own", "%q is the name of %s already", names[first], element("lists", first))
	})
	distinct("lists", sources, func(path string, first int) {
		if lists[first].Source != "" {
			k.warnf(child(path, "source"), "leave one of the two out", "the list %q has this source already", names[first])
		}
	})
}

func (k *checker) list(path string, l List) {
	k.slug(child(path, "name"), l.Name)
	for _, p := range builtInPrefixes {
		if strings.HasPrefix(l.Name, p) {
			k.refusef(child(path, "name"), "choose another name", "names that begin with %q are for the lists that are built in", p)
		}
	}
	if k.slug(child(path, "category"), l.Category) {
		k.category(child(path, "category"), l)
	}
	remote := k.source(child(path, "source"), l)
	k.mirrors(path, l, remote)
	k.authFile(path, l, remote)
	if l.Category == IllegalTier {
		k.feed(path, l)
	}
	if remote && l.Every < Duration(time.Hour) {
		k.warnf(child(path, "every"), `write "24h": lists change once or twice a day, and their makers pay for each visit`, "%v is a short time between visits", l.Every)
	}
	k.within(child(path, "every"), l.Every, time.Second, 90*day)
	k.sized(child(path, "max_size"), l.MaxSize, 1<<10, 1<<30)
	k.limits(path, l)
	selects := child(path, "select")
	if l.Format == FormatUT1 && len(l.Select) == 0 {
		k.refusef(selects, `write the directories wanted, such as select = ["gambling"]`, "format ut1 is many lists in one: which?")
	}
	if l.Format != FormatUT1 && len(l.Select) > 0 && !k.wrong[child(path, "format")] {
		k.warnf(selects, `write format = "ut1" or leave it out`, "select means something for format ut1 only")
	}
	for i, s := range l.Select {
		if s == "" || strings.ContainsAny(s, `/\`) || strings.HasPrefix(s, ".") {
			k.refusef(element(selects, i), "write the name of one directory", "%q is no directory of a ut1 list", s)
		}
	}
	distinct(selects, l.Select, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", l.Select[first])
	})
	if l.SHA256 != "" && (len(l.SHA256) != 64 || strings.Trim(strings.ToLower(l.SHA256), "0123456789abcdef") != "") {
		k.refusef(child(path, "sha256"), "write what sha256sum prints for the file", "%q is not 64 hexadecimal digits", l.SHA256)
	}
	k.signature(path, l, remote)
}

// limits checks how far versions of a list may differ, and what of it is accepted all the same.
func (k *checker) limits(path string, l List) {
	k.counted(child(path, "max_shrink"), l.MaxShrink, 1, 100)
	k.counted(child(path, "max_growth"), l.MaxGrowth, 1, 100_000)
	k.counted(child(path, "max_conflicts"), l.MaxConflicts, 0, 10_000)
	ages := child(path, "max_age")
	if l.MaxAge != 0 {
		k.within(ages, l.MaxAge, time.Minute, 366*day)
	}
	if l.MaxAge != 0 && l.MaxAge < l.Every {
		k.warnf(ages, "make it longer than every, or leave it out", "stale after %v, and looked at every %v only", l.MaxAge, l.Every)
	}
	accepts := child(path, "accept")
	if len(l.Accept) > maxAccept {
		k.refusef(accepts, "leave some out", "%d of them: at most %d", len(l.Accept), maxAccept)
		return
	}
	k.names(accepts, l.Accept)
}

// mirrors checks the other addresses of a list. They are fetched, so the list has to be too.
func (k *checker) mirrors(path string, l List, remote bool) {
	mirrors := child(path, "mirrors")
	if len(l.Mirrors) > 0 && !remote {
		k.refusef(mirrors, "leave mirrors out, or make source an https:// address", "a file or directory has no mirrors")
		return
	}
	if len(l.Mirrors) > maxMirrors {
		k.refusef(mirrors, "leave some out", "%d of them: at most %d", len(l.Mirrors), maxMirrors)
		return
	}
	for i, m := range l.Mirrors {
		k.remote(element(mirrors, i), "write an https:// address", m, l)
		if m == l.Source {
			k.warnf(element(mirrors, i), "leave it out", "this is the source itself")
		}
	}
	distinct(mirrors, l.Mirrors, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", redact(l.Mirrors[first]))
	})
}

// signature checks the key of a list's maker and where the signature is.
func (k *checker) signature(path string, l List, remote bool) {
	keys, where := child(path, "minisign_key"), child(path, "signature")
	if raw, err := base64.StdEncoding.DecodeString(l.MinisignKey); l.MinisignKey != "" && (err != nil || len(raw) != 42 || string(raw[:2]) != "Ed") {
		k.refusef(keys, "write the second line of the maker's minisign.pub", "%q is no public key of minisign", l.MinisignKey)
	}
	switch {
	case l.Signature == "":
	case l.MinisignKey == "":
		k.warnf(where, "write minisign_key too, or leave signature out", "a signature means nothing without the key to check it by")
	case !strings.Contains(l.Signature, "://"):
		if remote {
			k.refusef(where, "write an https:// address", "%q is no address to fetch from", l.Signature)
		}
	default:
		if u, err := url.Parse(l.Signature); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			k.refusef(where, "write an https:// address", "%q is no address to fetch from", redact(l.Signature))
		}
	}
}

// category warns of a list that nobody is blocked by, and of a category that looks like a slip of the pen.
func (k *checker) category(path string, l List) {
	builtIn := Categories()
	if l.Category == IllegalTier {
		return
	}
	blocks := func(g Group) bool {
		return slices.Contains(g.Block, l.Category) || slices.ContainsFunc(g.Hours, func(h Hours) bool { return slices.Contains(h.Block, l.Category) })
	}
	if !slices.ContainsFunc(k.c.Groups, blocks) {
		k.warnf(path, suggest(l.Category, slices.DeleteFunc(builtIn, func(c string) bool { return c == l.Category }), "add it to the block of a group"), "no group blocks the category %q, so this list does nothing", l.Category)
	}
}

// source checks where a list comes from and says whether that is another machine.
func (k *checker) source(path string, l List) (remote bool) {
	if strings.TrimSpace(l.Source) == "" || strings.ContainsRune(l.Source, 0) {
		k.refusef(path, "write a file, a directory or an https:// address", "no source")
		return false
	}
	if !strings.Contains(l.Source, "://") {
		if _, err := os.Stat(l.Source); err != nil {
			k.warnf(path, "put the file there; a relative name counts from where the program runs", "there is no file or directory %q yet", l.Source)
		}
		return false
	}
	k.remote(path, "write a file, a directory or an https:// address", l.Source, l)
	return true
}

// remote checks an address that a list is fetched from.
func (k *checker) remote(path, hint, address string, l List) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		k.refusef(path, hint, "%q is no address to fetch from", redact(address))
		return
	}
	switch {
	case u.Scheme != "http" || isLoopback(u.Hostname()):
	case l.AuthFile != "" || l.Category == IllegalTier:
		k.refusef(path, "write https://", "anyone on the way could read what comes over http, and what is sent to ask for it")
	case l.SHA256 == "" && l.MinisignKey == "":
		k.warnf(path, "write https:// if the maker offers it, or give sha256 or minisign_key", "anyone on the way can change what comes over http")
	}
}

// isLoopback says whether host is this machine by name or address.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// isHost says whether host is an IP address or a name.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	n, err := domain.Parse(host)
	return err == nil && n != ""
}

// redact is what may be shown of a source: licensed feeds carry keys in user names, paths and queries.
func redact(source string) string {
	scheme, rest, found := strings.Cut(source, "://")
	if !found {
		return source
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if host == rest {
		return source
	}
	return scheme + "://" + host + "/…"
}
