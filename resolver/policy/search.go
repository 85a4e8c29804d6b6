package policy

import (
	_ "embed"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// YouTube is Verdict.List where the group's YouTube setting decided.
const YouTube = "youtube"

// google lists the registries below which Google runs a search page: each "www.google." and one of these. Enforcement
// by CNAME is Google's documented way (support.google.com/websearch/answer/186669). The bare names (google.com) are left
// alone: their web servers do no more than send the browser to www, and they have mail and other records of their own.
const google = `ad ae al am as at az ba be bf bg bi bj bs bt by ca cat cd cf cg ch ci cl cm cn co co.ao co.bw co.ck co.cr
co.id co.il co.in co.jp co.ke co.kr co.ls co.ma co.mz co.nz co.th co.tz co.ug co.uk co.uz co.ve co.vi co.za co.zm co.zw
com com.af com.ag com.ai com.ar com.au com.bd com.bh com.bn com.bo com.br com.bz com.co com.cu com.cy com.do com.ec
com.eg com.et com.fj com.gh com.gi com.gt com.hk com.jm com.kh com.kw com.lb com.ly com.mm com.mt com.mx com.my com.na
com.nf com.ng com.ni com.np com.om com.pa com.pe com.pg com.ph com.pk com.pr com.py com.qa com.sa com.sb com.sg com.sl
com.sv com.tj com.tr com.tw com.ua com.uy com.vc com.vn cv cz de dj dk dm dz ee es fi fm fr ga ge gg gl gm gp gr gy hn
hr ht hu ie im iq is it je jo kg ki kz la li lk lt lu lv md me mg mk ml mn ms mu mv mw ne nl no nr nu pl
pn ps pt ro rs ru rw sc se sh si sk sm sn so sr st td tg tk tl tm tn to tt vg vu ws`

// yandex is likewise for Yandex, bare and with www: its pages are on both.
const yandex = `az by co.il com com.am com.ge com.ru com.tr com.ua de ee eu fi fr kz lt lv md net org pl ru tj tm ua uz`

// bing is the hosts of Microsoft's search below bing.com: of its side bar in Edge, of telephones and of countries.
const bing = `www edgeservices cn global m www2 www3 www4 ar at au be br ca ch cl de dk es fi fr hk ie in it jp kr mx
my nl no nz ph pl pt ru se sg tr tw uk us za`

// steered is an engine with a safe form that its makers serve under a name of its own.
type steered struct {
	engine string // as in config.Engines
	target domain.Name
	names  []domain.Name
}

// engines are the steered ones. What is steered always leads to servers that serve the safe form alone, so a host too many
// in these lists is at worst a page that does not open.
func engines() []steered {
	return []steered{
		// images.google.com is a front of the same search; ipv4, ipv6 and encrypted are older doors to it.
		{"google", "forcesafesearch.google.com", slices.Concat(
			each("www.google.", google, ""), each("images.google.", google, ""),
			[]domain.Name{"ipv4.google.com", "ipv6.google.com", "encrypted.google.com"})},
		{"bing", "strict.bing.com", append(each("", bing, ".bing.com"), "bing.com")},
		{"duckduckgo", "safe.duckduckgo.com", []domain.Name{"duckduckgo.com", "www.duckduckgo.com", "start.duckduckgo.com"}},
		{"ecosia", "strict-safe-search.ecosia.org", []domain.Name{"www.ecosia.org"}},
		{"pixabay", "safesearch.pixabay.com", []domain.Name{"pixabay.com"}},
		{"yandex", "familysearch.yandex.ru", slices.Concat(
			each("yandex.", yandex, ""), each("www.yandex.", yandex, ""),
			[]domain.Name{"ya.ru", "www.ya.ru", "xn--d1acpjx3f.xn--p1ai", "www.xn--d1acpjx3f.xn--p1ai"})},
		{"brave", "forcesafe.search.brave.com", []domain.Name{"search.brave.com"}},
	}
}

// each makes a name of each of some words.
func each(before, words, after string) (names []domain.Name) {
	for w := range strings.FieldsSeq(words) {
		names = append(names, domain.Name(before+w+after))
	}
	return names
}

// unsteerable is the searches without a safe form that DNS could enforce, and why; see its head.
//
//go:embed unsteerable.txt
var unsteerable string

// refusedSearch is a line of unsteerable.
type refusedSearch struct {
	name   domain.Name
	engine string // of which it is a side door; "" when it is an engine of its own
	why    string
}

func refusedSearches() (out []refusedSearch) {
	for line := range strings.Lines(unsteerable) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, why, _ := strings.Cut(line, " ")
		r := refusedSearch{name: domain.Name(name), why: strings.TrimSpace(why)}
		if engine, rest, ok := strings.Cut(r.why, ": "); ok && slices.Contains(config.Engines(), engine) {
			r.engine, r.why = engine, rest
		}
		out = append(out, r)
	}
	return out
}

// The restricted forms of YouTube, and the names that lead to them (support.google.com/a/answer/6214622).
const (
	youtubeStrict   = domain.Name("restrict.youtube.com")
	youtubeModerate = domain.Name("restrictmoderate.youtube.com")
)

var (
	youtubeSteered = []domain.Name{
		"www.youtube.com", "m.youtube.com", "youtubei.googleapis.com", "youtube.googleapis.com", "www.youtube-nocookie.com",
	}
	// What is refused besides where YouTube is blocked: its pages, apps, short links, embedded players, thumbnails and video
	// streams, and their top level. Not s.ytimg.com and yt3.ggpht.com, from which other services of Google load parts.
	youtubeBlocked = []domain.Name{
		"youtube.com", "youtube-nocookie.com", "youtu.be", "yt.be", "youtubekids.com", "youtubeeducation.com", "youtubegaming.com",
		"youtube.co.uk", "youtube.de", "youtube.fr", "youtube.es", "youtube.it", "youtube.pl", "youtube.ru", "youtube.ie", "youtube.nl",
		"youtube.pt", "youtube.ca", "youtube.com.au", "youtube.co.nz", "youtube.com.br", "youtube.in", "youtube.jp", "youtube.us",
		"youtube", "youtube-ui.l.google.com", "wide-youtube.l.google.com", "youtubeembeddedplayer.googleapis.com",
		"googlevideo.com", "i.ytimg.com", "i1.ytimg.com", "i2.ytimg.com", "i3.ytimg.com", "i4.ytimg.com", "i9.ytimg.com",
	}
)

// search applies safe search and the YouTube setting of a group.
func (g *group) search(r *rewrite) (v query.Verdict, ok bool) {
	v = query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: r.word, Target: r.target}
	switch {
	case r.kind == refusedEngine && g.safe(r):
		v.Action = query.Block
		return v, true
	case r.kind == steeredEngine && g.safe(r):
		return v, true
	case r.kind < youtubeOnlyBlocked:
	case g.youtube == config.YouTubeBlocked:
		v.Action = query.Block
		return v, true
	case r.kind == youtubeOnlyBlocked:
	case g.youtube == config.YouTubeStrict:
		v.Target = youtubeStrict
		return v, true
	case g.youtube == config.YouTubeModerate:
		v.Target = youtubeModerate
		return v, true
	}
	return query.Verdict{}, false
}

// safe says whether a group has an engine in its safe form only.
func (g *group) safe(r *rewrite) bool { return g.searchSafe && g.except&(1<<r.engine) == 0 }
