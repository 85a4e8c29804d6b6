package journal

import (
	"math"
	"time"

	"schoolgate/monitor/record"
)

// gatherer makes a batch of records. It belongs to Run alone.
type gatherer struct {
	record.Batch // the batch in hand: taken from the lanes, not yet written

	who, why, wire table // numbered as in the batch
	text           []byte
	ends           []uint32 // of each name in text
	named          int      // how much of text is in Names already
}

func newGatherer() *gatherer {
	return &gatherer{who: newTable(), why: newTable(), wire: newTable()}
}

// add takes a record of the ring into the batch, nothing of it is retained. Its name is in the batch after finish.
func (g *gatherer) add(b []byte) {
	var e record.Entry
	var isNew bool
	who, why, wire := parts(b, &e)
	if e.Who, isNew = g.who.id(who); isNew {
		g.Who = append(g.Who, readWho(who))
	}
	if e.Why, isNew = g.why.id(why); isNew {
		g.Why = append(g.Why, readWhy(why))
	}
	if e.Name, isNew = g.wire.id(wire); isNew {
		g.text = appendName(g.text, wire)
		g.ends = append(g.ends, uint32(len(g.text)))
	}
	g.Rows = append(g.Rows, e)
}

// full says whether the batch is to be written before more is added.
func (g *gatherer) full() bool { return len(g.Rows) >= MaxBatch || len(g.text) >= maxNames }

// finish makes strings of the names, all new ones in one piece of memory.
func (g *gatherer) finish() {
	begin := g.named
	text := string(g.text[begin:])
	at := 0
	for _, end := range g.ends[len(g.Names):] {
		g.Names = append(g.Names, text[at:int(end)-begin])
		at = int(end) - begin
	}
	g.named = len(g.text)
}

// taken removes the first n rows. When none is left, nothing that they held is: no name outlives its writing.
func (g *gatherer) taken(n int) {
	g.Rows = g.Rows[:copy(g.Rows, g.Rows[n:])]
	if len(g.Rows) > 0 {
		return
	}
	clear(g.Who)
	clear(g.Why)
	clear(g.Names)
	clear(g.text)
	g.Who, g.Why, g.Names = g.Who[:0], g.Why[:0], g.Names[:0]
	g.text, g.ends, g.named = g.text[:0], g.ends[:0], 0
	g.who.reset()
	g.why.reset()
	g.wire.reset()
}

// oldest is the time of the oldest row; zero when there is none.
func (g *gatherer) oldest() time.Time {
	least := int64(math.MaxInt64)
	for i := range g.Rows {
		least = min(least, g.Rows[i].Time)
	}
	if least == math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(least).UTC()
}
