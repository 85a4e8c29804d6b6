package blocklist

import (
	"fmt"
	"testing"

	"schoolgate/blocklist/domain"
)

// longest is how many buckets a look-up has to read at most.
func (s *Set) longest() int {
	run, most := 0, 0
	for bucket, at := uint64(0), 0; len(s.buckets[at:]) > slack; bucket++ {
		run++
		most = max(most, run)
		if s.buckets[at]&goesOn == 0 {
			run = 0
		}
		_, size := s.directory.bucket(bucket)
		at += size
	}
	return most
}

// A list of names that all have one home under some seed has them all over the set: nobody knows which seed it will have.
func TestNamesMadeToCollide(t *testing.T) {
	const seed, many = 1, 2000
	known := NewBuilder([]Info{{Name: "one"}}, "").HashFrom(seed)
	other := NewBuilder([]Info{{Name: "one"}}, "")
	top := hashLabel(seed, []byte("example"))
	for i, n := 0, 0; n < many; i++ {
		label := fmt.Sprintf("shop%d", i)
		if hashLabel(top, []byte(label))>>56 != 0 {
			continue
		}
		n++
		for _, b := range []*Builder{known, other} {
			if err := b.Add(0, Rule{Name: domain.Name(label + ".example")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var most [2]int
	for i, b := range []*Builder{known, other} {
		s, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		most[i] = s.longest()
	}
	if most[0] < 20 || most[1] > 4 {
		t.Errorf("a look-up reads up to %d buckets where the seed was known, want many, and %d where it was not, want few", most[0], most[1])
	}
}

// Sets that hash alike need one Key, others find out for themselves.
func TestOneKeyForSeveralSets(t *testing.T) {
	set := func(name domain.Name, as *Set) *Set {
		b := NewBuilder([]Info{{Name: "one"}}, "")
		if as != nil {
			b.HashAs(as)
		}
		if err := b.Add(0, Rule{Name: name}); err != nil {
			t.Fatal(err)
		}
		s, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := set("a.example", nil)
	b, c := set("a.example", a), set("a.example", nil)
	if a.seed != b.seed || a.seed == c.seed {
		t.Fatalf("seeds %x, %x and %x", a.seed, b.seed, c.seed)
	}
	k := KeyOf(wireOf(t, "www", "a", "example"))
	for i, s := range []*Set{a, b, c, a} {
		if s.LookupKey(&k).Empty() {
			t.Errorf("set %d does not hold the name", i)
		}
	}
}

// A filter that takes a name for a crowd, as it may, hides nothing below it.
func TestWithinWhatOnlySeemsACrowd(t *testing.T) {
	b := NewBuilder([]Info{{Name: "one"}}, "")
	for i := range 500 {
		for _, n := range []string{"zone%d.example", "a.zone%d.example", "b.a.zone%d.example"} {
			if err := b.Add(0, Rule{Name: domain.Name(fmt.Sprintf(n, i)), Scope: Exact}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		zone := fmt.Sprintf("zone%d", i)
		h := hashLabel(hashLabel(s.seed, []byte("example")), []byte(zone))
		s.directory.line(homeOf(h, s.homes)).markCrowd(h)
		n := 0
		for h := range s.Within(domain.Name("a." + zone + ".example")) {
			n++
			if !h.Rule.Name.Within(domain.Name("a." + zone + ".example")) {
				t.Fatalf("%s is not there", h.Rule.Name)
			}
		}
		if n != 2 {
			t.Fatalf("%d rules in a.%s.example, want 2", n, zone)
		}
	}
}
