package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
)

// fakeServer is a mail server without sockets, for tests of hours.
type fakeServer struct {
	mu    sync.Mutex
	down  bool
	dials []time.Time
	got   []monitor.Mail
	taken func()
}

func (f *fakeServer) dial(context.Context, config.SMTP) (session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, time.Now())
	if f.down {
		return nil, errors.New("connecting to the mail server: connection refused")
	}
	return f, nil
}

func (f *fakeServer) send(_ context.Context, m monitor.Mail) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, m)
	if f.taken != nil {
		f.taken()
	}
	return nil
}

func (f *fakeServer) close() {}

func (f *fakeServer) set(down bool) { f.mu.Lock(); f.down = down; f.mu.Unlock() }

func (f *fakeServer) counts() (dials, mails int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.dials), len(f.got)
}

// office is an engine and a sender at work on one store.
func office(t *testing.T, store *memStore, server *fakeServer) (*rig, *Sender) {
	t.Helper()
	alerts := testSettings.Alerts
	alerts.DSL = alerts.DSL[:1]
	alerts.SMTP.Host = "mail.school.example"
	s := NewSender(store, func() config.Alerts { return alerts }, slog.New(slog.DiscardHandler))
	s.dial = server.dial
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := start(t, store, func(e *Engine) {
		e.Mailed = s.Wake
		e.Set(Settings{School: "Little Acorns", Alerts: alerts})
	})
	stop := r.stop
	r.stop = func() {
		t.Helper()
		stop()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	return r, s
}

func TestAnAlertIsMailedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := newMemStore(), new(fakeServer)
		r, _ := office(t, store, server)
		before := time.Now()
		r.block("tablet-1", "example.com", "hate")
		if _, mails := server.counts(); mails != 1 || !time.Now().Equal(before) {
			t.Errorf("%d mails after %v", mails, time.Since(before))
		}
		r.stop()
	})
}

func TestAServerThatIsDownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := newMemStore(), &fakeServer{down: true}
		r, s := office(t, store, server)
		for i := range 5 {
			r.block("tablet-1", []string{"a.example", "b.example", "c.example", "d.example", "e.example"}[i], "hate")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		dials, mails := server.counts()
		if mails != 0 || dials < 24 || dials > 24*5/4+10 {
			t.Errorf("%d mails, %d connections in a day; want about one an hour", mails, dials)
		}
		for i := 1; i < len(server.dials); i++ {
			if d := server.dials[i].Sub(server.dials[i-1]); d < minBackoff || d > maxBackoff {
				t.Errorf("connection %d came %v after the one before", i, d)
			}
		}
		if got := s.Health(time.Now()); len(got) != 1 || got[0].Severity != monitor.Critical {
			t.Errorf("conditions %v", got)
		}
		server.set(false)
		time.Sleep(maxBackoff)
		synctest.Wait()
		if _, mails := server.counts(); mails != 5 || store.unsent() != 0 {
			t.Errorf("%d mails, %d unsent once it is back; want 5 and 0", mails, store.unsent())
		}
		r.stop()
	})
}

func TestANewAlertEndsALongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := newMemStore(), &fakeServer{down: true}
		r, _ := office(t, store, server)
		r.block("tablet-1", "a.example", "hate")
		time.Sleep(12 * time.Hour)
		server.set(false)
		r.block("tablet-1", "b.example", "hate")
		time.Sleep(minBackoff)
		synctest.Wait()
		if _, mails := server.counts(); mails != 2 {
			t.Errorf("%d mails, want both within %v", mails, minBackoff)
		}
		server.set(true)
		before, _ := server.counts()
		for i := range 60 { // a burst cannot make it knock more often
			r.block("tablet-1", "c.example", []string{"hate", "pornography"}[i%2])
			time.Sleep(time.Second)
		}
		if after, _ := server.counts(); after-before > 3 {
			t.Errorf("%d connections in a minute", after-before)
		}
		r.stop()
	})
}

func TestAMarkThatFailsIsNotASecondMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := newMemStore(), new(fakeServer)
		server.taken = func() { store.breakDown(true) } // between the 250 and the mark
		r, _ := office(t, store, server)
		r.block("tablet-1", "a.example", "hate")
		time.Sleep(time.Hour)
		server.mu.Lock()
		server.taken = nil
		server.mu.Unlock()
		store.breakDown(false)
		r.block("tablet-1", "b.example", "hate")
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, mails := server.counts(); mails != 2 || store.unsent() != 0 {
			t.Errorf("%d mails, %d unsent; want 2 and 0", mails, store.unsent())
		}
		r.stop()
	})
}

func TestARestartLosesAndDoublesNoMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := newMemStore(), &fakeServer{down: true}
		r, _ := office(t, store, server)
		r.block("tablet-1", "a.example", "hate")
		time.Sleep(2 * time.Hour)
		r.stop()
		server.set(false)
		for range 3 {
			r, _ = office(t, store, server)
			time.Sleep(time.Minute)
			r.stop()
		}
		if _, mails := server.counts(); mails != 1 || store.unsent() != 0 {
			t.Errorf("%d mails, %d unsent; want 1 and 0", mails, store.unsent())
		}
	})
}

func TestBackoff(t *testing.T) {
	for n := range 100 {
		d, full := backoff(n), min(minBackoff<<min(n, 10), maxBackoff)
		if d < minBackoff || d > maxBackoff || d < full*4/5 || d > full*6/5 {
			t.Errorf("backoff(%d) = %v, want about %v", n, d, full)
		}
	}
}
