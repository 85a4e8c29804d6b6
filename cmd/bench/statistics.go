//go:build linux

package main

import (
	"slices"
)

// spread is the middle and the ends of a figure over the rounds.
type spread struct {
	Median, Min, Max float64
	Rounds           int
}

// spreadOf is over what values there are; Rounds is 0 when there are none.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1], Rounds: n}
}

// measured holds all rounds of one server. A round that it did not finish is nil.
type measured struct {
	Server string    `json:"server"`
	Rounds []figures `json:"rounds"`
}

func (m *measured) sum(key string) (total float64) {
	for _, f := range m.Rounds {
		total += f[key]
	}
	return total
}

func (m *measured) spread(key string) spread {
	var values []float64
	for _, f := range m.Rounds {
		if v, ok := f[key]; ok {
			values = append(values, v)
		}
	}
	return spreadOf(values)
}

// ratio is over the ratios to another server in the same round.
func (m *measured) ratio(to *measured, key string) spread {
	var values []float64
	if to == nil {
		return spread{}
	}
	for i, f := range m.Rounds {
		if i >= len(to.Rounds) {
			break
		}
		a, ok1 := f[key]
		b, ok2 := to.Rounds[i][key]
		if ok1 && ok2 && b > 0 {
			values = append(values, a/b)
		}
	}
	return spreadOf(values)
}
