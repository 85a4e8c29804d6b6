package blocklist

// SortInRunsOf makes a Builder put rules away in runs of n, where it would take many more, and returns it.
func (b *Builder) SortInRunsOf(n int) *Builder {
	b.draft.most = n
	return b
}

// OpenBytes opens a file that is in memory already.
func OpenBytes(b []byte) (*Set, error) { return open(b) }
