package certificate

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"
)

// stamp tells one version of the two files from the next.
type stamp struct {
	times [2]time.Time
	sizes [2]int64
}

func stampOf(paths ...string) (s stamp, err error) {
	for i, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return s, fmt.Errorf("reading the certificate: %w", err)
		}
		s.times[i], s.sizes[i] = info.ModTime(), info.Size()
	}
	return s, nil
}

// lookAtFiles shows the certificate of the files, when they have changed. The caller holds b.mu.
func (b *Box) lookAtFiles() error {
	s, err := stampOf(b.settings.CertFile, b.settings.KeyFile)
	if err != nil {
		b.stamp = stamp{}
		return err
	}
	if s == b.stamp {
		return b.err
	}
	c, err := LoadFiles(b.settings.CertFile, b.settings.KeyFile)
	b.stamp = s
	if err != nil {
		return err
	}
	if old := b.shown.Load(); old == nil || !old.Leaf.Equal(c.Leaf) {
		b.log().Info("a certificate for encrypted DNS was read", "until", c.Leaf.NotAfter.Format(time.DateOnly))
	}
	b.shown.Store(c)
	return nil
}

// LoadFiles reads a certificate and its key as PEM.
func LoadFiles(cert, key string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	return &c, nil
}
