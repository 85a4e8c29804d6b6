package policy

import (
	"iter"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// rewrite is what becomes of a special name.
type rewrite struct {
	canary  bool        // refused: its absence tells a browser or system to keep to this resolver
	below   bool        // names below it too
	youtube bool        // steered by the group's YouTube setting
	unsafe  bool        // a search without a safe form that DNS could enforce: refused where safe search is
	target  domain.Name // the safe form of a search engine
}

// google lists the registries below which Google runs a search page: each "www.google." and one of these. Enforcement
// by CNAME is Google's documented way (support.google.com/websearch/answer/186669).
const google = `ad ae al am as at az ba be bf bg bi bj bs bt by ca cat cd cf cg ch ci cl cm cn co co.ao co.bw co.ck co.cr
co.id co.il co.in co.jp co.ke co.kr co.ls co.ma co.mz co.nz co.th co.tz co.ug co.uk co.uz co.ve co.vi co.za co.zm co.zw
com com.af com.ag com.ai com.ar com.au com.bd com.bh com.bn com.bo com.br com.bz com.co com.cu com.cy com.do com.ec
com.eg com.et com.fj com.gh com.gi com.gt com.hk com.jm com.kh com.kw com.lb com.ly com.mm com.mt com.mx com.my com.na
com.nf com.ng com.ni com.np com.om com.pa com.pe com.pg com.ph com.pk com.pr com.py com.qa com.sa com.sb com.sg com.sl
com.sv com.tj com.tr com.tw com.ua com.uy com.vc com.vn cv cz de dj dk dm dz ee es fi fm fr ga ge gg gl gm gp gr gy hn
hr ht hu ie im iq is it je jo kg ki kz la li lk lt lu lv md me mg mk ml mn ms mu mv mw ne nl no nr nu pl pn ps pt ro rs
ru rw sc se sh si sk sm sn so sr st td tg tk tl tm tn to tt vg vu ws`

// The restricted forms of YouTube (support.google.com/a/answer/6214622).
const (
	youtubeStrict   = domain.Name("restrict.youtube.com")
	youtubeModerate = domain.Name("restrictmoderate.youtube.com")
)

// specials yields every name that rule 8 knows, with what becomes of it.
func specials() iter.Seq2[domain.Name, rewrite] {
	return func(yield func(domain.Name, rewrite) bool) {
		each := func(r rewrite, names ...domain.Name) bool {
			for _, n := range names {
				if !yield(n, r) {
					return false
				}
			}
			return true
		}
		searches := []domain.Name(nil)
		for tld := range strings.FieldsSeq(google) {
			searches = append(searches, domain.Name("www.google."+tld))
		}
		_ = each(rewrite{target: "forcesafesearch.google.com"}, searches...) &&
			each(rewrite{target: "strict.bing.com"}, "www.bing.com", "cn.bing.com", "edgeservices.bing.com") &&
			each(rewrite{target: "safe.duckduckgo.com"}, "duckduckgo.com", "www.duckduckgo.com", "start.duckduckgo.com") &&
			each(rewrite{target: "strict-safe-search.ecosia.org"}, "www.ecosia.org") &&
			each(rewrite{target: "safesearch.pixabay.com"}, "pixabay.com") &&
			// Side doors of the engines above, and engines that cannot be steered.
			each(rewrite{unsafe: true}, "ipv4.google.com", "ipv6.google.com", "html.duckduckgo.com", "lite.duckduckgo.com") &&
			each(rewrite{unsafe: true, below: true}, "search.brave.com", "search.yahoo.com", "qwant.com", "startpage.com",
				"yandex.com", "yandex.ru", "ya.ru", "baidu.com", "searx.be", "mojeek.com") &&
			each(rewrite{youtube: true}, "www.youtube.com", "m.youtube.com", "youtubei.googleapis.com",
				"youtube.googleapis.com", "www.youtube-nocookie.com") &&
			// Firefox's default DoH, iCloud Private Relay, Chrome's private prefetch: each asks for its canary first.
			each(rewrite{canary: true}, "use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com",
				"mask-canary.icloud.com", "dns-tunnel-check.googlezip.net") &&
			// Discovery of designated resolvers (RFC 9462) would lead a device past this box.
			each(rewrite{canary: true, below: true}, "resolver.arpa")
	}
}

// isESNI says whether the leftmost label asks for the keys of an encrypted server name, a draft that few still use.
func isESNI(name *domain.Wire) bool {
	return name.Labels() > 1 && string(name.Label(0)) == "_esni"
}

// special applies rule 8 to a name that is known to it, or lies below one that is; ok is false when this group's settings
// leave the name alone.
func (p *Policy) special(g *group, name *domain.Wire) (v query.Verdict, ok bool) {
	var r rewrite
	for i := range name.Labels() {
		if found, known := p.rewrites[string(name.From(i))]; known && (i == 0 || found.below) {
			r = found
			break
		}
	}
	switch {
	case r.canary || isESNI(name):
		return query.Verdict{Action: query.Block, Rule: query.Bypass}, true
	case r.unsafe && g.search:
		return query.Verdict{Action: query.Block, Rule: query.SafeSearch}, true
	case r.youtube && g.youtube == config.YouTubeStrict:
		return query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, Target: youtubeStrict}, true
	case r.youtube && g.youtube == config.YouTubeModerate:
		return query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, Target: youtubeModerate}, true
	case r.target != "" && g.search:
		return query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, Target: r.target}, true
	}
	return v, false
}
