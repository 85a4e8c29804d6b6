package alert

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOpened: a change that opens the filter is told once, at once and to everybody; no restart ends it, and there is a
// limit.
func TestOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		r.Opened("Change 7 is in force.", "schoolgate changes show 7. Head 9:abc.")
		synctest.Wait()
		const told = `system warning "" ""  ×1 changes.opened`
		wantAlerts(t, store, told)
		_, mails := store.snapshot()
		if len(mails) != 3 {
			t.Fatalf("%d mails", len(mails))
		}
		for _, want := range []string{"What the filter refuses has become less:\n\n  Change 7 is in force.\n\nschoolgate changes show 7. Head 9:abc.\n"} {
			if !strings.Contains(mails[0].Body, want) || !strings.HasSuffix(mails[0].Subject, "the filter was opened") {
				t.Errorf("mail %q:\n%s", mails[0].Subject, mails[0].Body)
			}
		}
		r.stop()
		r = start(t, store)
		time.Sleep(time.Hour)
		wantAlerts(t, store, told)
		for i := range 3 * perNotice {
			r.Opened(fmt.Sprint(i), "")
			synctest.Wait()
		}
		r.stop()
		if alerts, _ := store.snapshot(); len(alerts) != 1+perNotice {
			t.Errorf("%d alerts", len(alerts))
		}
	})
}

// TestRequested: a request from the block page is told to the technical lead alone, and a flood of them does not keep what
// opens the filter from being told.
func TestRequested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		for i := range 3 * perRequest {
			r.Requested(fmt.Sprintf("Request %d.", i), "schoolgate requests")
			synctest.Wait()
		}
		r.Opened("Change 7 is in force.", "")
		synctest.Wait()
		alerts, mails := store.snapshot()
		if len(alerts) != perRequest+1 {
			t.Fatalf("%d alerts", len(alerts))
		}
		first := mails[0]
		if first.To != "it@school.example" || !strings.Contains(first.Body, "A message for you:\n\n  Request 0.\n\nWhat to do: schoolgate requests\n") || !strings.HasSuffix(first.Subject, "a site is to be looked at") {
			t.Errorf("mail to %s %q:\n%s", first.To, first.Subject, first.Body)
		}
		if strings.Contains(first.Body, "over since") || len(mails) != perRequest+3 {
			t.Errorf("%d mails, the first:\n%s", len(mails), first.Body)
		}
		r.stop()
	})
}
