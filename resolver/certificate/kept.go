package certificate

import (
	"crypto/x509"
	"errors"
)

// Kept is the certificates in a folder of keys; those that there are none of are nil.
type Kept struct {
	Box, Authority, PageAuthority *x509.Certificate
}

// Read reads a folder of keys, as another process than the one that makes them may.
func Read(dir string) (k Kept, err error) {
	for name, c := range map[string]**x509.Certificate{leafFile: &k.Box, authorityFile: &k.Authority, pageFile: &k.PageAuthority} {
		got, _, e := kept(dir, name)
		*c, err = got, errors.Join(err, e)
	}
	return k, err
}
