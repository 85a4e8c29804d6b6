package reference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

func TestKey(t *testing.T) {
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.Lock([]byte("four words will do"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, k.private[:]) || strings.Count(string(text), "\n") != 3 {
		t.Errorf("locked: %q", text)
	}
	back, err := Unlock(text, []byte("four words will do"))
	if err != nil || *back != *k {
		t.Errorf("unlocked: %v", err)
	}
	if _, err := Unlock(text, []byte("other words")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	for _, bad := range []string{"", keyHead, keyHead + "\nx\ny\n", "other" + string(text), string(text[:len(text)-20])} {
		if _, err := Unlock([]byte(bad), []byte("four words will do")); err == nil {
			t.Errorf("taken: %q", bad)
		}
	}
}

func TestSecret(t *testing.T) {
	k, _ := NewKey()
	other, _ := NewKey()
	s := Secret{Name: "listed-name.example", Device: "tablet-7", List: "feed", At: time.Date(2026, 9, 16, 9, 0, 0, 0, time.UTC), Leads: true}
	b, err := seal(s, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("listed")) {
		t.Error("the box can be read")
	}
	if long, err := seal(Secret{Name: strings.Repeat("x", 100)}, k.Public()); err != nil || len(long) != len(b) {
		t.Errorf("the size of a reference tells of the name: %d and %d bytes", len(b), len(long))
	}
	if got, err := k.Open(b); err != nil || got != s {
		t.Errorf("opened: %+v, %v", got, err)
	}
	if _, err := other.Open(b); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	b[len(b)-1] ^= 1
	if _, err := k.Open(b); !errors.Is(err, ErrOtherKey) {
		t.Errorf("damaged: %v", err)
	}
}

// shelf is a Store in memory.
type shelf struct {
	mu   sync.Mutex
	hits []monitor.Hit
	err  error
}

func (s *shelf) AddHit(_ context.Context, h monitor.Hit) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	h.ID = int64(len(s.hits) + 1)
	s.hits = append(s.hits, h)
	return h.ID, nil
}

func (s *shelf) ExtendHit(_ context.Context, id int64, last time.Time, add int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.hits[id-1]
	h.Last, h.Count = last, h.Count+add
	return s.err
}

var start = time.Date(2026, time.September, 16, 9, 0, 0, 0, time.UTC)

func refused(t *testing.T, device, name string, at time.Time) *query.Query {
	t.Helper()
	q := &query.Query{Start: at, Client: query.Client{Device: device}, Verdict: query.Verdict{Action: query.Block, Rule: query.Illegal, List: "feed"}}
	if err := q.Question.Name.SetName(domain.Name(name)); err != nil {
		t.Fatal(err)
	}
	return q
}

// run has a keeper take questions and end.
func run(t *testing.T, s *shelf, key *Key, questions ...*query.Query) *Keeper {
	t.Helper()
	k := New(s, slog.New(slog.DiscardHandler))
	k.Now = func() time.Time { return start }
	if key != nil {
		k.SetKey(key.Public())
	}
	ctx, stop := context.WithCancel(t.Context())
	for i, q := range questions {
		k.Done(q)
		if len(k.queue) == cap(k.queue) || i == len(questions)-1 {
			stop()
			if err := k.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	return k
}

func TestHits(t *testing.T) {
	key, _ := NewKey()
	s := &shelf{}
	allowed := refused(t, "a", "listed.example", start)
	allowed.Verdict = query.Verdict{}
	run(t, s, key,
		refused(t, "a", "listed.example", start), refused(t, "a", "listed.example", start.Add(time.Minute)), allowed,
		refused(t, "a", "www.listed.example", start), refused(t, "b", "listed.example", start),
		refused(t, "a", "listed.example", start.Add(11*time.Minute)))
	var got []string
	for _, h := range s.hits {
		secret, err := key.Open(h.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		if secret.Device != h.Device || secret.List != h.List || !secret.At.Equal(h.First) {
			t.Errorf("%+v holds %+v", h, secret)
		}
		got = append(got, fmt.Sprintf("%s %s %d until %s", h.Device, secret.Name, h.Count, h.Last.Format("15:04")))
	}
	want := []string{"a listed.example 2 until 09:01", "a www.listed.example 1 until 09:00", "b listed.example 1 until 09:00", "a listed.example 1 until 09:11"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutAKey(t *testing.T) {
	s := &shelf{}
	run(t, s, nil, refused(t, "a", "listed.example", start), refused(t, "a", "other.example", start))
	if len(s.hits) != 1 || s.hits[0].Sealed != nil || s.hits[0].Count != 2 {
		t.Errorf("%+v", s.hits)
	}
}

// TestFlood: whoever asks for ever new names, from ever new addresses, fills neither disk nor memory.
func TestFlood(t *testing.T) {
	key, _ := NewKey()
	s := &shelf{}
	var flood []*query.Query
	for i := range 1500 {
		flood = append(flood, refused(t, fmt.Sprintf("device-%d", i%900), fmt.Sprintf("x%d.listed.example", i), start))
	}
	run(t, s, key, flood...)
	total := int64(0)
	for _, h := range s.hits {
		total += h.Count
	}
	if len(s.hits) != perHour+1 || s.hits[perHour].Device != "" || s.hits[perHour].Sealed != nil || total != 1500 {
		t.Errorf("%d rows of %d questions, the last %+v", len(s.hits), total, s.hits[len(s.hits)-1])
	}
}

// TestFloodOfOne: one device that asks for ever new names hides nothing of what another asks.
func TestFloodOfOne(t *testing.T) {
	key, _ := NewKey()
	s := &shelf{}
	var flood []*query.Query
	for i := range 1500 {
		flood = append(flood, refused(t, "busy", fmt.Sprintf("x%d.listed.example", i), start))
	}
	run(t, s, key, append(flood, refused(t, "quiet", "listed.example", start))...)
	total := int64(0)
	for _, h := range s.hits {
		total += h.Count
	}
	if len(s.hits) != perDevice+2 || s.hits[perDevice].Device != "busy" || s.hits[perDevice].Sealed != nil || total != 1501 {
		t.Errorf("%d rows of %d questions, the last but one %+v", len(s.hits), total, s.hits[len(s.hits)-2])
	}
	if secret, err := key.Open(s.hits[len(s.hits)-1].Sealed); err != nil || secret.Device != "quiet" {
		t.Errorf("%+v, %v", secret, err)
	}
}

func TestBrokenStore(t *testing.T) {
	key, _ := NewKey()
	s := &shelf{err: errors.New("disk full")}
	k := run(t, s, key, refused(t, "a", "listed.example", start))
	if !k.Failed() || !k.Lost().Equal(start) {
		t.Errorf("failed %v, lost %v", k.Failed(), k.Lost())
	}
}

// TestDoneDoesNotWait: what finds no room in a full queue is told of.
func TestDoneDoesNotWait(t *testing.T) {
	k := New(&shelf{}, slog.New(slog.DiscardHandler))
	q := refused(t, "a", "listed.example", start)
	for range queueSize {
		k.Done(q)
	}
	if !k.Lost().IsZero() {
		t.Errorf("lost at %v, although there is room", k.Lost())
	}
	if k.Done(q); !k.Lost().Equal(start) {
		t.Errorf("lost at %v, want %v", k.Lost(), start)
	}
}
