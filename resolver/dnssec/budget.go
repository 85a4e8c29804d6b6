package dnssec

import "errors"

// What one question may cost, at most: zones are made by strangers, and some make them so that judging them takes long
// (KeyTrap, CVE-2023-50387; NSEC3 proofs, CVE-2023-50868).
const (
	maxVerifies   = 64  // signatures computed
	maxFailures   = 12  // of those, in vain
	maxHashes     = 128 // names hashed for NSEC3
	maxRequests   = 48  // questions upstream
	maxHops       = 16  // CNAME and DNAME in one answer
	maxSignatures = 8   // of one set, looked at
	maxSameTag    = 4   // keys of one zone with the tag and algorithm of a signature
	maxKeys       = 32  // of one zone
	maxDS         = 16  // of one zone
	maxDenials    = 16  // NSEC and NSEC3 sets in one reply
	maxIterations = 50  // of the NSEC3 hash: see nsec3.go
)

// errBudget ends a validation that costs too much.
var errBudget = errors.New("judging the answer takes too much work")

// budget counts down what is left for one question.
type budget struct{ verifies, failures, hashes, requests int }

func newBudget() budget {
	return budget{verifies: maxVerifies, failures: maxFailures, hashes: maxHashes, requests: maxRequests}
}

// take takes one from a part of the budget; false when nothing is left.
func take(left *int) bool {
	*left--
	return *left >= 0
}
