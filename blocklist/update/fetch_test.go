package update

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/parse"
)

const goodList = "game.example\nplay.example\n"

func hexSum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// testFetcher does without the proxy of the environment.
func testFetcher(timeout time.Duration) *fetcher {
	return newFetcher(&http.Transport{DisableKeepAlives: true}, "1.2.3", timeout)
}

func TestFetch(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		req     request
		want    result
		body    string
	}{
		{
			name: "whole",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
				io.WriteString(w, goodList)
			},
			want: result{etag: `"v1"`, lastModified: "Mon, 02 Nov 2026 10:00:00 GMT", sha256: hexSum(goodList), size: int64(len(goodList))},
			body: goodList,
		},
		{
			name: "unchanged",
			handler: func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") != `"v1"` || r.Header.Get("If-Modified-Since") != "yesterday" {
					http.Error(w, "no condition", http.StatusBadRequest)
					return
				}
				w.WriteHeader(http.StatusNotModified)
			},
			req:  request{etag: `"v1"`, lastModified: "yesterday"},
			want: result{notModified: true},
		},
		{
			name: "says who asks",
			handler: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s %s", r.UserAgent(), r.Header.Get("Accept-Encoding"))
			},
			want: result{sha256: hexSum("schoolgate/1.2.3 gzip"), size: 21},
			body: "schoolgate/1.2.3 gzip",
		},
		{
			name: "pinned sources come unpacked",
			handler: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, r.Header.Get("Accept-Encoding"))
			},
			req:  request{verbatim: true, sha256: strings.ToUpper(hexSum("identity"))},
			want: result{sha256: hexSum("identity"), size: 8},
			body: "identity",
		},
		{
			name: "validators too long to keep",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", strings.Repeat("x", maxValidator+1))
				io.WriteString(w, goodList)
			},
			want: result{sha256: hexSum(goodList), size: int64(len(goodList))},
			body: goodList,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.source = serve(t, tt.handler).URL
			tt.req.limit = 1 << 20
			var out bytes.Buffer
			got, err := testFetcher(time.Minute).fetch(t.Context(), tt.req, &out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.body, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "120")
			http.Error(w, "sorry", code)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error // compared by type and text
	}{
		{"404", status(404), &StatusError{Code: 404, RetryAfter: 2 * time.Minute}},
		{"500", status(500), &StatusError{Code: 500, RetryAfter: 2 * time.Minute}},
		{"partial content", status(206), &StatusError{Code: 206, RetryAfter: 2 * time.Minute}},
		{"304 without a condition", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }, &StatusError{Code: 304}},
		{"empty", func(http.ResponseWriter, *http.Request) {}, parse.ErrEmpty},
		{"blank", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, " \r\n\n") }, parse.ErrEmpty},
		{"web page", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "\n\n<!DOCTYPE html><title>Log in to the network</title>")
		}, parse.ErrHTML},
		{"XML of a storage service", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`)
		}, parse.ErrHTML},
		{"announced too large", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			w.WriteHeader(200)
		}, &SizeError{Limit: 1000}},
		{"too large without saying so", func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				io.WriteString(w, strings.Repeat("many.example\n", 10))
				w.(http.Flusher).Flush()
			}
		}, &SizeError{Limit: 1000}},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "900")
			io.WriteString(w, goodList)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, ErrTruncated},
		{"cut off in chunks", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, goodList)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, ErrTruncated},
		{"round in circles", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again", http.StatusFound)
		}, &RedirectError{Reason: "more than 5 in a row"}},
		{"to another scheme", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "ftp://files.example/list")
			w.WriteHeader(302)
		}, &RedirectError{Reason: "it leaves http and https"}},
		{"to nowhere", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://[secret")
			w.WriteHeader(302)
		}, &RedirectError{Reason: "its target is not a usable address"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.handler)
			_, err := testFetcher(time.Minute).fetch(t.Context(), request{source: s.URL, limit: 1000}, io.Discard)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(fmt.Sprintf("%T %v", tt.want, tt.want), fmt.Sprintf("%T %v", err, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFetchChecksDigest(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, goodList) })
	_, err := testFetcher(time.Minute).fetch(t.Context(), request{source: s.URL, limit: 1000, sha256: hexSum("other")}, io.Discard)
	got, ok := errors.AsType[*DigestError](err)
	if !ok || got.Got != hexSum(goodList) {
		t.Errorf("got %v", err)
	}
}

func TestFetchNeverLeavesHTTPS(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, goodList) })
	safe := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusMovedPermanently))
	defer safe.Close()
	f := newFetcher(safe.Client().Transport, "", time.Minute)
	_, err := f.fetch(t.Context(), request{source: safe.URL, limit: 1000}, io.Discard)
	if got, ok := errors.AsType[*RedirectError](err); !ok || got.Reason != "it leads from https to http" {
		t.Errorf("got %v", err)
	}
}

func TestFetchFollowsRedirectWithoutReferer(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Referer() != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("the next server was told %q, %q", r.Referer(), r.Header.Get("Authorization"))
		}
		io.WriteString(w, goodList)
	})
	// Another host name, so that it counts as another server.
	there := strings.Replace(target.URL, "127.0.0.1", "localhost", 1)
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "secret" {
			t.Errorf("logged in as %q, %q", user, password)
		}
		http.Redirect(w, r, there, http.StatusFound)
	})
	source := strings.Replace(first.URL, "http://", "http://user:secret@", 1) + "/list?key=secret"
	if _, err := testFetcher(time.Minute).fetch(t.Context(), request{source: source, limit: 1000}, io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestFetchEndsInTime(t *testing.T) {
	trickle := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "slow.example\n")
			w.(http.Flusher).Flush()
		}
	})
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, s := range []*httptest.Server{trickle, silent} {
		_, err := testFetcher(50*time.Millisecond).fetch(t.Context(), request{source: s.URL, limit: 1 << 40}, io.Discard)
		if !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply makes a response of a body.
func reply(code int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: -1}
}

// drip gives one byte each so often until its context ends.
type drip struct {
	ctx  context.Context
	wait time.Duration
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(d.wait):
		p[0] = 'a'
		return 1, nil
	}
}

func TestFetchStall(t *testing.T) {
	tests := []struct {
		name  string
		wait  time.Duration // between two bytes
		want  error
		after time.Duration
	}{
		{"silence", time.Hour, ErrStalled, stallAfter},
		{"slow loris", 20 * time.Second, ErrTimeout, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFetcher(roundTrip(func(r *http.Request) (*http.Response, error) {
					return reply(200, drip{r.Context(), tt.wait}), nil
				}), "", 5*time.Minute)
				start := time.Now()
				_, err := f.fetch(t.Context(), request{source: "https://lists.example/a", limit: 1000}, io.Discard)
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	const source = "https://alice:hunter22@lists.example/feed?key=k3y#part"
	for _, inner := range []error{
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
		&url.Error{Op: "Get", URL: source, Err: errors.New("no route")},
		&url.Error{Op: "Get", URL: source, Err: fmt.Errorf("strange reply from %s", source)},
		errors.New("password hunter22 refused"),
		errors.New("user alice unknown"),
	} {
		f := newFetcher(roundTrip(func(*http.Request) (*http.Response, error) { return nil, inner }), "", time.Minute)
		_, err := f.fetch(t.Context(), request{source: source, limit: 1000}, io.Discard)
		if err == nil {
			t.Fatal("no error")
		}
		for _, secret := range []string{"alice", "hunter22", "k3y", "part"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q tells %q", err, secret)
			}
		}
	}
	if got, want := display(source), "https://lists.example/feed"; got != want {
		t.Errorf("display gives %q, want %q", got, want)
	}
	for _, bad := range []string{"https://alice:hunter22@[lists.example/", "https://alice:hun%zzter@lists.example/"} {
		if got := display(bad); got != "https://?" {
			t.Errorf("display(%q) gives %q", bad, got)
		}
		if _, err := testFetcher(time.Minute).fetch(t.Context(), request{source: bad, limit: 1}, io.Discard); !errors.Is(err, ErrAddress) {
			t.Errorf("got %v", err)
		}
	}
}

func TestFetchTellsProgress(t *testing.T) {
	body := strings.Repeat("many.example\n", 10_000)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body)
	})
	var last, total int64
	_, err := testFetcher(time.Minute).fetch(t.Context(), request{
		source: s.URL, limit: 1 << 20, progress: func(d, all int64) {
			if d <= last {
				t.Errorf("from %d to %d", last, d)
			}
			last, total = d, all
		},
	}, io.Discard)
	if err != nil || last != int64(len(body)) || total != last {
		t.Errorf("got %v after %d of %d", err, last, total)
	}
}
