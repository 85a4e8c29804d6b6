//go:build linux

package main

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts latencies in buckets whose width is at most 1/64 of what they hold.
type histogram struct {
	counts [64 * 40]uint64
	total  uint64
}

const fine = 6 // bits kept of a value

func bucket(ns uint64) int {
	if ns < 1<<fine {
		return int(ns)
	}
	shift := bits.Len64(ns) - fine - 1
	return min(shift<<fine+int(ns>>shift), 64*40-1)
}

// middle is the value that stands for a bucket.
func middle(b int) uint64 {
	if b < 2<<fine {
		return uint64(b)
	}
	shift := b>>fine - 1
	return uint64(b-shift<<fine)<<shift + 1<<shift/2
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// quantile is the value that a share of p of all lies at or below; 0 when there are none.
func (h *histogram) quantile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := min(uint64(max(math.Ceil(p*float64(h.total))-1, 0)), h.total-1)
	for b, n := range h.counts {
		if n > rank {
			return time.Duration(middle(b))
		}
		rank -= n
	}
	return 0
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}
