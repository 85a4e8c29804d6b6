package update

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"schoolgate/blocklist/parse"
)

// Bounds of one download besides update.timeout and max_size.
const (
	stallAfter    = 30 * time.Second // without one byte
	maxRedirects  = 5
	maxHeader     = 64 << 10 // bytes
	maxValidator  = 1 << 10  // bytes of an ETag or Last-Modified worth keeping
	maxRetryAfter = 24 * time.Hour
	sniffed       = 4 << 10 // bytes that tell what is no list
)

// fetcher downloads sources. It is safe for concurrent use.
type fetcher struct {
	client  *http.Client
	agent   string
	timeout time.Duration // of one whole download
}

// request is one source and what is known of it.
type request struct {
	source             string
	etag, lastModified string // of the copy at hand, "" to fetch without conditions
	limit              int64  // bytes
	sha256             string // hexadecimal, "" for any
	authorization      string // the header of that name; "" for none. No other host than the source's sees it
	verbatim           bool   // not packed on the way: a digest or a signature is of the source as it is
	progress           func(done, total int64)
}

// result is what came. With notModified set nothing was written.
type result struct {
	notModified        bool
	etag, lastModified string
	sha256             string
	size               int64
}

// newFetcher makes a fetcher over transport, nil for one of its own.
func newFetcher(transport http.RoundTripper, version string, timeout time.Duration) *fetcher {
	if transport == nil {
		transport = newTransport()
	}
	return &fetcher{
		client:  &http.Client{Transport: transport, CheckRedirect: checkRedirect},
		agent:   strings.TrimSuffix("schoolgate/"+version, "/"),
		timeout: timeout,
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    15 * time.Second,
		ResponseHeaderTimeout:  stallAfter,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true, // one request a day each: no connection is worth keeping
	}
}

// checkRedirect never leaves https once a request has used it, and sends no address on to the next server.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch scheme := req.URL.Scheme; {
	case len(via) > maxRedirects:
		return &RedirectError{Reason: "more than " + strconv.Itoa(maxRedirects) + " in a row"}
	case scheme != "https" && scheme != "http":
		return &RedirectError{Reason: "it leaves http and https"}
	case scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return &RedirectError{Reason: "it leads from https to http"}
	}
	req.Header.Del("Referer") // a query may hold a key
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		req.Header.Del("Authorization") // net/http would still show it to names below the first
	}
	return nil
}

// fetch writes what the source holds to dst. On an error dst may hold a part of it. The errors are those of this
// package or of the network, without credentials.
func (f *fetcher) fetch(ctx context.Context, q request, dst io.Writer) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, ErrTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stall := time.AfterFunc(stallAfter, func() { stop(ErrStalled) })
	defer stall.Stop()
	res, err := f.exchange(ctx, q, dst, func() { stall.Reset(stallAfter) })
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		return result{}, context.Cause(ctx)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return result{}, ErrTruncated
	}
	return result{}, scrub(q.source, err)
}

func (f *fetcher) exchange(ctx context.Context, q request, dst io.Writer, alive func()) (result, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.source, nil)
	if err != nil || req.URL.Host == "" {
		return result{}, ErrAddress
	}
	req.Header.Set("User-Agent", f.agent)
	// What is asked for by name comes as it was sent: package parse unpacks it within bounds.
	req.Header.Set("Accept-Encoding", "gzip")
	if q.verbatim {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if q.authorization != "" {
		req.Header.Set("Authorization", q.authorization)
	}
	if q.etag != "" {
		req.Header.Set("If-None-Match", q.etag)
	}
	if q.lastModified != "" {
		req.Header.Set("If-Modified-Since", q.lastModified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return result{}, err
	}
	defer resp.Body.Close()
	alive()
	conditional := q.etag != "" || q.lastModified != ""
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		return result{notModified: true}, nil
	case resp.StatusCode != http.StatusOK:
		return result{}, &StatusError{Code: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	case resp.ContentLength > q.limit:
		return result{}, &SizeError{Limit: q.limit}
	}
	res := result{etag: validator(resp.Header, "ETag"), lastModified: validator(resp.Header, "Last-Modified")}
	body := &meter{r: resp.Body, limit: q.limit, total: resp.ContentLength, alive: alive, progress: q.progress}
	res.sha256, err = store(body, dst)
	if err != nil {
		return result{}, err
	}
	res.size = body.done
	if q.sha256 != "" && !strings.EqualFold(q.sha256, res.sha256) {
		return result{}, &DigestError{Want: strings.ToLower(q.sha256), Got: res.sha256}
	}
	return res, nil
}

// store copies r to dst and gives its SHA-256, unless it is empty or begins as no list does.
func store(r io.Reader, dst io.Writer) (hexSum string, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if len(bytes.TrimSpace(head)) == 0 && len(head) < sniffed {
		return "", parse.ErrEmpty
	}
	if err := parse.Sniff(head); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(dst, h), br); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// meter reads a body up to its limit and tells how far it is.
type meter struct {
	r           io.Reader
	limit       int64
	done, total int64 // bytes; total is -1 when unknown
	alive       func()
	progress    func(done, total int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if n > 0 {
		m.done += int64(n)
		m.alive()
		if m.done > m.limit {
			return 0, &SizeError{Limit: m.limit}
		}
		if m.progress != nil {
			m.progress(m.done, m.total)
		}
	}
	return n, err
}

func validator(h http.Header, name string) string {
	if v := h.Get(name); len(v) <= maxValidator {
		return v
	}
	return ""
}

// retryAfter reads the Retry-After header in seconds (RFC 9110 section 10.2.3), 0 without one. The form with a date is
// left out: it would trust two clocks.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 32)
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, maxRetryAfter)
}
