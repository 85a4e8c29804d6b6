package change

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRead reads a log of 10,000 lines: what a school writes in about ten years.
func BenchmarkRead(b *testing.B) {
	l := New(b.TempDir())
	if _, err := l.Update(func(*Book, time.Time) (out []Entry, err error) {
		for i := range 10_000 {
			out = append(out, Entry{Kind: KindProposed, What: &What{Action: Block, Name: "a.example"}, By: "A. Lead", Why: fmt.Sprint("reason ", i), For: time.Hour})
		}
		return out, nil
	}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(bytesOf(b, l))))
	b.ReportAllocs()
	for b.Loop() {
		if book, err := l.Read(); err != nil || book.Check(nil) != nil {
			b.Fatal(err)
		}
	}
}
