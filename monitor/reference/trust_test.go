package reference

import (
	"os"
	"testing"
	"time"
)

// TestTrust: another key waits, whatever is tried with the configuration; the first one is taken at once.
func TestTrust(t *testing.T) {
	lead, other, none := [32]byte{1}, [32]byte{2}, [32]byte{}
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	for _, c := range []struct {
		what  string
		said  map[int][32]byte // what the configuration says from a day on
		begun int              // the day from which something is enforced
		want  map[int][32]byte // whose key is trusted on some days
		ends  map[int]bool     // whether it may end lists then
	}{
		{"first key with the first list", map[int][32]byte{0: lead}, 0, map[int][32]byte{0: lead}, map[int]bool{0: true}},
		{"first key on a box that enforces", map[int][32]byte{0: none, 2: lead}, -1, map[int][32]byte{1: none, 2: lead}, map[int]bool{2: false, 8: false, 9: true}},
		{"another key", map[int][32]byte{0: lead, 3: other}, 0, map[int][32]byte{3: lead, 9: lead, 10: other}, map[int]bool{3: true, 10: true}},
		{"no key", map[int][32]byte{0: lead, 3: none}, 0, map[int][32]byte{3: lead, 9: lead, 10: none}, map[int]bool{10: false}},
		{"no key and then another", map[int][32]byte{0: lead, 3: none, 5: other}, 0, map[int][32]byte{10: lead, 11: lead, 12: other}, nil},
		{"taken back", map[int][32]byte{0: lead, 3: other, 9: lead, 11: other}, 0, map[int][32]byte{10: lead, 17: lead, 18: other}, nil},
	} {
		var tr Trust
		var says [32]byte
		for n := range 20 {
			if k, ok := c.said[n]; ok {
				says = k
			}
			tr = tr.Heed(says, n > c.begun, day(n))
			if want, ok := c.want[n]; ok && tr.Key != want {
				t.Errorf("%s: on day %d the key %d is trusted", c.what, n, tr.Key[0])
			}
			if want, ok := c.ends[n]; ok && tr.Decides(day(n)) != want {
				t.Errorf("%s: on day %d it may end lists: %t", c.what, n, !want)
			}
		}
	}
	back := Trust{Key: lead}.Heed(other, true, day(5)).Heed(other, true, day(1))
	if back.Heed(other, true, day(6)).Key != lead {
		t.Error("a clock that was set back shortens the wait")
	}
}

func TestTrustFile(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadTrust(dir); err != nil || got != (Trust{}) {
		t.Errorf("before: %+v, %v", got, err)
	}
	want := Trust{Key: [32]byte{1}, From: start}.Heed([32]byte{2}, true, start)
	if err := WriteTrust(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadTrust(dir); err != nil || got != want {
		t.Errorf("read %+v, %v; want %+v", got, err, want)
	}
	if err := os.WriteFile(trustFile(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTrust(dir); err == nil {
		t.Error("a damaged file is taken for none")
	}
}
