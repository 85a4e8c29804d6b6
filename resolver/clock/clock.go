// Package clock tells the time that can be believed: a small box has no battery, starts in the past, and may need names
// resolved before anybody can tell it the time.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock is the system's time and what is known against it. The zero value believes the system. It may be used by many
// goroutines at once; the fields are set before the first use.
type Clock struct {
	Built        time.Time        // when the program was made: no time before can be; zero is not known
	System       func() time.Time // nil is time.Now
	Synchronised func() bool      // whether somebody keeps the system's time right; nil asks the kernel

	floor atomic.Int64 // Unix nanoseconds of what Heed was told, 0 for nothing
}

// Now is the system's time, unless that cannot be: then the latest time that is known to have been. It does not allocate.
func (c *Clock) Now() time.Time {
	now := c.system()
	if now.Before(c.Built) {
		now = c.Built
	}
	if n := c.floor.Load(); n > now.UnixNano() {
		if c.Proven() {
			c.floor.Store(0)
		} else {
			now = time.Unix(0, n)
		}
	}
	return now
}

// Proven says whether the system's time is kept right by somebody, such as an NTP client, and can be.
func (c *Clock) Proven() bool {
	synchronised := c.Synchronised
	if synchronised == nil {
		synchronised = kernel
	}
	return !c.system().Before(c.Built) && synchronised()
}

// Heed takes note that t has been, as somebody says who is trusted: a certificate that an authority gave out at t. It
// counts until the system's time is proven.
func (c *Clock) Heed(t time.Time) {
	for n := c.floor.Load(); t.UnixNano() > n && !c.Proven(); n = c.floor.Load() {
		if c.floor.CompareAndSwap(n, t.UnixNano()) {
			return
		}
	}
}

// Wrong says whether the system's time cannot be, and what is believed instead.
func (c *Clock) Wrong() (system, believed time.Time, wrong bool) {
	system, believed = c.system(), c.Now()
	return system, believed, believed.Sub(system) > tolerance
}

// tolerance is by how much the system's time may be behind without being called wrong: between two looks at it, and as
// authorities date certificates.
const tolerance = time.Minute

func (c *Clock) system() time.Time {
	if c.System == nil {
		return time.Now()
	}
	return c.System()
}
