package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// errPin means that a certificate is good but its key is none of those that were agreed on.
var errPin = errors.New("no key of the certificate is pinned")

// tlsConfig is made once for a server, so that sessions are resumed.
func (s *server) tlsConfig(protocol string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         s.certified(),
		NextProtos:         []string{protocol},
		ClientSessionCache: tls.NewLRUClientSessionCache(maxPipes),
		Time:               func() time.Time { return s.pool.Clock.Now() },
		InsecureSkipVerify: true, //nolint:gosec // verify does it, for each connection, resumed ones too
		VerifyConnection:   s.verify,
	}
}

// certified is the name that the certificate must be for: that of the configuration, or the address.
func (s *server) certified() string {
	if s.conf.Name == "" {
		return s.conf.Addr.Addr().WithZone("").String()
	}
	return s.conf.Name
}

// verify checks that the server is who it must be. A leaf with a pinned key is: whoever gave the key out vouches for it,
// and no authority or date adds to that (RFC 7858 section 4.2). Else there must be a chain to an authority, for the name,
// with a pinned key in it when there are pins.
func (s *server) verify(state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	if s.pinned(leaf) {
		return nil
	}
	chains, err := s.chains(leaf, state.PeerCertificates[1:])
	if err == nil && len(s.conf.Pins) > 0 && !s.anyPinned(chains) {
		err = errPin
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// chains verifies a certificate at the time that can be believed. While nobody keeps the time, one from the future is
// evidence that the clock is behind, and not that the certificate is bad: authorities do not date into the future. One that
// has ended has ended: time does not go back.
func (s *server) chains(leaf *x509.Certificate, more []*x509.Certificate) ([][]*x509.Certificate, error) {
	now := s.pool.Clock.Now()
	o := x509.VerifyOptions{Roots: s.pool.RootCAs, Intermediates: x509.NewCertPool(), DNSName: s.certified(), CurrentTime: now}
	begun := leaf.NotBefore
	for _, c := range more {
		o.Intermediates.AddCert(c)
		if c.NotBefore.After(begun) {
			begun = c.NotBefore
		}
	}
	chains, err := leaf.Verify(o)
	if err == nil || !begun.After(now) || s.pool.Clock.Proven() {
		return chains, dated(err, now)
	}
	o.CurrentTime = begun
	if chains, err = leaf.Verify(o); err != nil {
		return nil, dated(err, begun)
	}
	s.pool.Clock.Heed(begun)
	return chains, nil
}

// dated says plainly what a wrong date may mean.
func dated(err error, now time.Time) error {
	bad, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || bad.Reason != x509.Expired {
		return err
	}
	from, to := bad.Cert.NotBefore.UTC().Format(time.DateOnly), bad.Cert.NotAfter.UTC().Format(time.DateOnly)
	return fmt.Errorf("certificate is for %s to %s and the clock says %s; if that is wrong, set the clock: %w", from, to, now.UTC().Format(time.DateOnly), err)
}

func (s *server) pinned(c *x509.Certificate) bool {
	digest := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return s.conf.Pins.Hold(digest[:])
}

func (s *server) anyPinned(chains [][]*x509.Certificate) bool {
	for _, chain := range chains {
		for _, c := range chain {
			if s.pinned(c) {
				return true
			}
		}
	}
	return false
}
