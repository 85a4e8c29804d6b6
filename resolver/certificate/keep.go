package certificate

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What is below the folder of keys: each a certificate with its key.
const (
	authorityFile = "box-authority.pem"
	leafFile      = "box.pem"
	pageFile      = "page-authority.pem"
)

// keep writes a certificate with its key, whole or not at all, readable by the service alone.
func keep(dir, name string, c *x509.Certificate, key *ecdsa.PrivateKey) error {
	text, err := encode(c, key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of keys: %w", err)
	}
	f, err := os.CreateTemp(dir, ".new-*") // which nobody else may read
	if err != nil {
		return fmt.Errorf("keeping a key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("keeping a key: %w", err)
	}
	return nil
}

// kept reads what keep wrote; nil without an error when there is none.
func kept(dir, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading a key: %w", err)
	}
	c, key, err := decode(text)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, key, nil
}

// aside is the name of the file of an authority that was set aside: by its key, so that none takes the place of another.
func aside(a *Authority) string {
	return fmt.Sprintf("%s.%x.old", authorityFile, a.cert.SubjectKeyId[:min(8, len(a.cert.SubjectKeyId))])
}

// setAside takes the authority out of use. It is never thrown away: devices trust it, and a name that was written wrongly
// for a minute must not cost the school a round to all of them.
func setAside(dir string, a *Authority) error {
	err := os.Rename(filepath.Join(dir, authorityFile), filepath.Join(dir, aside(a)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting aside the authority for other names: %w", err)
	}
	return nil
}

// recall puts an authority that was set aside, and that can sign for the names, back into its place; nil when there is none.
func recall(dir string, n Names) (*Authority, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for earlier authorities: %w", err)
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), authorityFile+".") || !strings.HasSuffix(f.Name(), ".old") {
			continue
		}
		c, key, err := kept(dir, f.Name())
		if err != nil || c == nil {
			continue // a new one does as well
		}
		if a := (&Authority{cert: c, key: key}); a.maySign(n) {
			if err := os.Rename(filepath.Join(dir, f.Name()), filepath.Join(dir, authorityFile)); err != nil {
				return nil, fmt.Errorf("taking an earlier authority into use: %w", err)
			}
			return a, nil
		}
	}
	return nil, nil
}
