package store

import (
	"net/netip"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
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
	// maxKnown is how many names are remembered as known at least, and half of what they are at most. A flood of random names
	// pushes names out, and then what comes again is new again.
	maxKnown = 1 << 15
)

// manyNames stands for the names of a device that asks for very many new ones, of very many sites.
const manyNames = "*"

// budget is which names the record knows, and what devices have entered in the present minute, of the rows' own time. It bounds how fast any device in the
// school can fill the disk with names that nobody asked for before: their rows are kept, and count wherever rows are
// counted, but with shorter names.
type budget struct {
	known        recent
	minute       int64
	names, sites purse
	shortened    time.Time // of the last row whose name was, zero when none was
	last         spender   // who spent last
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

func newBudget() budget { return budget{known: newRecent(maxKnown)} }

// afford is the name under which a row of ms is kept: text itself, if it is known or the device may enter it; else its
// site, after "*." when that is another name; else, and for a site that is long or odd itself, manyNames.
func (b *budget) afford(text, device string, action query.Action, ms int64) string {
	if b.known.has(text) {
		return text
	}
	if minute := ms / time.Minute.Milliseconds(); minute != b.minute || b.names.spent == nil {
		b.minute, b.names, b.sites = minute, newPurse(), newPurse()
	}
	who := b.spender(device, action)
	if b.names.spend(who, text) {
		return text
	}
	b.shortened = time.UnixMilli(ms).UTC()
	folded := text
	if site := domain.Name(text).Site().String(); site != text {
		folded = "*." + site
	}
	if len(folded) > nameUnit || strings.Contains(folded, `\`) {
		return manyNames
	}
	if b.known.has(folded) || b.sites.spend(who, folded) {
		return folded
	}
	return manyNames
}

// spender tells who it is; as a rule it is who it was.
func (b *budget) spender(device string, action query.Action) spender {
	if b.last.device != device || device == "" {
		_, err := netip.ParseAddr(device)
		b.last = spender{device, kind{known: err != nil}}
	}
	b.last.action = action
	return b.last
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

// conditions says that names were shortened within the last hour.
func (b *budget) conditions(now time.Time) []monitor.Condition {
	last := b.shortened
	if last.IsZero() || now.Sub(last) >= shortLasts {
		return nil
	}
	return []monitor.Condition{{
		Code: "record.shortened", Severity: monitor.Warning,
		Title: "A device asks for very many new names: those of its rows are shortened in the record.",
		Hint:  "schoolgate log --from '1h ago' --limit 0 shows which. A program that searches for names does this, and somebody who wants to hide one.",
	}}
}
