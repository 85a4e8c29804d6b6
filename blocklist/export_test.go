package blocklist

// SortInPiecesOf makes a Builder put rules away whenever n bytes have come together in a bin, where it would take many
// more, and returns it.
func (b *Builder) SortInPiecesOf(n int) *Builder {
	b.tops.piece, b.rules.piece = n, n
	return b
}

// CrowdHomes makes a Builder reckon with n names in a bucket, which may be far more than there is room for, and returns it.
func (b *Builder) CrowdHomes(n int) *Builder {
	b.perHome = n
	return b
}

// HashFrom makes a Builder use a seed that the test chose, and returns it.
func (b *Builder) HashFrom(seed uint64) *Builder {
	b.seed = seed
	return b
}

// OpenBytes opens a file that is in memory already.
func OpenBytes(b []byte) (*Set, error) { return open(b) }
