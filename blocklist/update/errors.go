package update

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"schoolgate/blocklist/parse"
)

// Errors of one source, besides those of package parse. Each of them leaves the last good copy in use.
var (
	ErrTruncated = errors.New("the connection ended before the whole source had come")
	ErrStalled   = errors.New("the server stopped sending")
	ErrTimeout   = errors.New("the download took longer than update.timeout allows")
	ErrNoCopy    = errors.New("no copy of the list was ever accepted")
	ErrAddress   = errors.New("the source is not a usable address")
	ErrUnknown   = errors.New("no list of this name is configured")
	ErrDeclined  = errors.New("the source still holds the version that a person refused")
)

// ErrNothing means that there is not one list to compile, so nothing was written.
var ErrNothing = errors.New("no list has a usable copy")

// StatusError is an HTTP status other than 200, or a 304 that was not asked for.
type StatusError struct {
	Code       int
	RetryAfter time.Duration // what the server asked for, 0 when it did not
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered with status %d", e.Code)
}

// SizeError is a source larger than the list's max_size.
type SizeError struct {
	Limit int64 // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("the source is larger than max_size (%d bytes)", e.Limit)
}

// DigestError is a source that has not the SHA-256 that the configuration asks for.
type DigestError struct {
	Want, Got string // hexadecimal
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("the source has SHA-256 %s, the configuration asks for %s", e.Got, e.Want)
}

// RedirectError is a redirect that is not followed.
type RedirectError struct {
	Reason string
}

func (e *RedirectError) Error() string { return "redirect refused: " + e.Reason }

// ShrinkError is a new version with far fewer rules than the last good one, as a damaged or emptied source has.
type ShrinkError struct {
	Old, New int // rules
	Limit    int // percent
}

func (e *ShrinkError) Error() string {
	return fmt.Sprintf("the new version has only %d rules, the last good one %d (max_shrink %d)", e.New, e.Old, e.Limit)
}

// GrowthError is a new version with far more rules than the last good one, as a list merged with another has.
type GrowthError struct {
	Old, New int // rules
	Limit    int // percent
}

func (e *GrowthError) Error() string {
	return fmt.Sprintf("the new version has %d rules, the last good one only %d (max_growth %d)", e.New, e.Old, e.Limit)
}

// WaitingError is a new version that would block too many names that schools need or that are popular. It waits for
// Updater.Accept or Updater.Refuse.
type WaitingError struct {
	New, Limit int // conflicts
}

func (e *WaitingError) Error() string {
	return fmt.Sprintf("the new version waits for a person: it would newly hold %d names that schools need or that are popular (max_conflicts %d)", e.New, e.Limit)
}

// ListError says which list an error is about. Its text is printable, at most some
// hundred bytes long, and never holds credentials or the query of an address.
type ListError struct {
	List string
	Err  error
}

func (e *ListError) Error() string {
	return fmt.Sprintf("list %q: %s", e.List, printable(e.Err.Error()))
}

// Unwrap gives the cause.
func (e *ListError) Unwrap() error { return e.Err }

// content says whether err is about what the source holds rather than about the way to it, so that asking again soon
// would only fetch the same bytes. A web page is of the way: who logs in at a hotspot, or pays the provider, has the list
// the next time, and until then no more is fetched than what tells that it is one.
func content(err error) bool {
	var size *SizeError
	var digest *DigestError
	if m, ok := errors.AsType[*mirrorsError](err); ok {
		return !slices.ContainsFunc(m.errs, func(e error) bool { return !content(e) })
	}
	for _, target := range []error{parse.ErrEmpty, parse.ErrBinary, parse.ErrLFSPointer, parse.ErrNotAList, parse.ErrCompression} {
		if errors.Is(err, target) {
			return true
		}
	}
	return errors.As(err, &size) || errors.As(err, &digest)
}

// undecided says whether err is about a version that came well and that only a person keeps from being used.
func undecided(err error) bool {
	_, waits := errors.AsType[*WaitingError](err)
	return waits || errors.Is(err, ErrDeclined)
}
