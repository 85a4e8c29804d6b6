package domain

import "testing"

func TestIsPublicSuffix(t *testing.T) {
	for name, want := range map[Name]bool{
		"": true, "com": true, "uk": true, "co.uk": true, "gov.uk": true, "test": true, // no such top level, so all of it
		"sch.uk": true, "somerset.sch.uk": true, "school.somerset.sch.uk": false, // rule *.sch.uk
		"ck": true, "co.ck": true, "www.ck": false, "kobe.jp": true, "city.kobe.jp": false, // wildcards with exceptions
		"example.com": false, "www.example.com": false, "bbc.co.uk": false, "blogspot.com": false, "x.com": false,
	} {
		if got := name.IsPublicSuffix(); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for name, want := range map[Name]bool{
		"": false, "nas": false, "printer.lan": false, "dc.school.local": false, "host.corp": false, "a.b.example": false,
		"uk": true, "com": true, "school.surrey.sch.uk": true, "example.com": true, "x.someone.blogspot.com": true, "xn--bcher-kva.example": false,
		"x.xn--p1ai": true, "www.ck": true,
	} {
		if got := name.IsPublic(); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
