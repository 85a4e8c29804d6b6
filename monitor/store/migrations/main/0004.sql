-- What people asked for on the block page.
CREATE TABLE requests (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number that was answered is never given again
	at INTEGER NOT NULL,
	site TEXT NOT NULL,
	reason TEXT NOT NULL,
	device TEXT NOT NULL,
	"group" TEXT NOT NULL,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	why TEXT NOT NULL
) STRICT;
CREATE INDEX requests_at ON requests (at);
