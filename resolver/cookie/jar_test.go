package cookie

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"schoolgate/resolver/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// brought is a cookie as it came in a request.
func brought(t testing.TB, s string) *wire.Cookie {
	c := new(wire.Cookie)
	c.Len = uint8(copy(c.Data[:], unhex(t, s)))
	return c
}

func shown(c *wire.Cookie) string { return hex.EncodeToString(c.Data[:c.Len]) }

// withSecrets is a jar as another server of the same secrets would have.
func withSecrets(t testing.TB, now, before string, since time.Time) *Jar {
	j := NewJar(since)
	j.secrets.Store(&secrets{now: secretOf([16]byte(unhex(t, now))), before: secretOf([16]byte(unhex(t, before))), since: since})
	return j
}

// The cookies of RFC 9018 appendix A, which every server of the same secret comes to.
func TestPublishedCookies(t *testing.T) {
	const first, second, third = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	tests := []struct {
		name, now, before, client string
		at                        int64
		came, want                string
		proven                    bool
	}{
		{"new", first, first, "198.51.100.100", 1559731985, "2464c4abcf10c957", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", false},
		{"old enough to renew", first, first, "198.51.100.100", 1559734385, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", true},
		{"reserved bytes set", first, first, "203.0.113.203", 1559727985 + 10, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", true},
		{"renewed without them", first, first, "203.0.113.203", 1559734700, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", false},
		{"of the secret before", third, second, "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961, "22681ab97d52c298010000005cf7c57926556bd0934c72f8", "22681ab97d52c298010000005cf7c609a6bb79d16625507a", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := time.Unix(tt.at, 0)
			c := brought(t, tt.came)
			proven := withSecrets(t, tt.now, tt.before, at).Judge(c, netip.MustParseAddr(tt.client), at)
			if got := shown(c); got != tt.want || proven != tt.proven || !c.Ours {
				t.Errorf("cookie %s, want %s; proven %v", got, tt.want, proven)
			}
		})
	}
}

var (
	start  = time.Date(2026, time.September, 16, 12, 0, 0, 0, time.UTC)
	client = netip.MustParseAddr("192.0.2.7")
)

// given is a cookie of the jar as its client brings it back.
func given(t testing.TB, j *Jar, at time.Time) *wire.Cookie {
	c := brought(t, "0102030405060708")
	if j.Judge(c, client, at) {
		t.Fatal("a client is proven that brought nothing")
	}
	c.Ours = false
	return c
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		after  time.Duration
		change func(c *wire.Cookie)
		client string
		proven bool
		kept   bool
	}{
		{name: "at once", proven: true, kept: true},
		{name: "half an hour", after: 30 * time.Minute, proven: true, kept: true},
		{name: "more than that", after: 30*time.Minute + time.Second, proven: true},
		{name: "an hour", after: time.Hour, proven: true},
		{name: "more than that", after: time.Hour + time.Second},
		{name: "a clock set back", after: -5 * time.Minute, proven: true, kept: true},
		{name: "far back", after: -5*time.Minute - time.Second},
		{name: "a day", after: 24 * time.Hour},
		{name: "from another address", client: "192.0.2.8"},
		{name: "from an address of the other family", client: "2001:db8::7"},
		{name: "another client cookie", change: func(c *wire.Cookie) { c.Data[0] ^= 1 }},
		{name: "another version", change: func(c *wire.Cookie) { c.Data[8] ^= 3 }},
		{name: "another time", change: func(c *wire.Cookie) { c.Data[15] ^= 1 }},
		{name: "another hash", change: func(c *wire.Cookie) { c.Data[23] ^= 0x80 }},
		{name: "the client's part alone", change: func(c *wire.Cookie) { c.Len = 8 }},
		{name: "cut", change: func(c *wire.Cookie) { c.Len = 16 }},
		{name: "longer", change: func(c *wire.Cookie) { c.Len = 40 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := NewJar(start)
			c := given(t, j, start)
			if tt.change != nil {
				tt.change(c)
			}
			came, from := shown(c), client
			if tt.client != "" {
				from = netip.MustParseAddr(tt.client)
			}
			now := start.Add(tt.after)
			if proven := j.Judge(c, from, now); proven != tt.proven {
				t.Errorf("proven: %v", proven)
			}
			if kept := shown(c) == came; kept != tt.kept || !c.Ours || c.Len != 24 {
				t.Errorf("cookie %s of %s", shown(c), came)
			}
			if !j.Judge(c, from, now) {
				t.Error("the cookie that was given is not good")
			}
		})
	}
	var none wire.Cookie
	if NewJar(start).Judge(&none, client, start) || none.Ours {
		t.Error("a client without a cookie got one")
	}
}

// A secret is in use for a day; the cookies of the one before stay good for as long as they would have been.
func TestSecretsChange(t *testing.T) {
	j := NewJar(start)
	late := start.Add(secretLife - time.Minute)
	c := given(t, j, late)
	first := j.secrets.Load()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			mine := *c
			if !j.Judge(&mine, client, late.Add(2*time.Minute)) {
				t.Error("the cookie of the secret before is not good")
			}
			if shown(&mine) == shown(c) {
				t.Error("no cookie of the new secret was given")
			}
		})
	}
	all.Wait()
	if s := j.secrets.Load(); s.before != first.now || s.now == first.now {
		t.Error("secrets did not move on by one")
	}
	older := *c
	j.Judge(&older, client, late.Add(2*time.Minute+secretLife))
	if s := j.secrets.Load(); s.before == first.now || s.now == first.now {
		t.Error("a secret outlived two days")
	}
}

// Nobody without the secret makes a good cookie, whatever it knows of others.
func TestForged(t *testing.T) {
	j := NewJar(start)
	rapid.Check(t, func(t *rapid.T) {
		c := new(wire.Cookie)
		n := copy(c.Data[:], rapid.SliceOfN(rapid.Byte(), 16, 40).Draw(t, "cookie"))
		c.Len = uint8(n)
		if rapid.Bool().Draw(t, "of the right form") {
			c.Len, c.Data[8] = 24, version
			binary.BigEndian.PutUint32(c.Data[12:], uint32(start.Unix()))
		}
		if j.Judge(c, client, start) {
			t.Fatalf("%s is good", shown(c))
		}
	})
}

func TestJudgeDoesNotAllocate(t *testing.T) {
	j := NewJar(start)
	good, v6 := given(t, j, start), netip.MustParseAddr("2001:db8::7")
	scratch := new(wire.Cookie)
	for name, from := range map[string]netip.Addr{"good": client, "bad": v6} {
		if n := testing.AllocsPerRun(100, func() {
			*scratch = *good
			j.Judge(scratch, from, start)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	j := NewJar(start)
	c := given(b, j, start)
	for b.Loop() {
		j.Judge(c, client, start)
	}
}
