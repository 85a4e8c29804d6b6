package store

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/journal"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// What the floors below ask of a store.
var (
	_ journal.Appender = (*Store)(nil)
)

// What packet loops hand to the journal is what a search finds.
func TestFromJournalToSearch(t *testing.T) {
	begin := time.Date(2026, time.March, 31, 23, 59, 58, 0, time.UTC)
	s := openTest(t, t.TempDir(), &clock{begin})
	j := journal.New(2, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx, s, time.Millisecond) }()
	var want []record.Row
	for i := range 4000 { // across the border of a month
		q := &query.Query{
			Start: begin.Add(time.Duration(i) * time.Millisecond), Lane: i % 3, Source: query.Cache,
			Client:  query.Client{Addr: netip.MustParseAddr("192.0.2.1"), Device: fmt.Sprint("tablet-", i%5), Name: "children"},
			Verdict: query.Verdict{Rule: query.Rule(i % 9), Category: "gaming", List: "games"}, Duration: time.Duration(i) * time.Microsecond,
		}
		if err := q.Question.Name.SetName(domain.Name(fmt.Sprintf("n%d.example", i%40))); err != nil {
			t.Fatal(err)
		}
		j.Done(q)
		want = append(want, record.FromQuery(q))
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := diffRows(want, search(t, s.Reader, record.Filter{})); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}
