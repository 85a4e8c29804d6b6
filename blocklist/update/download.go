package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"schoolgate/config"
)

// Download is one look at the source of a list by who keeps the list elsewhere: within the same bounds, and with the
// same care for credentials, as the Updater's own.
type Download struct {
	List               config.List
	ETag, LastModified string                  // of the copy at hand; "" to fetch without conditions
	Transport          http.RoundTripper       // nil for one with the package's own time limits
	Version            string                  // of the program
	Timeout            time.Duration           // of the whole; 0 for the package's own
	Progress           func(done, total int64) // or nil
}

// Downloaded is what came of a Download. With NotModified set nothing was written.
type Downloaded struct {
	NotModified        bool
	ETag, LastModified string
	RetryAfter         time.Duration // what a server asked for that refused
	Content            bool          // the error is about what the source holds: the same bytes would come again
}

// To writes what the source holds to dst. After an error dst may hold a part of it. Errors hold no credentials.
func (d Download) To(ctx context.Context, dst io.Writer) (Downloaded, error) {
	q := request{
		source: d.List.Source, etag: d.ETag, lastModified: d.LastModified, limit: maxSize(d.List), sha256: d.List.SHA256,
		progress: d.Progress,
	}
	var err error
	if q.authorization, err = d.List.Authorization(); err != nil {
		return Downloaded{}, err
	}
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	res, err := newFetcher(d.Transport, d.Version, timeout).fetch(ctx, q, dst)
	out := Downloaded{NotModified: res.notModified, ETag: res.etag, LastModified: res.lastModified}
	if err != nil {
		out.Content = content(err)
		if s, ok := errors.AsType[*StatusError](err); ok {
			out.RetryAfter = s.RetryAfter
		}
	}
	return out, err
}

// Remote says whether a source is fetched over HTTP rather than read from a path.
func Remote(source string) bool { return remote(source) }

// Display is a source as people may see it: an address without credentials, query and fragment, a path unchanged.
func Display(source string) string { return display(source) }

// Identity tells the sources of lists apart without holding their credentials.
func Identity(l config.List) string { return identity(l) }

// Forget removes what the folder dir holds of some lists in readable form, which has no place there once they belong to
// the illegal tier. The compiled set is not touched: it changes with the next compilation.
func Forget(dir string, lists []config.List) error {
	f := folder(dir)
	gone := make(map[string]bool, len(lists))
	for _, l := range lists {
		gone[base(l.Name)] = true
	}
	err := f.remove(func(name string) bool {
		stem, ending, _ := strings.Cut(name, ".")
		return gone[stem] && ending != "" && ending != "set"
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever kept
	}
	return err
}
