package listen

import (
	"context"
	"sync"
	"time"
)

// spans gives queries in Resolve their time limit. A context with a timer for each would be a good part of what a question
// costs that an upstream answers at once, so those that begin within a sixteenth of the limit share one, which ends when
// the limit of the last is over.
type spans struct {
	mu   sync.Mutex // guards what follows
	ctx  context.Context
	next time.Time // when another is made
}

// join gives the context for a query that begins now. The parent is the same at each call.
func (s *spans) join(parent context.Context, limit time.Duration) context.Context {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil || !now.Before(s.next) {
		ctx, cancel := context.WithTimeout(parent, limit+limit/16)
		context.AfterFunc(ctx, cancel)
		s.ctx, s.next = ctx, now.Add(limit/16)
	}
	return s.ctx
}
