-- What must not be lost and is small. Times are milliseconds since 1970, UTC.
CREATE TABLE runs (
	id INTEGER PRIMARY KEY,
	started INTEGER NOT NULL,
	beat INTEGER NOT NULL, -- when it was last known to run
	stopped INTEGER -- NULL: it runs, or it was killed
) STRICT;
CREATE TABLE gaps (
	id INTEGER PRIMARY KEY,
	"from" INTEGER NOT NULL,
	"to" INTEGER NOT NULL,
	reason TEXT NOT NULL,
	lost INTEGER NOT NULL
) STRICT;
CREATE TABLE changes (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	summary TEXT NOT NULL,
	detail TEXT NOT NULL
) STRICT;
CREATE INDEX changes_at ON changes (at);
CREATE TABLE alerts (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number that stood in a mail is never given again
	kind TEXT NOT NULL,
	severity TEXT NOT NULL,
	category TEXT NOT NULL,
	"group" TEXT NOT NULL,
	device TEXT NOT NULL,
	site TEXT NOT NULL,
	code TEXT NOT NULL,
	text TEXT NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	count INTEGER NOT NULL
) STRICT;
CREATE INDEX alerts_last ON alerts (last);
CREATE TABLE outbox (
	id INTEGER PRIMARY KEY,
	alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
	key TEXT NOT NULL UNIQUE,
	"to" TEXT NOT NULL,
	subject TEXT NOT NULL,
	body TEXT NOT NULL,
	made INTEGER NOT NULL,
	attempts INTEGER NOT NULL DEFAULT 0,
	due INTEGER NOT NULL,
	sent INTEGER,
	error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX outbox_alert ON outbox (alert);
CREATE INDEX outbox_due ON outbox (due, id) WHERE sent IS NULL;
