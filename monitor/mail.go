package monitor

import "time"

// Mail is one message to one address, as the outbox holds it until the mail server has taken it. Whoever makes it fills
// in Key, To, Subject and Body; the store gives ID and AlertID.
type Mail struct {
	ID        int64
	AlertID   int64
	Key       string // unique for ever: the Message-ID is made of it, so that a second delivery can be recognised
	To        string // one address: a bad one then delays nobody else's mail
	Subject   string
	Body      string // plain text; lines end in \n
	Attempts  int    // deliveries tried so far
	NotBefore time.Time
}
