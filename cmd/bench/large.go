//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// largeNames is what the widest open lists hold together.
const largeNames = 5_000_000

// large is the memory of the appliance with all names of the list's folder, filled up to largeNames with made ones, after
// some seconds at full speed with its record.
func (b *bench) large(ctx context.Context, s *server, list string, span time.Duration) (string, error) {
	names := &names{cached: b.names.cached}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(list), "*.domains.txt.zst"))
	if err != nil {
		return "", fmt.Errorf("looking for lists: %w", err)
	}
	for _, file := range files {
		some, err := readNames(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		names.blocked = append(names.blocked, some...)
	}
	names.blocked = names.blocked[:min(len(names.blocked), largeNames)]
	listed := len(names.blocked)
	names.blocked = append(names.blocked, madeNames(largeNames-listed)...)
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // G404: every run asks for the same
	for range 100_000 {
		names.asked = append(names.asked, names.blocked[rnd.IntN(len(names.blocked))])
	}

	with := *b
	with.names = names
	r, err := with.start(ctx, s)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(r.dir)
	defer r.stop()
	m := &measuring{bench: &with, server: s, running: r, f: figures{}}
	if err := m.warmUp(ctx); err != nil {
		return "", err
	}
	o, err := m.drive(ctx, load{next: mixed(names, false), window: window, span: span})
	if err != nil {
		return "", err
	}
	anon, file, err := memory(m.pid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("With %d names (%d of the lists, the rest made) after %d queries at full speed: %.0f MB own + %.0f MB mapped; %.0f wrong.",
		largeNames, listed, o.sent-o.lost, float64(anon)/1e6, float64(file)/1e6, m.f[wrongAll]), nil
}
