package certificate

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
