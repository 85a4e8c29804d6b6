-- One month of rows. A row's id is its time: (milliseconds since the month began, UTC) * 1024 + a number that tells rows
-- of the same millisecond apart. Texts are kept once, or a few times: no index is written along with the rows, so what is
-- no longer remembered in memory is entered again under a new id.
CREATE TABLE entry (
	id INTEGER PRIMARY KEY,
	who INTEGER NOT NULL,
	why INTEGER NOT NULL,
	name INTEGER NOT NULL,
	took INTEGER NOT NULL -- microseconds
) STRICT;
CREATE TABLE name (
	id INTEGER PRIMARY KEY,
	text TEXT NOT NULL
) STRICT;
CREATE TABLE who (
	id INTEGER PRIMARY KEY,
	device TEXT NOT NULL,
	addr BLOB NOT NULL, -- 4 or 16 bytes, or none
	"group" TEXT NOT NULL
) STRICT;
CREATE TABLE why (
	id INTEGER PRIMARY KEY,
	action TEXT NOT NULL,
	rule TEXT NOT NULL,
	category TEXT NOT NULL,
	list TEXT NOT NULL,
	source TEXT NOT NULL,
	rcode INTEGER NOT NULL,
	type INTEGER NOT NULL
) STRICT;
