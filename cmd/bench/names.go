//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/publicsuffix"
)

// allowedZone is above all names that are allowed; no list has it (RFC 2606).
const allowedZone = "lesson.example"

// names are what the servers load and are asked for.
type names struct {
	origin  string   // in words
	blocked []string // what every server loads: each of these and all below it
	asked   []string // a sample of blocked, in random order
	cached  []string // allowed, and in the caches
}

// loadNames takes most names, spread evenly over the list at path, or makes them when there is no such file.
func loadNames(path string, most, asked, cached int) (*names, error) {
	n := &names{}
	list, err := readNames(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n.origin = fmt.Sprintf("%d made names", most)
		n.blocked = madeNames(most)
	case err != nil:
		return nil, err
	default:
		step := max(float64(len(list))/float64(most), 1)
		for at := 0.0; int(at) < len(list) && len(n.blocked) < most; at += step {
			n.blocked = append(n.blocked, strings.Clone(list[int(at)]))
		}
		n.origin = fmt.Sprintf("%d of the %d real names of %s", len(n.blocked), len(list), filepath.Base(path))
	}
	if len(n.blocked) == 0 {
		return nil, fmt.Errorf("no names in %s", path)
	}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: every run asks for the same
	for range asked {
		n.asked = append(n.asked, n.blocked[rnd.IntN(len(n.blocked))])
	}
	for i := range cached {
		n.cached = append(n.cached, "site"+strconv.Itoa(i)+"."+allowedZone)
	}
	return n, nil
}

func readNames(path string) (list []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the list of names: %w", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer z.Close()
	in := bufio.NewScanner(z)
	for in.Scan() {
		if usable(in.Text()) {
			list = append(list, in.Text())
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return list, nil
}

// usable says whether every server can load the name, and nothing is allowed below it.
func usable(name string) bool {
	if len(name) == 0 || len(name) > 200 || !strings.Contains(name, ".") || strings.HasSuffix(name, "example") {
		return false
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return false // a list that holds one is mistaken, and not every server believes it
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// madeNames are different names of about the length of real ones.
func madeNames(n int) []string {
	rnd := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // G404: every run makes the same
	list := make([]string, n)
	for i := range list {
		b := make([]byte, 4+rnd.IntN(9))
		for k := range b {
			b[k] = byte('a' + rnd.IntN(26))
		}
		list[i] = string(b) + strconv.FormatInt(int64(i), 36) + [...]string{".site.example", ".shop.example", ".net.example", ".video.example"}[rnd.IntN(4)]
	}
	return list
}

// writeLines writes one line for each name, and what stands before them.
func writeLines(path, head string, list []string, line func(w *bufio.Writer, name string)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing names: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<18)
	_, _ = w.WriteString(head) // an error stays in the writer
	for _, name := range list {
		line(w, name)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing names: %w", err)
	}
	return nil
}
