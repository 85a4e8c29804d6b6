package dnssec_test

import (
	"testing"

	"schoolgate/resolver/dnssec"
)

// BenchmarkExchange is what validation adds to an answer from upstream, whose own time (here: of an authority within the test) is the
// first one's. Cached answers never come here.
func BenchmarkExchange(b *testing.B) {
	w := oneWorld()
	for _, c := range []struct{ what, name string }{
		{"ecdsa", "www.ecdsap256sha256-0.optout."},
		{"rsa", "www.rsasha256-0.example."},
		{"ed25519", "www.ed25519-0.nsec."},
		{"unsigned", "www.plain.example."},
		{"nothing-nsec3", "none.ecdsap256sha256-1.example."},
	} {
		q := question(b, c.name, a)
		for _, mode := range []string{"upstream", "zone-known", "all-new"} {
			b.Run(c.what+"/"+mode, func(b *testing.B) {
				v := dnssec.New(w.options(b))
				for b.Loop() {
					if mode == "upstream" {
						if _, err := w.exchange(b.Context(), q); err != nil {
							b.Fatal(err)
						}
						continue
					}
					if mode == "all-new" {
						v = dnssec.New(w.options(b))
					}
					if _, err := v.Exchange(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
				s := v.State()
				if mode == "all-new" {
					b.ReportMetric(float64(s.Verifies), "signatures/op")
					b.ReportMetric(float64(s.Requests), "chain-requests/op")
				}
			})
		}
	}
}
