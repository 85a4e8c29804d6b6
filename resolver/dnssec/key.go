package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what DS records of digest type 1 are made with
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
)

// Algorithms that count (RFC 9904 and the IANA registry it keeps). RSA with SHA-1 is treated as unknown, so that what only it
// signs is insecure and not bogus, as RFC 9905 section 2 asks of those who run validators; RSA/MD5, DSA and GOST are to be
// treated so anyway. Ed448 is not in Go's library, and hardly in use.
const (
	rsaSHA256  = 8  // RFC 5702
	rsaSHA512  = 10 // RFC 5702
	ecdsaP256  = 13 // RFC 6605
	ecdsaP384  = 14 // RFC 6605
	ed25519Alg = 15 // RFC 8080
)

func knownAlgorithm(alg uint8) bool {
	switch alg {
	case rsaSHA256, rsaSHA512, ecdsaP256, ecdsaP384, ed25519Alg:
		return true
	}
	return false
}

// Sizes of RSA moduli in bits: below the least Go refuses to compute, and RFC 3110 allows none above the most.
const (
	leastRSA = 1024
	mostRSA  = 4096
)

const (
	zoneKey    = 0x0100 // RFC 4034 section 2.1.1
	entryPoint = 0x0001
	revokedKey = 0x0080 // RFC 5011 section 2.1
)

// key is one DNSKEY record. It is immutable.
type key struct {
	flags uint16
	alg   uint8
	tag   uint16
	data  []byte           // of the record
	pub   crypto.PublicKey // nil: of an algorithm or a size that is not supported
}

// readKey reads the data of a DNSKEY record (RFC 4034 section 2).
func readKey(data []byte) (*key, bool) {
	const protocol = 3
	if len(data) < 5 || data[2] != protocol {
		return nil, false
	}
	k := &key{flags: binary.BigEndian.Uint16(data), alg: data[3], tag: keyTag(data), data: data}
	k.pub = publicKey(k.alg, data[4:])
	return k, true
}

// signsZones says whether records of a zone may be signed with the key.
func (k *key) signsZones() bool { return k.flags&zoneKey != 0 && k.flags&revokedKey == 0 }

// keyTag is what signatures and DS records call a key by; several keys may share one (RFC 4034 appendix B).
func keyTag(data []byte) uint16 {
	var sum uint32
	for i, c := range data {
		if i&1 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	return uint16(sum + sum>>16)
}

// publicKey reads a key as its algorithm writes it, nil when it cannot be used.
func publicKey(alg uint8, b []byte) crypto.PublicKey {
	switch alg {
	case rsaSHA256, rsaSHA512:
		return rsaKey(b)
	case ecdsaP256:
		return pointOf(elliptic.P256(), b)
	case ecdsaP384:
		return pointOf(elliptic.P384(), b)
	case ed25519Alg:
		if len(b) == ed25519.PublicKeySize {
			return ed25519.PublicKey(b)
		}
	}
	return nil
}

// pointOf reads a point without the byte that says it is not compressed (RFC 6605 section 4).
func pointOf(curve elliptic.Curve, b []byte) crypto.PublicKey {
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, b...))
	if err != nil {
		return nil
	}
	return pub
}

// rsaKey reads exponent and modulus (RFC 3110 section 2).
func rsaKey(b []byte) crypto.PublicKey {
	if len(b) < 3 {
		return nil
	}
	n, b := int(b[0]), b[1:]
	if n == 0 {
		n, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if n == 0 || n > 4 || n >= len(b) {
		return nil // an exponent beyond 32 bits is used by nobody, and makes verifying slow
	}
	e := uint32(0)
	for _, c := range b[:n] {
		e = e<<8 | uint32(c)
	}
	modulus := new(big.Int).SetBytes(b[n:])
	if bits := modulus.BitLen(); bits < leastRSA || bits > mostRSA || e < 3 || e > 1<<31-1 || e&1 == 0 || modulus.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(e)}
}

// verify checks a signature over data.
func (k *key) verify(data, sig []byte) bool {
	switch pub := k.pub.(type) {
	case *rsa.PublicKey:
		if k.alg == rsaSHA512 {
			sum := sha512.Sum512(data)
			return rsa.VerifyPKCS1v15(pub, crypto.SHA512, sum[:], sig) == nil
		}
		sum := sha256.Sum256(data)
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig) == nil
	case *ecdsa.PublicKey:
		half := (pub.Curve.Params().BitSize + 7) / 8
		if len(sig) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])
		if k.alg == ecdsaP384 {
			sum := sha512.Sum384(data)
			return ecdsa.Verify(pub, sum[:], r, s)
		}
		sum := sha256.Sum256(data)
		return ecdsa.Verify(pub, sum[:], r, s)
	case ed25519.PublicKey:
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, data, sig)
	}
	return false
}

// Digests of DS records (RFC 4034, 4509, 6605). GOST is not supported.
const (
	digestSHA1   = 1
	digestSHA256 = 2
	digestSHA384 = 4
)

// ds is one DS record: the parent's word on a key of the child.
type ds struct {
	tag    uint16
	alg    uint8
	kind   uint8
	digest []byte
}

// readDS reads the data of a DS record (RFC 4034 section 5).
func readDS(data []byte) (d ds, ok bool) {
	if len(data) < 4 {
		return d, false
	}
	return ds{tag: binary.BigEndian.Uint16(data), alg: data[2], kind: data[3], digest: data[4:]}, true
}

// usable says whether algorithm and digest are supported.
func (d *ds) usable() bool {
	switch d.kind {
	case digestSHA1, digestSHA256, digestSHA384:
		return knownAlgorithm(d.alg)
	}
	return false
}

// names says whether the record is of key k of zone.
func (d *ds) names(zone string, k *key) bool {
	if d.tag != k.tag || d.alg != k.alg {
		return false
	}
	data := append([]byte(zone), k.data...)
	var sum []byte
	switch d.kind {
	case digestSHA1:
		s := sha1.Sum(data) //nolint:gosec // a second preimage is what would harm, and there is none
		sum = s[:]
	case digestSHA256:
		s := sha256.Sum256(data)
		sum = s[:]
	case digestSHA384:
		s := sha512.Sum384(data)
		sum = s[:]
	}
	return len(sum) > 0 && string(sum) == string(d.digest)
}

// usableDS leaves what is supported; of records with SHA-1 nothing when there is a better digest, or an attacker who could
// break the worse one would choose it (RFC 4509 section 3).
func usableDS(all []ds) (usable []ds) {
	better := false
	for _, d := range all {
		if d.usable() {
			usable = append(usable, d)
			better = better || d.kind != digestSHA1
		}
	}
	if !better {
		return usable
	}
	strong := usable[:0]
	for _, d := range usable {
		if d.kind != digestSHA1 {
			strong = append(strong, d)
		}
	}
	return strong
}

// anchor is the word on a key of the root that a parent would have.
func (k *key) anchor() ds {
	sum := sha256.Sum256(append([]byte(root), k.data...))
	return ds{tag: k.tag, alg: k.alg, kind: digestSHA256, digest: sum[:]}
}
