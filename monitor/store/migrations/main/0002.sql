-- Heads of the log of changes, which is a file of its own: they show when its end is cut off or all of it written anew.
CREATE TABLE heads (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	count INTEGER NOT NULL,
	hash TEXT NOT NULL
) STRICT;
