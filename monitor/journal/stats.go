package journal

import (
	"sync"
	"time"
)

// Stats is how the journal stands. Accepted = Written + Queued + Dropped whenever nothing is on its way; otherwise a count
// may be ahead of another by what is.
type Stats struct {
	Accepted uint64 // records that Done was given
	Written  uint64
	Dropped  uint64 // lost: a lane was full, or they could not be written before the end
	Queued   uint64 // in memory

	Flushed time.Time     // when rows were last written
	Latency time.Duration // how long the last Append took, successful or not
	Lag     time.Duration // how old the oldest row of the last batch was when it was written
	Oldest  time.Time     // the oldest row of the batch in hand; zero when none waits to be written again
	Err     error         // why the last attempt to write did not succeed; nil when it did
}

// Stats may be called from everywhere, at any time.
func (j *Journal) Stats() Stats {
	j.state.mu.Lock()
	s := j.state.Stats
	j.state.mu.Unlock()
	for _, l := range j.lanes {
		s.Dropped += l.dropped.Load()
		s.Accepted += l.offered.Load()
	}
	if gone := s.Written + s.Dropped; s.Accepted > gone {
		s.Queued = s.Accepted - gone
	}
	return s
}

// state is what Run lets Stats see. Accepted and Queued in it stay zero; Dropped is only what was abandoned at the end.
type state struct {
	mu sync.Mutex
	Stats
}

func (s *state) hold(oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Oldest = oldest
}

func (s *state) wrote(n int, oldest, begin, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Latency = end.Sub(begin)
	if n > 0 {
		s.Written += uint64(n)
		s.Flushed = end
		s.Lag = max(end.Sub(oldest), 0)
	}
}

// outcome notes how an attempt went and says whether that is different from the one before.
func (s *state) outcome(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.Err == nil) != (err == nil)
	s.Err = err
	return changed
}

// abandon counts n rows as lost at the end and says why the last attempt to write them did not succeed.
func (s *state) abandon(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Dropped += uint64(n)
	s.Oldest = time.Time{}
	return s.Err
}
