package listen

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// Whoever begins questions and never ends them holds a few streams of a session when all together are many, and others still get
// their answers.
func TestStreamsHalfSaid(t *testing.T) {
	const room, begun = 6, 20
	x := securely(t, newAnswerer(), func(s *Server) { s.Limits.InFlight = room })
	run(t, x.Server)

	idle := x.browser(t)
	if _, err := get(idle, x.url("/")); err != nil { // one connection, for all that follow
		t.Fatal(err)
	}
	statuses := make(chan int, begun)
	var bodies []*io.PipeWriter
	for range begun {
		body, w := io.Pipe()
		bodies = append(bodies, w)
		go func() {
			resp, err := idle.Post(x.url(dohPath), dohType, body)
			if err != nil {
				statuses <- 0
				return
			}
			resp.Body.Close()
			statuses <- resp.StatusCode
		}()
		if _, err := w.Write([]byte{0}); err != nil && !errors.Is(err, io.ErrClosedPipe) { // closed by the transport when it was refused
			t.Fatal(err)
		}
	}
	for range begun - room {
		if got := <-statuses; got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	}

	c := x.overQUIC(t, boxName)
	refused := make(chan error, begun)
	for range begun {
		s, err := c.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(patience))
		go func() {
			s.Write([]byte{0}) //nolint:errcheck // what becomes of it is read
			_, err := s.Read(make([]byte, 1))
			refused <- err
		}()
	}
	for range begun - crowdStreams {
		err := <-refused
		if e, ok := errors.AsType[*quic.StreamError](err); !ok || e.ErrorCode != doqTooMany {
			t.Error(err)
		}
	}

	raw, err := ask(x.overQUIC(t, boxName), framed(question(t, 0, "blocked.example.")))
	if err != nil || unframed(t, raw).Rcode != dns.RcodeNameError {
		t.Errorf("another over QUIC: %v", err)
	}
	if status, err := get(x.browser(t), x.url("/")); err != nil || status != http.StatusNotFound {
		t.Errorf("another over HTTPS: %d, %v", status, err)
	}
	for _, w := range bodies {
		w.Close()
	}
	for range room {
		if got := <-statuses; got == http.StatusServiceUnavailable {
			t.Errorf("status %d of one that was let in", got)
		}
	}
}
