package update

import (
	"hash/fnv"
	"time"

	"schoolgate/config"
)

// The times between two tries at one source.
const (
	firstRetry   = time.Minute   // doubles with every failure in a row
	lastRetry    = time.Hour     // the most
	refusedRetry = 6 * time.Hour // when the content was refused: no need to fetch the same bytes every hour
)

// clockSlack is how far in the future a time may lie. One further off was noted while the clock was wrong, as on a board
// without one, and says nothing.
const clockSlack = time.Minute

// due is when a list is to be looked at next. It depends on nothing but its arguments, so that a restart neither forgets
// a back-off nor skips a day: what fell due while the machine was off is due now. Up to a tenth of the time is taken off
// at random, so that many boxes do not ask one server in the same minute.
func due(l config.List, m meta, now time.Time) time.Time {
	if m.Held != nil {
		return now.Add(every(l)) // a person says when
	}
	if m.AskedID != identity(l) || m.Attempted.After(now.Add(clockSlack)) {
		return now
	}
	wait := every(l)
	if m.Failures > 0 {
		wait = min(wait, max(backoff(m.Failures, m.Refused), time.Duration(m.RetryAfter)*time.Second))
	}
	return m.Attempted.Add(wait - time.Duration(chance(l.Name, m.Attempted)*float64(wait)/10))
}

// backoff is how long to wait after so many failures in a row.
func backoff(failures int, refused bool) time.Duration {
	if refused {
		return refusedRetry
	}
	return min(firstRetry<<min(max(failures-1, 0), 10), lastRetry)
}

// chance is a number from 0 to 1 that is the same for the same try: the clock's nanoseconds are what is random in it.
func chance(name string, t time.Time) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	b, _ := t.UTC().MarshalBinary() // fails for odd zones only, which UTC is not
	h.Write(b)
	return float64(h.Sum64()>>11) / (1 << 53)
}
