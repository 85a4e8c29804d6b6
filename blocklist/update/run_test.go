package update

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// loop runs an Updater in a bubble of its own time, over a made-up network.
type loop struct {
	*Updater
	asked     []time.Duration // since the start, whenever the source was asked
	published int
	stop      func()

	mu     sync.Mutex // guards answer
	answer answer
}

type answer func(*http.Request) (*http.Response, error)

// from has the network answer so from now on.
func (l *loop) from(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = a
}

func startLoop(t *testing.T, dir string, a answer, lists ...config.List) *loop {
	l := &loop{Updater: New(dir, lists, config.Update{}), answer: a}
	start := time.Now()
	l.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		l.asked = append(l.asked, time.Since(start).Round(time.Second))
		l.mu.Lock()
		a := l.answer
		l.mu.Unlock()
		return a(r)
	})
	l.Publish = func(*blocklist.Set) { l.published++ }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return l
}

func ok(body string) answer {
	return func(*http.Request) (*http.Response, error) { return reply(200, strings.NewReader(body)), nil }
}

func failing(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

var gamesList = config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}

// advance lets time pass and the loop come to rest.
func advance(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

func TestRunSchedule(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, ok(goodList), gamesList)
		advance(3 * 24 * time.Hour)
		l.stop()
		if n := len(l.asked); n != 4 && n != 3 {
			t.Fatalf("asked %d times in three days: %v", n, l.asked)
		}
		for i := 1; i < len(l.asked); i++ {
			if gap := l.asked[i] - l.asked[i-1]; gap > 24*time.Hour+longestSleep || gap < 21*time.Hour {
				t.Errorf("asked again after %v", gap)
			}
		}
	})
}

func TestRunBacksOff(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, failing, gamesList)
		advance(6 * time.Hour)
		var last time.Duration
		for i, at := range l.asked[1:] {
			want := backoff(i+1, false)
			if gap := at - last; gap > want+2*time.Second || gap < want-want/10-time.Second {
				t.Errorf("try %d came %v after the one before, want %v or a tenth less", i+2, gap, want)
			}
			last = at
		}
		if n := len(l.asked); n < 10 || n > 13 {
			t.Errorf("%d tries: %v", n, l.asked)
		}
		if l.Status()[0].State != Never {
			t.Errorf("status %+v", l.Status()[0])
		}
		// The network comes back, and with it the list, within the longest back-off.
		l.from(ok(goodList))
		advance(lastRetry + time.Second)
		if s := l.Status()[0]; s.State != Fresh || s.Failures != 0 {
			t.Errorf("status %+v", s)
		}
		l.stop()
	})
}

func TestRunRefusedContentIsNotFetchedEveryHour(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, ok(`{"message": "moved"}`), gamesList)
		advance(23 * time.Hour)
		l.stop()
		if n := len(l.asked); n < 4 || n > 5 {
			t.Errorf("asked %d times: %v", n, l.asked)
		}
	})
}

// TestRunBehindPortal: a new box has its lists within the hour in which somebody logs in for it.
func TestRunBehindPortal(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, ok("<html><title>Log in</title></html>"), gamesList)
		advance(12 * time.Hour)
		if n := len(l.asked); n > 20 {
			t.Errorf("asked %d times: %v", n, l.asked)
		}
		l.from(ok(goodList))
		advance(lastRetry + time.Second)
		if s := l.Status()[0]; s.State != Fresh {
			t.Errorf("status %+v", s)
		}
		l.stop()
	})
}

func TestRunCatchesUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, ok(goodList), gamesList)
		advance(time.Hour)
		l.stop()
		first := l.published

		time.Sleep(30 * time.Minute) // off for a short time: nothing to catch up with
		l = startLoop(t, dir, ok(goodList), gamesList)
		advance(time.Minute)
		l.stop()
		if len(l.asked) != 0 || first == 0 || l.published != 1 {
			t.Errorf("asked %v, published %d and %d", l.asked, first, l.published)
		}

		time.Sleep(5 * 24 * time.Hour) // off over a long weekend
		l = startLoop(t, dir, ok(goodList), gamesList)
		advance(time.Second)
		l.stop()
		if len(l.asked) != 1 {
			t.Errorf("asked %v", l.asked)
		}
	})
}

func TestRunNoticesTheClockBeingSet(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := New(dir, []config.List{gamesList}, config.Update{})
		asked := 0
		l.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			asked++
			return reply(200, strings.NewReader(goodList)), nil
		})
		var set atomic.Int64
		l.Now = func() time.Time { return time.Now().Add(time.Duration(set.Load())) }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		advance(time.Minute)
		set.Store(int64(26 * 365 * 24 * time.Hour))
		advance(longestSleep)
		stop()
		if err := <-done; err != nil || asked != 2 {
			t.Errorf("asked %d times (%v)", asked, err)
		}
	})
}

func TestRunKick(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "own.txt")
	put(t, path, "own.example\n")
	own := config.List{Name: "own", Category: "gaming", Source: path}
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, failing, gamesList, own)
		advance(4 * time.Hour)
		tries, published := len(l.asked), l.published
		put(t, path, "own.example\nmore.example\n")
		l.Kick()
		synctest.Wait()
		if len(l.asked) != tries+1 {
			t.Errorf("the failing list was not tried at once")
		}
		if l.published != published+1 {
			t.Errorf("published %d times, then %d", published, l.published)
		}
		l.from(ok(goodList))
		l.Kick()
		synctest.Wait()
		tries = len(l.asked)
		l.Kick() // all is well: nothing is asked for before its time
		synctest.Wait()
		if len(l.asked) != tries {
			t.Errorf("a fresh list was asked for")
		}
		l.stop()
	})
}

func TestRunServesBeforeFetching(t *testing.T) {
	// The server hangs, yet what lies on disk is compiled and published at once.
	dir := t.TempDir()
	put(t, folder(dir).raw("games"), names("game", 10))
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, gamesList)
		synctest.Wait()
		if l.published != 1 {
			t.Errorf("published %d times", l.published)
		}
		l.stop()
		if m := folder(dir).readMeta("games"); m.Failures != 0 {
			t.Errorf("a stop was held against the source: %+v", m)
		}
	})
}

func TestRunRetriesCompilingAChangedFile(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "own.txt")
	put(t, path, "own.example\n")
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, failing, config.List{Name: "own", Category: "gaming", Source: path})
		advance(time.Minute)
		l.stop()
		l.CompileCmd = func(context.Context, Plan) error { return errors.New("out of memory") }
		put(t, path, "own.example\nmore.example\n")
		if err := l.Refresh(t.Context(), nil); err == nil {
			t.Error("no error")
		}
		l.CompileCmd = nil
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		advance(2 * firstRetry)
		stop()
		if err := <-done; err != nil || l.published != 2 {
			t.Errorf("published %d times (%v)", l.published, err)
		}
	})
}

func TestRunRetriesCompiling(t *testing.T) {
	dir := t.TempDir()
	put(t, folder(dir).raw("games"), names("game", 10))
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		l := New(dir, []config.List{gamesList}, config.Update{})
		l.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(200, io.LimitReader(strings.NewReader(names("game", 10)), 1<<20)), nil
		})
		l.CompileCmd = func(ctx context.Context, p Plan) error {
			if tries++; tries < 6 {
				return errors.New("out of memory")
			}
			_, err := Compile(ctx, p, l.now())
			return err
		}
		published := 0
		l.Publish = func(*blocklist.Set) { published++ }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		advance(time.Hour)
		if tries != 6 || published != 1 {
			t.Errorf("compiled %d times, published %d times", tries, published)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
