package store

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// How much is remembered of what a month's file holds already. A flood of random names pushes names out, and then what
// comes again is entered again.
const (
	maxNames = 1 << 15
	maxWho   = 1 << 12
	maxWhy   = 1 << 12
)

// logFile is one month's file, open for writing by one caller at a time. After an error of append it must be closed: what
// it remembers may not be what the file holds.
type logFile struct {
	month month
	db    *sql.DB
	conn  *sql.Conn

	putEntry, lastEntry, putName, putWho, putWhy *sql.Stmt

	names    *interned[string]
	who      *interned[who]
	why      *interned[why]
	budget   budget
	sequence int64
}

type who struct {
	device string
	addr   netip.Addr
	group  string
}

type why struct {
	action         query.Action
	rule           query.Rule
	category, list string
	source         query.Source
	rcode, typ     uint16
}

func openLog(ctx context.Context, dir string, m month) (*logFile, error) {
	db, err := openWriter(ctx, m.path(dir), "log")
	if err != nil {
		return nil, err
	}
	f := &logFile{month: m, db: db}
	if err := f.prepare(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *logFile) prepare(ctx context.Context) (err error) {
	if f.conn, err = f.db.Conn(ctx); err != nil {
		return err
	}
	for stmt, text := range map[**sql.Stmt]string{
		&f.putEntry:  "INSERT INTO entry (id, who, why, name, took) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		&f.lastEntry: "SELECT max(id) FROM entry WHERE id < ?",
		&f.putName:   "INSERT INTO name (id, text) VALUES (?, ?)",
		&f.putWho:    `INSERT INTO who (id, device, addr, "group") VALUES (?, ?, ?, ?)`,
		&f.putWhy:    "INSERT INTO why (id, action, rule, category, list, source, rcode, type) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	} {
		if *stmt, err = f.conn.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return f.remember(ctx)
}

// remember reads what was entered last.
func (f *logFile) remember(ctx context.Context) error {
	f.names, f.who, f.why = newInterned[string](maxNames), newInterned[who](maxWho), newInterned[why](maxWhy)
	err := f.scan(ctx, "SELECT id, text FROM name ORDER BY id DESC LIMIT ?", maxNames, func(rows *sql.Rows) error {
		var id int64
		var text string
		err := rows.Scan(&id, &text)
		f.names.put(text, id)
		return err
	})
	if err != nil {
		return err
	}
	err = f.scan(ctx, `SELECT id, device, addr, "group" FROM who ORDER BY id DESC LIMIT ?`, maxWho, func(rows *sql.Rows) error {
		var id int64
		var addr []byte
		var w who
		err := rows.Scan(&id, &w.device, &addr, &w.group)
		w.addr, _ = netip.AddrFromSlice(addr)
		f.who.put(w, id)
		return err
	})
	if err != nil {
		return err
	}
	const text = "SELECT id, action, rule, category, list, source, rcode, type FROM why ORDER BY id DESC LIMIT ?"
	return f.scan(ctx, text, maxWhy, func(rows *sql.Rows) error {
		var id int64
		var action, rule, source string
		var w why
		err := rows.Scan(&id, &action, &rule, &w.category, &w.list, &source, &w.rcode, &w.typ)
		if err != nil {
			return err
		}
		var ok [3]bool
		w.action, ok[0] = query.ParseAction(action)
		w.rule, ok[1] = query.ParseRule(rule)
		w.source, ok[2] = query.ParseSource(source)
		if ok == [3]bool{true, true, true} {
			f.why.put(w, id)
		}
		f.why.next = max(f.why.next, id+1)
		return nil
	})
}

func (f *logFile) scan(ctx context.Context, text string, limit int, each func(*sql.Rows) error) error {
	rows, err := f.conn.QueryContext(ctx, text, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// append writes rows of this month in one transaction.
func (f *logFile) append(ctx context.Context, rows []record.Row) error {
	// A context that can end makes the driver watch it with a goroutine for each statement; a batch takes milliseconds.
	ctx = context.WithoutCancel(ctx)
	if _, err := f.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i := range rows {
		if err := f.put(ctx, &rows[i]); err != nil {
			_, back := f.conn.ExecContext(ctx, "ROLLBACK")
			return errors.Join(err, back)
		}
	}
	_, err := f.conn.ExecContext(ctx, "COMMIT")
	return err
}

func (f *logFile) put(ctx context.Context, r *record.Row) error {
	text := r.Name
	if r.Rule == query.Illegal {
		text = record.Withheld // said by the journal already; the IWF's rules deserve a second lock
	}
	text = f.afford(text, r)
	name, isNew := f.names.id(text)
	if isNew {
		if _, err := f.putName.ExecContext(ctx, name, text); err != nil {
			return err
		}
	}
	w := who{r.Device, r.Addr.WithZone(""), r.Group}
	whoID, isNew := f.who.id(w)
	if isNew {
		if _, err := f.putWho.ExecContext(ctx, whoID, w.device, addrBytes(w.addr), w.group); err != nil {
			return err
		}
	}
	y := why{r.Action, r.Rule, r.Category, r.List, r.Source, r.RCode, r.Type}
	whyID, isNew := f.why.id(y)
	if isNew {
		_, err := f.putWhy.ExecContext(ctx, whyID, y.action.String(), y.rule.String(), y.category, y.list, y.source.String(), int64(y.rcode), int64(y.typ))
		if err != nil {
			return err
		}
	}
	ms := clampTime(r.Time).UnixMilli() - f.month.start().UnixMilli()
	f.sequence = (f.sequence + 1) & (1<<sequenceBits - 1)
	id, took := ms<<sequenceBits|f.sequence, r.Duration.Microseconds()
	for {
		res, err := f.putEntry.ExecContext(ctx, id, whoID, whyID, name, took)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		// Taken, which happens when the clock was set back or stands still. Go on after the last row of this millisecond; when
		// it is full, that is the first place of the next one.
		var last int64
		if err := f.lastEntry.QueryRowContext(ctx, (id>>sequenceBits+1)<<sequenceBits).Scan(&last); err != nil {
			return err
		}
		id = last + 1
	}
}

// addrBytes is never nil: that would be NULL.
func addrBytes(a netip.Addr) []byte {
	if !a.IsValid() {
		return []byte{}
	}
	return a.AsSlice()
}

// close gives back everything. A statement left open would keep SQLite's connection, and with it the write-ahead log.
func (f *logFile) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{f.putEntry, f.lastEntry, f.putName, f.putWho, f.putWhy} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	if f.conn != nil {
		errs = append(errs, f.conn.Close())
	}
	return errors.Join(append(errs, f.db.Close())...)
}
