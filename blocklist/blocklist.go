// Package blocklist keeps millions of domain names in one compact immutable radix Set, each name with the lists that
// hold it.
package blocklist

import (
	"math/bits"
	"time"

	"schoolgate/blocklist/domain"
)

// MaxLists is how many lists one Set can tell apart.
const MaxLists = 128

// Mask is a set of lists: bit i stands for list i of the Set.
type Mask [MaxLists / 64]uint64

// Add puts list i into the mask.
func (m *Mask) Add(i int) { m[i>>6] |= 1 << (i & 63) }

// Has says whether list i is in the mask.
func (m Mask) Has(i int) bool { return m[i>>6]&(1<<(i&63)) != 0 }

// And is what both masks have.
func (m Mask) And(o Mask) Mask { return Mask{m[0] & o[0], m[1] & o[1]} }

// Or is what either mask has.
func (m Mask) Or(o Mask) Mask { return Mask{m[0] | o[0], m[1] | o[1]} }

// Without is what m has and o has not.
func (m Mask) Without(o Mask) Mask { return Mask{m[0] &^ o[0], m[1] &^ o[1]} }

// Empty says whether no list is in the mask.
func (m Mask) Empty() bool { return m[0]|m[1] == 0 }

// First is the lowest list in the mask, -1 when it is empty.
func (m Mask) First() int {
	for w, v := range m {
		if v != 0 {
			return w*64 + bits.TrailingZeros64(v)
		}
	}
	return -1
}

// Scope is how far a rule reaches.
type Scope uint8

// The scopes.
const (
	Subtree Scope = iota // the name and everything below it
	Exact                // the name alone
	Below                // everything below the name, not the name itself
)

func (s Scope) String() string { return [...]string{"subtree", "exact", "below"}[s] }

// Rule is one line of a list: it holds a name, or excepts one from what the same list holds. An exception covers its
// scope whatever rule of the same list is longer or shorter, and touches no other list.
type Rule struct {
	Name   domain.Name
	Scope  Scope
	Except bool
}

// Info describes one list of a Set.
type Info struct {
	Name    string    `json:"name"`    // as configured; unique in the Set
	Rules   int       `json:"rules"`   // distinct rules taken in
	Digest  string    `json:"digest"`  // of the source, for change detection; opaque here
	Fetched time.Time `json:"fetched"` // when the source was last confirmed to be current
}

// Hit is one rule of the Set that speaks of a name: what Why returns.
type Hit struct {
	Rule  Rule
	Lists Mask
}
