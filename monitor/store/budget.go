package store

import (
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// A device may enter newNames new names a minute into the record, and as many sites when those are used up, for each verdict. On a school day
// of 140 devices none has more than 15, and all of them together, as they are seen behind a router, 188.
const (
	newNames = 200
	// A name counts once for each begun stretch of so many bytes of its text, in which odd bytes take four.
	nameUnit = 80
	// maxSpenders bounds the devices that are told apart in a minute; further ones may enter nothing.
	maxSpenders = 4096
)

// manyNames stands for the names of a device that asks for very many new ones, of very many sites.
const manyNames = "*"

// budget is what devices have entered in the present minute, of the rows' own time. It bounds how fast any device in the
// school can fill the disk with names that nobody asked for before: their rows are kept, and count wherever rows are
// counted, but with shorter names.
type budget struct {
	minute       int64
	names, sites map[spender]int
}

// spender is a device. Its verdicts are told apart, so that nobody hides what was blocked behind a flood of what was not.
type spender struct {
	device string
	action query.Action
}

// afford is the name under which the row is kept: text itself, if it is known in this file or the device may enter it; else
// its site, after "*." when that is another name; else, and for a site that is long or odd itself, manyNames.
func (f *logFile) afford(text string, r *record.Row) string {
	if _, known := f.names.get(text); known || r.Rule == query.Illegal {
		return text
	}
	b := &f.budget
	if minute := r.Time.Unix() / 60; minute != b.minute || b.names == nil {
		b.minute, b.names, b.sites = minute, make(map[spender]int), make(map[spender]int)
	}
	who := spender{r.Device, r.Action}
	if spend(b.names, who, text) {
		return text
	}
	folded := text
	if site := domain.Name(text).Site().String(); site != text {
		folded = "*." + site
	}
	if len(folded) > nameUnit || strings.Contains(folded, `\`) {
		return manyNames
	}
	if _, known := f.names.get(folded); known || spend(b.sites, who, folded) {
		return folded
	}
	return manyNames
}

// spend takes what the name costs from the device's budget, if there is as much left.
func spend(spent map[spender]int, who spender, text string) bool {
	cost := (len(text) + nameUnit - 1) / nameUnit
	n, ok := spent[who]
	if n+cost > newNames || !ok && len(spent) >= maxSpenders {
		return false
	}
	spent[who] = n + cost
	return true
}
