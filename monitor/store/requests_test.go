package store

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/monitor"
)

func TestRequests(t *testing.T) {
	now := time.Date(2026, time.May, 20, 13, 0, 0, 0, time.UTC)
	s := openTest(t, t.TempDir(), &clock{now})
	old := monitor.Request{At: now.AddDate(0, 0, -10), Site: "games.example", Reason: "gaming", Device: "Tablet 7", Group: "children", Name: "Zoë", Role: "teacher", Why: "maths"}
	young := old
	young.At, young.Site = now, "other.example"
	old.ID = must[int64](t)(s.AddRequest(t.Context(), old))
	young.ID = must[int64](t)(s.AddRequest(t.Context(), young))
	if old.ID != 1 || young.ID != 2 {
		t.Errorf("numbers %d and %d", old.ID, young.ID)
	}
	get := func(from, to time.Time) []monitor.Request {
		return must[[]monitor.Request](t)(s.Requests(t.Context(), from, to))
	}
	if d := cmp.Diff([]monitor.Request{young, old}, get(time.Time{}, time.Time{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]monitor.Request{old}, get(old.At, now)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := s.Retain(t.Context(), now, 7); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]monitor.Request{young}, get(time.Time{}, time.Time{})); d != "" {
		t.Errorf("after a week (-want +got):\n%s", d)
	}
	// There is room for so many and no more, whoever floods it.
	fill := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO requests (at, site, reason, device, "group", name, role, why) SELECT i, '', '', '', '', '', '', '' FROM n`, maxRequests)
		return err
	}
	if err := s.transact(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddRequest(t.Context(), young); !errors.Is(err, errRequests) {
		t.Errorf("one too many: %v", err)
	}
}
