// Package certificate has the certificates that the box shows: one for itself, from an authority of its own or from files,
// and, where a school wants them, one for each refused name whose block page is asked for by HTTPS.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// How long certificates are valid. Leaves last as long as browsers accept at most, of which a part lies in the past:
// devices whose clock is behind take them too.
const (
	authorityLife = 20 * 365 * 24 * time.Hour
	leafLife      = 397*24*time.Hour - time.Second
	leafPast      = 60 * 24 * time.Hour
	renewBefore   = 60 * 24 * time.Hour
)

// epoch is before this program was ever built.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Names are what a certificate is for.
type Names struct {
	Host  string // the box's name, canonical; its certificate covers what lies one label below it too
	Addrs []netip.Addr
}

// Covers says whether host is the box's name or lies below it.
func (n Names) Covers(host string) bool {
	return n.Host != "" && (host == n.Host || strings.HasSuffix(host, "."+n.Host))
}

func (n Names) ips() (out []net.IP) {
	for _, a := range n.Addrs {
		out = append(out, a.Unmap().WithZone("").AsSlice())
	}
	return out
}

// Authority signs certificates with a key that never leaves the box. It is immutable.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes the authority of a box. Its validity begins at past, when the program was built, so that it holds
// whatever the clock says now.
func newAuthority(t *x509.Certificate, past, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	t.NotBefore, t.NotAfter = past, now.Add(authorityLife)
	t.BasicConstraintsValid, t.IsCA, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.PermittedDNSDomainsCritical = true
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading back a certificate: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// boxAuthority is the template of an authority that can sign for these names and nothing else (RFC 5280 section
// 4.2.1.10): whoever steals its key can be this box, and no other site.
func boxAuthority(n Names) *x509.Certificate {
	t := &x509.Certificate{
		Subject:             pkix.Name{CommonName: "Schoolgate of " + n.Host, Organization: []string{"Schoolgate"}},
		PermittedDNSDomains: []string{n.Host},
	}
	for _, ip := range n.ips() {
		t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(len(ip)*8, len(ip)*8)})
	}
	if len(t.PermittedIPRanges) == 0 {
		t.ExcludedIPRanges = allAddresses()
	}
	return t
}

// pageAuthority is the template of an authority for names that cannot be told beforehand.
func pageAuthority() *x509.Certificate {
	return &x509.Certificate{
		Subject:          pkix.Name{CommonName: "Schoolgate block page", Organization: []string{"Schoolgate"}},
		ExcludedIPRanges: allAddresses(),
	}
}

func allAddresses() []*net.IPNet {
	return []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
}

// maySign says whether the authority's constraints leave room for the names.
func (a *Authority) maySign(n Names) bool {
	if !slices.ContainsFunc(a.cert.PermittedDNSDomains, func(d string) bool { return Names{Host: d}.Covers(n.Host) }) {
		return false
	}
	for _, ip := range n.ips() {
		if !slices.ContainsFunc(a.cert.PermittedIPRanges, func(p *net.IPNet) bool { return p.Contains(ip) }) {
			return false
		}
	}
	return true
}

// sign makes a certificate for a server with the given key; past is the earliest time at which it needs to be valid.
func (a *Authority) sign(key *ecdsa.PrivateKey, dns []string, ips []net.IP, from, to time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		DNSNames: dns, IPAddresses: ips, NotBefore: from, NotAfter: to,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if t.NotBefore.Before(a.cert.NotBefore) {
		t.NotBefore = a.cert.NotBefore
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	if len(dns) > 0 && len(dns[0]) <= 64 { // the most that X.509 has room for there
		t.Subject.CommonName = dns[0]
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// PEM is a certificate as text, for people and devices.
func PEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// encode writes a certificate and its key as one text, so that one rename puts both in place.
func encode(c *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), PEM(c)...), nil
}

// decode reads what encode wrote.
func decode(text []byte) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	var cert *x509.Certificate
	var key *ecdsa.PrivateKey
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		var err error
		switch block.Type {
		case "CERTIFICATE":
			cert, err = x509.ParseCertificate(block.Bytes)
		case "PRIVATE KEY":
			var any any
			any, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			key, _ = any.(*ecdsa.PrivateKey)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if cert == nil || key == nil || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("no certificate with its key")
	}
	return cert, key, nil
}
