package parse

import (
	"errors"
	"fmt"
)

// What a source can be instead of a list. After any error, what was added from the source must be thrown away.
var (
	ErrEmpty       = errors.New("empty: there is no entry in it")
	ErrHTML        = errors.New("a web page instead of a list")
	ErrBinary      = errors.New("not text in UTF-8 or ASCII")
	ErrLFSPointer  = errors.New("a Git LFS pointer instead of the list it points to")
	ErrRegex       = errors.New("a list of regular expressions, which is not supported")
	ErrNotAList    = errors.New("not a list of this format")
	ErrNoDomain    = errors.New("no entry of it names a domain to block")
	ErrLongLine    = errors.New("a line of more than 64 KiB, as no list has")
	ErrPages       = errors.New("a list of web pages, such as a file urls: a DNS filter would block whole sites for one page each")
	ErrCut         = errors.New("cut off: it ends in the middle")
	ErrTooLarge    = errors.New("larger than allowed once unpacked")
	ErrCompression = errors.New("compression that is not supported")
	ErrArchive     = errors.New("unsafe or misplaced archive")
	ErrNoDirectory = errors.New("no such directory of domains")
	ErrAllowList   = errors.New("a list for allowing, by its own usage file")
)

// verdict says whether what was read is a list at all.
func (p *parser) verdict() error {
	r := p.rep
	switch {
	case r.Entries == 0:
		return ErrEmpty
	case r.Skipped[Pattern] > r.Entries/2:
		return ErrRegex
	case p.paged > r.Entries/2:
		return fmt.Errorf("%w: %d of %d entries", ErrPages, p.paged, r.Entries)
	case p.unreadable > r.Entries/2:
		return fmt.Errorf("%w: %d of %d entries are unreadable (skipped: %s)", ErrNotAList, p.unreadable, r.Entries, r.skipped())
	case r.Rules == 0:
		return fmt.Errorf("%w: %d entries (skipped: %s)", ErrNoDomain, r.Entries, r.skipped())
	}
	return nil
}
