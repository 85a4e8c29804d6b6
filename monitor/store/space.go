package store

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"schoolgate/monitor"
)

// ErrFull is returned when rows cannot be written because the disk is full, or because what is left of it is kept for
// alerts. It is syscall.ENOSPC too, for those who do not know this package.
var ErrFull = fmt.Errorf("too little space for rows: %w", syscall.ENOSPC)

// Rows are written only while so much of the file system is free: the rest is for alerts, mails, changes and gaps, which are
// small and must not be lost. It is maxFloor, or on a small disk one floorPart-th of it.
const (
	maxFloor  = 256 << 20
	floorPart = 10
	// Below warnAt times the floor there is a warning, while there is time to do something.
	warnAt = 4
)

// disk is how much room the file system has, as far as that decides anything. A limit that was passed is left again at five
// quarters of it, so that nothing flutters.
type disk struct {
	below   time.Time // since when free space has been below the floor; zero when it is not
	low     time.Time // likewise the warning
	refused time.Time // since when a write has found no room

	space func(dir string) (free, total int64, err error) // for tests; nil is the file system
}

// look asks the file system. What it does not tell changes nothing.
func (d *disk) look(dir string, now time.Time) {
	ask := space
	if d.space != nil {
		ask = d.space
	}
	free, total, err := ask(dir)
	if err != nil || total <= 0 {
		return
	}
	floor := min(maxFloor, total/floorPart)
	d.below = since(d.below, free, floor, now)
	d.low = since(d.low, free, warnAt*floor, now)
}

// since is when free fell below limit, given when it had done so last.
func since(last time.Time, free, limit int64, now time.Time) time.Time {
	if !last.IsZero() {
		limit += limit / 4
	}
	switch {
	case free >= limit:
		return time.Time{}
	case last.IsZero():
		return now
	}
	return last
}

// full says whether rows must not be written.
func (d *disk) full() bool { return !d.below.IsZero() }

// outcome takes note of what came of writing rows.
func (d *disk) outcome(err error, now time.Time) {
	switch {
	case err == nil:
		d.refused = time.Time{}
	case noRoom(err) && d.refused.IsZero():
		d.refused = now
	}
}

// noRoom says whether err means that there was none for a write.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || hasCode(err, codeFull)
}

func (d *disk) conditions() []monitor.Condition {
	full := d.below
	if full.IsZero() || !d.refused.IsZero() && d.refused.Before(full) {
		full = d.refused
	}
	switch {
	case !full.IsZero():
		return []monitor.Condition{{
			Code: "record.full", Severity: monitor.Critical, Since: full,
			Title: "The disk is full: queries are not being recorded.",
			Hint:  "Free some space, or keep rows for fewer days (store.retention). Filtering, alerts and mails go on.",
		}}
	case !d.low.IsZero():
		return []monitor.Condition{{
			Code: "record.space", Severity: monitor.Warning, Since: d.low,
			Title: "The disk is filling up: soon queries will not be recorded any more.",
			Hint:  "Free some space, or keep rows for fewer days (store.retention).",
		}}
	}
	return nil
}
