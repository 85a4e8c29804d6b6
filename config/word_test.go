package config

import (
	"encoding"
	"reflect"
	"testing"
	"time"
)

func TestTextForms(t *testing.T) {
	tests := []struct {
		into encoding.TextUnmarshaler
		text string
		want string // "" is refused
	}{
		{new(Duration), "90s", "1m30s"},
		{new(Duration), "10m", "10m"},
		{new(Duration), "24h", "24h"},
		{new(Duration), "1d", "24h"},
		{new(Duration), "150d", "150d"},
		{new(Duration), "1d12h", "36h"},
		{new(Duration), "36h30m5s", "36h30m5s"},
		{new(Duration), "100ms", "100ms"},
		{new(Duration), "0s", "0s"},
		{new(Duration), "1h0m5s", "1h0m5s"},
		{new(Duration), "106751d", "106751d"},
		{new(Duration), "106752d", ""},
		{new(Duration), "106751d24h", ""},
		{new(Duration), "4000000000d", ""},
		{new(Duration), "", ""},
		{new(Duration), "d", ""},
		{new(Duration), "5", ""},
		{new(Duration), "-5s", ""},
		{new(Duration), "1d-5s", ""},
		{new(Duration), "1d+5s", ""},
		{new(Duration), "1.5d", ""},
		{new(Size), "8 MB", "8 MB"},
		{new(Size), "8mib", "8 MB"},
		{new(Size), "1024 KB", "1 MB"},
		{new(Size), "1025 KB", "1025 KB"},
		{new(Size), "0 B", "0 B"},
		{new(Size), "3GB", "3 GB"},
		{new(Size), "8589934591 GB", "8589934591 GB"},
		{new(Size), "8589934592 GB", ""},
		{new(Size), "8", ""},
		{new(Size), "-8 MB", ""},
		{new(Size), "1.5 MB", ""},
		{new(Size), "MB", ""},
		{new(Date), "2028-02-29", "2028-02-29"},
		{new(Date), "2027-02-29", ""},
		{new(Date), "2027-2-9", ""},
		{new(TimeOfDay), "08:30", "08:30"},
		{new(TimeOfDay), "8:30", "08:30"},
		{new(TimeOfDay), "23:59", "23:59"},
		{new(TimeOfDay), "24:00", ""},
		{new(TimeOfDay), "12:60", ""},
		{new(TimeOfDay), "12:5", ""},
		{new(TimeOfDay), "012:05", ""},
		{new(TimeOfDay), "+1:05", ""},
		{new(Weekday), "MON", "monday"},
		{new(Weekday), "sunday", "sunday"},
		{new(Weekday), "mond", ""},
		{new(MAC), "00-00-5E-00-53-Af", "00:00:5e:00:53:af"},
		{new(MAC), "0:0:5e:0:53:1", "00:00:5e:00:53:01"},
		{new(MAC), "0000.5e00.5301", "00:00:5e:00:53:01"},
		{new(MAC), "00005e-005301", "00:00:5e:00:53:01"},
		{new(MAC), "00005e005301", "00:00:5e:00:53:01"},
		{new(MAC), "00:00:5e:00:53", ""},
		{new(MAC), "00:00:5e:00:53:0g", ""},
		{new(MAC), "00:00:5e:00:53:001", ""},
		{new(MAC), "00:00-5e:00:53:01", ""},
		{new(MAC), "00:00:5e:00:53:01:02:03", ""},
		{new(Client), "192.0.2.7", "192.0.2.7"},
		{new(Client), "192.0.2.0/24", "192.0.2.0/24"},
		{new(Client), "2001:db8::7/128", "2001:db8::7"},
		{new(Client), "::ffff:192.0.2.7", "192.0.2.7"},
		{new(Client), "fe80::1%eth0", "fe80::1"},
		{new(Client), "00005E005301", "00:00:5e:00:53:01"},
		{new(Client), "192.0.2.7/24", ""},
		{new(Client), "00:00:00:00:00:00", ""},
		{new(Client), "", ""},
		{new(Answer), "nxdomain", "nxdomain"},
		{new(Answer), "zero", "zero"},
		{new(Answer), "page 192.0.2.1", "page 192.0.2.1"},
		{new(Answer), "page 2001:db8::1 192.0.2.1", "page 192.0.2.1 2001:db8::1"},
		{new(Answer), "page 2001:db8::1", ""},
		{new(Answer), "page 192.0.2.1 2001:db8::1 192.0.2.2", ""},
		{new(Answer), "page www.example", ""},
		{new(Answer), "zero 192.0.2.1", ""},
		{new(Answer), "", ""},
		{new(YouTube), "moderate", "moderate"},
		{new(YouTube), "Strict", ""},
		{new(TLSMode), "none", "none"},
		{new(TLSMode), "ssl", ""},
		{new(Format), "rpz", "rpz"},
		{new(Format), "", ""},
		{new(Server), "192.0.2.1", "udp://192.0.2.1:53"},
		{new(Server), "192.0.2.1:5353", "udp://192.0.2.1:5353"},
		{new(Server), "2001:db8::1", "udp://[2001:db8::1]:53"},
		{new(Server), "udp://[2001:db8::1]", "udp://[2001:db8::1]:53"},
		{new(Server), "tls://192.0.2.1", "tls://192.0.2.1:853"},
		{new(Server), "tls://192.0.2.1#192.0.2.1", "tls://192.0.2.1:853"},
		{new(Server), "tls://192.0.2.1:8853#DNS.example.", "tls://192.0.2.1:8853#dns.example"},
		{new(Server), "tls://192.0.2.1#", ""},
		{new(Server), "tls://192.0.2.1#not a name", ""},
		{new(Server), "udp://192.0.2.1#dns.example", ""},
		{new(Server), "tcp://192.0.2.1", "tcp://192.0.2.1:53"},
		{new(Server), "quic://192.0.2.1#dns.example", "quic://192.0.2.1:853#dns.example"},
		{new(Server), "https://192.0.2.1#dns.example", "https://192.0.2.1:443/dns-query#dns.example"},
		{new(Server), "https://192.0.2.1/dns-query", "https://192.0.2.1:443/dns-query"},
		{new(Server), "https://[2001:db8::1]:8443/a/b%20c#dns.example", "https://[2001:db8::1]:8443/a/b%20c#dns.example"},
		{new(Server), "https://192.0.2.1/dns-query{?dns}#dns.example", "https://192.0.2.1:443/dns-query#dns.example"},
		{new(Server), "tls://192.0.2.1#dns.example  pin=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "tls://192.0.2.1:853#dns.example pin=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
		{new(Server), "tls://192.0.2.1 pin=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= pin=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""},
		{new(Server), "tls://192.0.2.1 pin=47DEQ", ""},
		{new(Server), "tls://192.0.2.1 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""},
		{new(Server), "tcp://192.0.2.1 pin=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""},
		{new(Server), "https://192.0.2.1/dns query", ""},
		{new(Server), "https://192.0.2.1/dns?a=b#dns.example", ""},
		{new(Server), "tls://192.0.2.1/dns-query", ""},
		{new(Server), "h3://192.0.2.1", ""},
		{new(Strategy), "fastest", "fastest"},
		{new(Strategy), "random", ""},
		{new(Zone), "LAN", "lan"},
		{new(Zone), "*.school.internal", "school.internal"},
		{new(Zone), "192.168.1.0/24", "192.168.1.0/24"},
		{new(Zone), "fd00:db8::/32", "fd00:db8::/32"},
		{new(Zone), "192.168.1.1/24", ""},
		{new(Zone), "192.168.1.1", ""},
		{new(Zone), "0.0.0.0/0", ""},
		{new(Zone), "fd00::1", ""},
		{new(Zone), ".", ""},
		{new(Zone), "", ""},
		{new(Server), "https://dns.example/dns-query", ""},
		{new(Server), "dns.example", ""},
		{new(Server), "", ""},
	}
	for _, tt := range tests {
		kind := reflect.TypeOf(tt.into).Elem()
		err := tt.into.UnmarshalText([]byte(tt.text))
		if (err == nil) != (tt.want != "") {
			t.Errorf("%v of %q: %v, want %q", kind, tt.text, err, tt.want)
			continue
		}
		v := reflect.ValueOf(tt.into).Elem()
		if err != nil {
			if !v.IsZero() {
				t.Errorf("%v of %q: refused, but left %v behind", kind, tt.text, v)
			}
			continue
		}
		written, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil || string(written) != tt.want {
			t.Errorf("%v of %q is written %q, %v; want %q", kind, tt.text, written, err, tt.want)
		}
		again := reflect.New(kind)
		if err := again.Interface().(encoding.TextUnmarshaler).UnmarshalText(written); err != nil || again.Elem().Interface() != v.Interface() {
			t.Errorf("%v: %q is not read back: %v, %v", kind, written, again.Elem(), err)
		}
	}
}

func TestServerName(t *testing.T) {
	for text, want := range map[string]string{
		"tls://192.0.2.1#DNS.example": "dns.example",
		"tls://192.0.2.1":             "192.0.2.1", // its certificate must hold the address
		"udp://192.0.2.1":             "",
	} {
		var s Server
		if err := s.UnmarshalText([]byte(text)); err != nil || s.Name != want {
			t.Errorf("%q has the name %q, %v; want %q", text, s.Name, err, want)
		}
	}
}

func TestDate(t *testing.T) {
	a, b := Date{2026, time.December, 31}, Date{2027, time.January, 1}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("Compare has the wrong order")
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	if got := (Date{2026, time.July, 1}).Start(london).UTC(); !got.Equal(time.Date(2026, time.June, 30, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("the day begins at %v", got)
	}
}

func TestLocation(t *testing.T) {
	c := Default()
	if got := c.Location().String(); got != "Europe/London" {
		t.Errorf("location %s", got)
	}
	c.Site.Timezone = "Nowhere/None"
	if c.Location() != time.UTC {
		t.Errorf("location of an unknown zone %v", c.Location())
	}
}

func TestNearest(t *testing.T) {
	words := []string{"gaming", "gambling", "hate", "social-media"}
	for word, want := range map[string]string{
		"gamlbing": `did you mean "gambling"?`, "Gaming": `did you mean "gaming"?`, "gamling": `did you mean "gaming" or "gambling"?`,
		"socialmedia": `did you mean "social-media"?`, "haet": `did you mean "hate"?`, "fun": "no", "": "no", "media": "no",
	} {
		if got := suggest(word, words, "no"); got != want {
			t.Errorf("suggest(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for source, want := range map[string]string{
		"lists/own.txt":                   "lists/own.txt",
		"https://lists.example":           "https://lists.example",
		"https://lists.example/a/b?key=1": "https://lists.example/…",
		"https://me:key@lists.example":    "https://lists.example/…",
		"https://lists.example?key":       "https://lists.example/…",
		"https://a@b/c@d":                 "https://b/…",
	} {
		if got := redact(source); got != want {
			t.Errorf("redact(%q) = %q, want %q", source, got, want)
		}
	}
}
