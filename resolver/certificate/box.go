package certificate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Settings say which certificate a Box shows.
type Settings struct {
	Names
	CertFile, KeyFile string // PEM, the certificate with those that it follows from; "" for one from the box's own authority
}

// Box is the certificate of the box itself. Dir is required; fill in the fields, then Set. It is safe for concurrent use.
//
// A certificate of its own authority is made when there is none, when it does not cover the names, and before it ends.
// Files are read again when they change. What fails leaves in force what was.
//
// A machine without a clock of its own begins at a time of the past. The authority is therefore valid from the time that
// the program was built, a kept certificate is used whatever a clock before that time says, and one made meanwhile is
// looked at again each minute, and so replaced once the time is known, if it does not hold then.
type Box struct {
	Dir   string    // of keys
	Built time.Time // of the program: no clock is right that is behind it; zero is not known
	Log   *slog.Logger
	Now   func() time.Time // nil is time.Now

	shown atomic.Pointer[tls.Certificate]

	mu        sync.Mutex // guards what follows
	settings  Settings
	authority *Authority
	stamp     stamp // of the files that are shown, or that were refused
	err       error // why the last look did not work
	since     time.Time
}

// Status is what is known of the certificate that is shown.
type Status struct {
	Leaf      *x509.Certificate // nil when there is none: encrypted transports do not work
	Authority *x509.Certificate // nil for certificates from files
	Err       error             // why it is not what was asked for; nil when it is
	Since     time.Time         // of Err
}

// ErrNone is what a client's handshake ends with while there is no certificate.
var ErrNone = errors.New("no certificate")

// Get gives the certificate to show; its form is that of tls.Config.GetCertificate.
func (b *Box) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := b.shown.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNone
}

// Has says whether a client that asked addr for a designated resolver (RFC 9462 section 4.2) could verify it by the
// certificate that is shown: addr must be in it.
func (b *Box) Has(addr netip.Addr) bool {
	c := b.shown.Load()
	return c != nil && slices.ContainsFunc(c.Leaf.IPAddresses, func(ip net.IP) bool { return ip.Equal(addr.Unmap().AsSlice()) })
}

// Set puts other settings in force. When these do not work the certificate before stays, and Status says why.
func (b *Box) Set(s Settings) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.CertFile != b.settings.CertFile || s.KeyFile != b.settings.KeyFile {
		b.stamp = stamp{}
	}
	b.settings, b.Built = s, later(b.Built, epoch)
	b.look()
}

// Look checks now what Run checks each minute; files are read again even if they seem not to have changed.
func (b *Box) Look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stamp, b.authority = stamp{}, nil
	b.look()
}

// Run renews the certificate until ctx ends. It returns nil then.
func (b *Box) Run(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			b.mu.Lock()
			b.look()
			b.mu.Unlock()
		}
	}
}

// Status says how things are.
func (b *Box) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Err: b.err, Since: b.since}
	if c := b.shown.Load(); c != nil {
		s.Leaf = c.Leaf
	}
	if b.settings.CertFile == "" && b.authority != nil {
		s.Authority = b.authority.cert
	}
	return s
}

// look makes what is shown what the settings ask for. The caller holds b.mu.
func (b *Box) look() {
	var err error
	if b.settings.CertFile != "" {
		err = b.lookAtFiles()
	} else {
		err = b.lookAtOwn()
	}
	if err != nil && b.err == nil {
		b.since = b.now()
		b.log().Error("the certificate for encrypted DNS is not what was asked for", "error", err)
	}
	b.err = err
}

func (b *Box) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

func (b *Box) log() *slog.Logger {
	if b.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Log
}

// lookAtOwn shows a certificate of the box's own authority.
func (b *Box) lookAtOwn() error {
	if err := b.haveAuthority(); err != nil {
		return err
	}
	shown := b.shown.Load()
	if shown != nil && b.good(shown.Leaf) {
		return nil
	}
	if leaf, key, err := kept(b.Dir, leafFile); err == nil && leaf != nil && b.good(leaf) {
		b.show(leaf, key)
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	from := later(b.now(), b.Built).Add(-leafPast)
	n := b.settings.Names
	leaf, err := b.authority.sign(key, []string{n.Host, "*." + n.Host}, n.ips(), from, from.Add(leafLife))
	if err != nil {
		return err
	}
	b.show(leaf, key)
	b.log().Info("a certificate was made for encrypted DNS", "until", leaf.NotAfter.Format(time.DateOnly))
	return keep(b.Dir, leafFile, leaf, key)
}

// haveAuthority loads the authority. When there is none, or when it cannot sign for the names, an earlier one that can is
// taken, or one is made. One that cannot be read is left alone: devices trust it, and a person may have a copy of it.
func (b *Box) haveAuthority() error {
	n := b.settings.Names
	if b.authority == nil {
		c, key, err := kept(b.Dir, authorityFile)
		if err != nil {
			return err
		}
		if c != nil {
			b.authority = &Authority{cert: c, key: key}
		}
	}
	if b.authority != nil {
		if b.authority.maySign(n) {
			return nil
		}
		if err := setAside(b.Dir, b.authority); err != nil {
			return err
		}
	}
	earlier, err := recall(b.Dir, n)
	if err != nil {
		return err
	}
	if earlier != nil {
		b.log().Info("the authority that devices were given for this name and these addresses is in use again")
		b.authority = earlier
		return nil
	}
	if b.authority != nil {
		b.log().Warn("the box has another name or address: a new authority is made, which devices must be given")
	}
	made, err := newAuthority(boxAuthority(n), b.Built, later(b.now(), b.Built))
	if err != nil {
		return err
	}
	if err := keep(b.Dir, authorityFile, made.cert, made.key); err != nil {
		return err // one that is gone after a restart would be given to devices in vain
	}
	b.authority = made
	return nil
}

// good says whether a certificate of the own authority need not be replaced.
func (b *Box) good(leaf *x509.Certificate) bool {
	if !bytes.Equal(leaf.AuthorityKeyId, b.authority.cert.SubjectKeyId) || leaf.CheckSignatureFrom(b.authority.cert) != nil {
		return false
	}
	n := b.settings.Names
	if !slices.Equal(leaf.DNSNames, []string{n.Host, "*." + n.Host}) || !slices.EqualFunc(leaf.IPAddresses, n.ips(), net.IP.Equal) {
		return false
	}
	now := b.now()
	return now.Before(b.Built) || now.After(leaf.NotBefore) && now.Before(leaf.NotAfter.Add(-renewBefore))
}

// show puts a certificate of the own authority in force.
func (b *Box) show(leaf *x509.Certificate, key *ecdsa.PrivateKey) {
	b.shown.Store(&tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf})
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
