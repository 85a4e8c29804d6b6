package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

// The test binary runs itself again, as another process on the same directory.
const (
	childVariable = "STORE_TEST_CHILD"
	dirVariable   = "STORE_TEST_DIR"
	childBatch    = 50
)

func runChild(kind string) int {
	ctx, dir := context.Background(), os.Getenv(dirVariable)
	var err error
	switch kind {
	case "write":
		err = childWrite(ctx, dir)
	case "read":
		err = childRead(ctx, dir)
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// childWrite appends batches until it is killed, and says after each how many rows are safe.
func childWrite(ctx context.Context, dir string) error {
	s, err := Open(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for i := 0; ; i += childBatch {
		rows := make([]record.Row, childBatch)
		for j := range rows {
			rows[j] = record.Row{Time: time.Now(), Device: fmt.Sprint("tablet-", i), Name: fmt.Sprintf("n%d.example", i+j)} // within the budget of each
		}
		if _, err := s.Append(ctx, record.BatchOf(rows...)); err != nil {
			return err
		}
		id, err := s.OpenAlert(ctx, monitor.Alert{Count: int64(i + childBatch)}, func(id int64) []monitor.Mail {
			return []monitor.Mail{{Key: fmt.Sprint(id)}}
		})
		if err != nil {
			return err
		}
		fmt.Println(i+childBatch, id)
	}
}

// childRead says how many rows there are each time that it is asked.
func childRead(ctx context.Context, dir string) error {
	r, err := OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer r.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n, err := r.Count(ctx, record.Filter{})
		if err != nil {
			return err
		}
		rows := 0
		if err := r.Search(ctx, record.Filter{}, func(record.Row) error { rows++; return nil }); err != nil {
			return err
		}
		fmt.Println(n, rows)
	}
	return in.Err()
}

func child(t *testing.T, kind, dir string) *exec.Cmd {
	t.Helper()
	exe := must[string](t)(os.Executable())
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"="+kind, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// SIGKILL at some moment costs no row and no alert that was acknowledged, and leaves no damage.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	safe, alerts, lines := 0, 0, 0
	for round := range 3 {
		cmd := child(t, "write", dir)
		out := must[io.ReadCloser](t)(cmd.StdoutPipe())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		last := 0
		for range 5 + 7*round {
			if !said.Scan() {
				break
			}
			lines++
			if _, err := fmt.Sscan(said.Text(), &last, &alerts); err != nil {
				t.Fatal(said.Text(), err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for said.Scan() { // what it still said before it died
			if _, err := fmt.Sscan(said.Text(), &last, &alerts); err != nil {
				break
			}
		}
		_ = cmd.Wait()
		safe += last

		s := must[*Store](t)(Open(t.Context(), dir, slog.New(slog.DiscardHandler)))
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		n := int(must[int64](t)(s.Count(t.Context(), record.Filter{})))
		if n < safe || n > safe+childBatch || n%childBatch != 0 {
			t.Errorf("%d rows, %d were acknowledged", n, safe)
		}
		safe = n // a batch that was written but not acknowledged
		for _, row := range search(t, s.Reader, record.Filter{}) {
			if !strings.HasSuffix(row.Name, ".example") || !strings.HasPrefix(row.Device, "tablet-") {
				t.Fatalf("row %+v", row)
			}
		}
		mails, _, err := s.OutboxStats(t.Context())
		if all := must[[]monitor.Alert](t)(s.Alerts(t.Context(), time.Time{}, time.Time{}, 0)); len(all) < alerts || len(all) > alerts+1 || mails != int64(len(all)) || err != nil {
			t.Errorf("%d alerts and %d mails, %d were acknowledged: %v", len(all), mails, alerts, err)
		}
		gaps := must[[]monitor.Gap](t)(s.Gaps(t.Context(), time.Time{}, time.Time{}))
		if len(gaps) == 0 || gaps[len(gaps)-1].Reason != "killed" {
			t.Errorf("gaps %+v", gaps)
		}
		closeTest(t, s)
	}
	if lines == 0 {
		t.Error("the child never wrote")
	}
}

// Another process sees each batch as soon as it was appended, while more are.
func TestReaderInAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, &clock{time.Now()})
	cmd := child(t, "read", dir)
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	rows := sample(1, 5000, time.Now().Add(-time.Hour), time.Now())
	for i := 0; i < len(rows); i += 500 {
		appendAll(t, s, rows[i:i+500])
		if _, err := fmt.Fprintln(in, "count"); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { // write on while it reads
			_, err := s.Append(context.Background(), &record.Batch{})
			done <- err
		}()
		if !answers.Scan() {
			t.Fatal("the reader ended")
		}
		if want := fmt.Sprint(i+500, " ", i+500); answers.Text() != want {
			t.Errorf("the reader says %q, want %q", answers.Text(), want)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	closeTest(t, s)
	r := must[*Reader](t)(OpenReader(t.Context(), dir)) // nobody writes now: there is no write-ahead log
	defer r.Close()
	if n := must[int64](t)(r.Count(t.Context(), record.Filter{})); n != 5000 {
		t.Errorf("%d rows after the stop", n)
	}
}
