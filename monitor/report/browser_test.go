package report_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// printed opens a page in a real browser and prints it: the PDF, and what the browser wrote to its console.
func printed(t *testing.T, page string) (pdf []byte, console []string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no browser to print the page with: install the Debian package chromium")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "report.html"), filepath.Join(dir, "report.pdf")
	if err := os.WriteFile(in, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{
		"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-crash-reporter",
		"--user-data-dir=" + filepath.Join(dir, "profile"), "--enable-logging=stderr", "--no-pdf-header-footer", "--print-to-pdf=" + out,
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // the sandbox does not run as root
	}
	cmd := exec.CommandContext(ctx, browser, append(args, "file://"+in)...)
	cmd.WaitDelay = 10 * time.Second
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("printing: %v\n%s", err, log.String())
	}
	if pdf, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return pdf, console
}

var pdfPage = regexp.MustCompile(`/Type\s*/Page\b`)

func TestPrints(t *testing.T) {
	if testing.Short() {
		t.Skip("starting a browser takes seconds")
	}
	t.Run("report", func(t *testing.T) {
		t.Parallel()
		span := autumn(t)
		pdf, console := printed(t, page(t, build(t, term(span, 1), span, school(span.To))))
		if len(console) > 0 {
			t.Errorf("the browser complains: %q", console)
		}
		if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Fatalf("no PDF: %.20q", pdf)
		}
		if n := len(pdfPage.FindAll(pdf, -1)); n < 5 || n > 40 {
			t.Errorf("the report is %d sheets of paper", n)
		}
		if !bytes.Contains(pdf, []byte("/StructTreeRoot")) || !bytes.Contains(pdf, []byte("/Lang")) {
			t.Error("the PDF is not tagged for screen readers")
		}
	})
	// The same with what the policy of the page must refuse, so that silence above means something.
	t.Run("complaint", func(t *testing.T) {
		t.Parallel()
		span := autumn(t)
		text := page(t, build(t, &memory{}, span, school(span.To)))
		_, console := printed(t, strings.Replace(text, "</main>", "<script>document.title = 'x'</script></main>", 1))
		if len(console) == 0 {
			t.Error("a script ran, or the browser's complaints are not seen")
		}
	})
}
