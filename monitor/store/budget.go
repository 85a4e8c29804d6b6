package store

import (
	"net/netip"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// A device may enter newNames new names a minute into the record, and as many sites when those are used up, for each verdict. On a school day
// of 140 devices none has more than 15, and all of them together, as they are seen behind a router, 188.
const (
	newNames = 200
	// A name counts once for each begun stretch of so many bytes of its text, in which odd bytes take four.
	nameUnit = 80
	// maxSpenders bounds the devices of one kind that are told apart in a minute; further ones may enter nothing.
	maxSpenders = 4096
)

// manyNames stands for the names of a device that asks for very many new ones, of very many sites.
const manyNames = "*"

// budget is what devices have entered in the present minute, of the rows' own time. It bounds how fast any device in the
// school can fill the disk with names that nobody asked for before: their rows are kept, and count wherever rows are
// counted, but with shorter names.
type budget struct {
	minute       int64
	names, sites purse
	shortened    time.Time // of the last row whose name was, zero when none was
}

// purse is what each spender has taken in this minute, and how many spenders of each kind there are.
type purse struct {
	spent map[spender]int
	kinds map[kind]int
}

// spender is a device and a verdict.
type spender struct {
	device string
	kind
}

// kind keeps spenders from taking each other's room. Verdicts are apart, so that nobody hides what was blocked behind a
// flood of what was not; and so are devices that are known by a name or a hardware address from bare addresses, which
// anybody can invent.
type kind struct {
	action query.Action
	known  bool
}

// afford is the name under which the row is kept: text itself, if it is known in this file or the device may enter it; else
// its site, after "*." when that is another name; else, and for a site that is long or odd itself, manyNames.
func (f *logFile) afford(text string, r *record.Row) string {
	if _, known := f.names.get(text); known || r.Rule == query.Illegal {
		return text
	}
	b := &f.budget
	if minute := r.Time.Unix() / 60; minute != b.minute || b.names.spent == nil {
		b.minute, b.names, b.sites = minute, newPurse(), newPurse()
	}
	_, err := netip.ParseAddr(r.Device)
	who := spender{r.Device, kind{r.Action, err != nil}}
	if b.names.spend(who, text) {
		return text
	}
	b.shortened = r.Time
	folded := text
	if site := domain.Name(text).Site().String(); site != text {
		folded = "*." + site
	}
	if len(folded) > nameUnit || strings.Contains(folded, `\`) {
		return manyNames
	}
	if _, known := f.names.get(folded); known || b.sites.spend(who, folded) {
		return folded
	}
	return manyNames
}

func newPurse() purse { return purse{make(map[spender]int), make(map[kind]int)} }

// spend takes what the name costs from the device's budget, if there is as much left.
func (p *purse) spend(who spender, text string) bool {
	cost := (len(text) + nameUnit - 1) / nameUnit
	n, ok := p.spent[who]
	if n+cost > newNames || !ok && p.kinds[who.kind] >= maxSpenders {
		return false
	}
	if !ok {
		p.kinds[who.kind]++
	}
	p.spent[who] = n + cost
	return true
}

// shortLasts is how long shortened names stay a condition of health.
const shortLasts = time.Hour

// shortened is the condition that names were shortened within the last hour.
func shortened(files []*logFile, now time.Time) (out []monitor.Condition) {
	var last time.Time
	for _, f := range files {
		if f.budget.shortened.After(last) {
			last = f.budget.shortened
		}
	}
	if last.IsZero() || now.Sub(last) >= shortLasts {
		return nil
	}
	return []monitor.Condition{{
		Code: "record.shortened", Severity: monitor.Warning,
		Title: "A device asks for very many new names: those of its rows are shortened in the record.",
		Hint:  "schoolgate log --from '1h ago' --limit 0 shows which. A program that searches for names does this, and somebody who wants to hide one.",
	}}
}
