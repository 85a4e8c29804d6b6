-- What the illegal tier refused: never a name, but a box that the safeguarding lead's key opens.
CREATE TABLE hits (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number that stood on a form is never given again
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	device TEXT NOT NULL, -- '' for what is left of a flood
	list TEXT NOT NULL,
	sealed BLOB, -- NULL: there was no key
	count INTEGER NOT NULL
) STRICT;
CREATE INDEX hits_last ON hits (last);
