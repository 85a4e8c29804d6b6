package dnssec_test

import (
	"testing"

	"github.com/miekg/dns"

	"schoolgate/resolver/dnssec"
)

func TestWorld(t *testing.T) {
	w := oneWorld()
	v := dnssec.New(w.options(t))
	for _, want := range w.wants {
		t.Run(want.name+dns.TypeToString[want.typ], func(t *testing.T) {
			q := question(t, want.name, want.typ)
			_, verdict, steps, err := v.Explain(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Status != want.status {
				t.Errorf("%v (%s), want %v", verdict.Status, verdict.Why, want.status)
				for _, s := range steps {
					t.Logf("%s %s", s.Name, s.Finding)
				}
			}
			r, err := v.Exchange(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if int(r.RCode) != want.rcode {
				t.Errorf("rcode %d, want %d", r.RCode, want.rcode)
			}
			if r.AD != (want.status == dnssec.Secure) {
				t.Errorf("AD is %v", r.AD)
			}
			if want.status == dnssec.Bogus && r.EDE == 0 {
				t.Error("no extended error")
			}
		})
	}
	t.Logf("%d questions, %+v", len(w.wants), v.State())
}
