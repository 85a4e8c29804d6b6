package dnssec

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// rootAnchors are the digests of the root's keys as IANA publishes them at https://data.iana.org/root-anchors/root-anchors.xml
// (RFC 9718): KSK-2017, and KSK-2024, which signs since October 2026.
//
// They are shipped, and not followed by RFC 5011: a box that was switched off over a roll would miss it, and one whose clock
// is wrong cannot count the thirty days. Rolls are announced years ahead and come with an update, or by a file of anchors.
const rootAnchors = `
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// RootAnchors are the trust anchors built in.
func RootAnchors() []Anchor {
	a, err := ParseAnchors([]byte(rootAnchors))
	if err != nil {
		panic(err) // the text above is wrong
	}
	return a
}

// Anchor is the digest of a key of the root that is trusted.
type Anchor = ds

// maxAnchors bounds a file of anchors.
const maxAnchors = 64 << 10

// ReadAnchors reads a file of trust anchors.
func ReadAnchors(path string) ([]Anchor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxAnchors {
		return nil, fmt.Errorf("%s is too large for a file of trust anchors", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a, err := ParseAnchors(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// ParseAnchors reads trust anchors as Unbound's and BIND's tools write them: DS or DNSKEY records of the root, one a line, with
// or without TTL and class, comments behind a semicolon. What cannot be used is an error: a typing mistake must not end in
// trusting less than was meant.
func ParseAnchors(text []byte) (all []Anchor, err error) {
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, ";")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		a, err := parseAnchor(f)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if !a.usable() {
			return nil, fmt.Errorf("line %d: algorithm %d or digest %d is not supported", n+1, a.alg, a.kind)
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, errors.New("no trust anchor in it")
	}
	return all, nil
}

var errAnchor = errors.New("write a DS or DNSKEY record of the root, such as . IN DS 20326 8 2 E06D…")

func parseAnchor(f []string) (a Anchor, err error) {
	if f[0] != "." {
		return a, errAnchor
	}
	f = f[1:]
	for len(f) > 0 && !strings.EqualFold(f[0], "DS") && !strings.EqualFold(f[0], "DNSKEY") {
		if _, err := strconv.ParseUint(f[0], 10, 32); err != nil && !strings.EqualFold(f[0], "IN") {
			return a, errAnchor
		}
		f = f[1:]
	}
	if len(f) < 5 {
		return a, errAnchor
	}
	var n [3]uint64
	for i := range n {
		if n[i], err = strconv.ParseUint(f[i+1], 10, 16-8*min(i, 1)); err != nil {
			return a, errAnchor
		}
	}
	rest := strings.Join(f[4:], "")
	if strings.EqualFold(f[0], "DS") {
		digest, err := hex.DecodeString(rest)
		if err != nil {
			return a, errAnchor
		}
		return Anchor{tag: uint16(n[0]), alg: uint8(n[1]), kind: uint8(n[2]), digest: digest}, nil
	}
	public, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return a, errAnchor
	}
	k, ok := readKey(append([]byte{byte(n[0] >> 8), byte(n[0]), byte(n[1]), byte(n[2])}, public...))
	if !ok || k.pub == nil || !k.signsZones() {
		return a, errAnchor
	}
	return k.anchor(), nil
}
