package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"schoolgate/blocklist/domain"
)

// Pages has certificates for refused names, so that a managed device that trusts their authority sees the block page
// where it asked for a site by HTTPS. They are made when they are asked for, kept in memory alone, and only for names
// that are refused: for others the box has no business to speak.
//
// Whoever has the authority's key can pose as any site towards the devices that trust it. No constraint can prevent that,
// since refused names cannot be told beforehand; so it is made only for schools that ask for it, apart from the box's
// own. It is safe for concurrent use.
type Pages struct {
	refused   func(name domain.Name, client netip.Addr) bool
	authority *Authority
	key       *ecdsa.PrivateKey // of all leaves
	now       func() time.Time
	built     time.Time

	mu    sync.Mutex // guards what follows
	made  map[domain.Name]*tls.Certificate
	order []domain.Name // of made; the oldest is forgotten first
}

const (
	maxPages = 256
	pageLife = 7 * 24 * time.Hour
)

// ErrNotRefused is why a name gets no certificate.
var ErrNotRefused = errors.New("not a name that is refused")

// OpenPages loads the authority for block pages from the folder of keys, or makes it. refused says whether the name is
// refused to who asks from an address; built is when the program was.
func OpenPages(dir string, built time.Time, refused func(name domain.Name, client netip.Addr) bool) (*Pages, error) {
	built = later(built, epoch)
	p := &Pages{refused: refused, now: time.Now, built: built, made: make(map[domain.Name]*tls.Certificate)}
	c, key, err := kept(dir, pageFile)
	if err != nil {
		return nil, err
	}
	if p.authority = (&Authority{cert: c, key: key}); c == nil {
		if p.authority, err = newAuthority(pageAuthority(), built, later(time.Now(), built)); err != nil {
			return nil, err
		}
		if err := keep(dir, pageFile, p.authority.cert, p.authority.key); err != nil {
			return nil, err
		}
	}
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return p, nil
}

// Page gives a certificate for a refused name that client asks for, as its TLS server name says it, or ErrNotRefused.
func (p *Pages) Page(serverName string, client netip.Addr) (*tls.Certificate, error) {
	name, err := domain.Parse(serverName)
	if err != nil || name == "" {
		return nil, ErrNotRefused
	}
	if _, err := netip.ParseAddr(string(name)); err == nil || !p.refused(name, client) {
		return nil, ErrNotRefused
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := later(p.now(), p.built)
	if c := p.made[name]; c != nil && now.After(c.Leaf.NotBefore) && now.Before(c.Leaf.NotAfter.Add(-pageLife/2)) {
		return c, nil
	}
	leaf, err := p.authority.sign(p.key, []string{string(name)}, nil, now.Add(-leafPast), now.Add(pageLife))
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: p.key, Leaf: leaf}
	if _, renewed := p.made[name]; !renewed {
		if len(p.order) == maxPages {
			delete(p.made, p.order[0])
			p.order = append(p.order[:0], p.order[1:]...)
		}
		p.order = append(p.order, name)
	}
	p.made[name] = c
	return c, nil
}
