package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"
)

// ErrNewer is returned for a file that a later version of the program wrote.
var ErrNewer = errors.New("written by a newer version of schoolgate")

//go:embed migrations
var migrations embed.FS

// The primary result codes of SQLite (https://www.sqlite.org/rescode.html) that are told apart here.
const (
	codeCantOpen = 14
	codeCorrupt  = 11
	codeFull     = 13
	codeNotADB   = 26
)

func hasCode(err error, codes ...int) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code()&0xff == c {
			return true
		}
	}
	return false
}

// damaged says whether err means that the bytes of the file are wrong, rather than that it cannot be written now.
func damaged(err error) bool {
	var found errCheck
	return hasCode(err, codeCorrupt, codeNotADB) || errors.As(err, &found)
}

// busyTimeout is how long one connection waits for another's lock, in milliseconds. There is one writer for each file, so
// what it waits for is a checkpoint or the recovery after a crash.
const busyTimeout = "5000"

// openWriter opens, and makes when it is not there, the database for writing, with one connection and all migrations of
// the kind done. Every commit is on the disk when it returns (synchronous=FULL): with NORMAL, a power cut would take all
// that the kernel had not yet written, which may be half a minute, and the configured flush interval would be a lie. With
// one commit an interval that costs one fsync.
func openWriter(ctx context.Context, path, kind string) (*sql.DB, error) {
	// SQLite gives its further files the permissions of the first. A file that exists must not be opened and closed here:
	// that would drop the locks that other connections of this process hold on it (POSIX).
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, fs.ErrExist):
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, err
	}
	db, err := open(path, url.Values{
		"mode":    {"rw"},
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(" + busyTimeout + ")", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"secure_delete(1)", "journal_size_limit(4194304)", "trusted_schema(0)",
		},
	})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db, kind); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openReader opens an existing database for reading only. ok is false when nothing was ever written to it.
func openReader(ctx context.Context, path, kind string) (db *sql.DB, ok bool, err error) {
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, false, err
	}
	db, err = open(path, url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(" + busyTimeout + ")", "query_only(1)", "trusted_schema(0)"},
	})
	if err != nil {
		return nil, false, err
	}
	steps, err := stepsOf(kind)
	if err != nil {
		return nil, false, errors.Join(err, db.Close())
	}
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	switch {
	case hasCode(err, codeCantOpen): // it is there, so it may not be read
		err = fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case err != nil:
	case version > len(steps):
		err = fmt.Errorf("schema %d: %w", version, ErrNewer)
	case version == 0:
		return nil, false, db.Close()
	default:
		return db, true, nil
	}
	return nil, false, errors.Join(err, db.Close())
}

func open(path string, options url.Values) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: options.Encode()}
	return sql.Open("sqlite", u.String())
}

// stepsOf are the migrations of one kind of file, in order. Released ones are never edited: a change is a further file.
func stepsOf(kind string) ([]string, error) {
	entries, err := migrations.ReadDir("migrations/" + kind)
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(entries))
	for i, e := range entries {
		b, err := migrations.ReadFile("migrations/" + kind + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		steps[i] = string(b)
	}
	return steps, nil
}

// migrate brings the file to the present schema, each step in a transaction of its own; PRAGMA user_version counts them.
func migrate(ctx context.Context, db *sql.DB, kind string) error {
	steps, err := stepsOf(kind)
	if err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("schema %d, this program knows %d: %w", version, len(steps), ErrNewer)
	}
	for ; version < len(steps); version++ {
		err := transact(ctx, db, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, steps[version]+"\n;PRAGMA user_version = "+strconv.Itoa(version+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("migrating to schema %d: %w", version+1, err)
		}
	}
	return nil
}

// transact runs f in a transaction that is committed when f succeeds.
func transact(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
