package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chromium is a real browser, led by its DevTools protocol over a pipe.
type chromium struct {
	t       testing.TB
	in      *os.File
	out     *bufio.Reader
	id      int
	session string
	console output // what the browser wrote
}

// openChromium starts a browser with one empty tab, which trusts an authority (PEM, "" for none) as one that was installed
// on the device. It is left out in short tests, and where there is none.
func openChromium(t testing.TB, authority string, args ...string) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: starting a browser takes seconds")
	}
	path := tool(t, "chromium", "chromium")
	hisIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, hisOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, in: ourOut, out: bufio.NewReaderSize(ourIn, 1<<20)}
	dir, err := os.MkdirTemp("", "schoolgate-chromium-") // not t.TempDir: its helpers may write for a moment after it has ended
	if err != nil {
		t.Fatal(err)
	}
	all := append([]string{
		"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--no-first-run",
		"--disable-crash-reporter", "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable", "--user-data-dir=" + dir, "--remote-debugging-pipe",
	}, args...)
	if os.Geteuid() == 0 {
		all = append(all, "--no-sandbox") // the sandbox does not run as root
	}
	if authority != "" {
		trust(t, dir, authority)
	}
	cmd := exec.Command(path, all...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.Stderr = &c.console
	cmd.ExtraFiles = []*os.File{hisIn, hisOut} // 3 and 4
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hisIn.Close()
	hisOut.Close()
	timeout := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		timeout.Stop()
		ourOut.Close() // the browser ends with its pipe
		_ = cmd.Wait()
		ourIn.Close()
		_ = os.RemoveAll(dir)
	})
	var tab struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &tab)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": tab.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	c.call("Page.enable", nil, nil)
	return c
}

// trust installs an authority for who has home as home.
func trust(t testing.TB, home, authority string) {
	t.Helper()
	certutil := tool(t, "certutil", "libnss3-tools")
	db, file := filepath.Join(home, ".pki", "nssdb"), filepath.Join(home, "authority.pem")
	if err := errors.Join(os.MkdirAll(db, 0o700), os.WriteFile(file, []byte(authority), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-n", "school", "-t", "C,,", "-i", file}} {
		if out, err := exec.Command(certutil, append(args, "-d", "sql:"+db)...).CombinedOutput(); err != nil {
			t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
}

// message is one of the protocol.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// call has a command carried out.
func (c *chromium) call(method string, params, result any) {
	c.t.Helper()
	c.id++
	text, err := json.Marshal(message{ID: c.id, Session: c.session, Method: method, Params: params})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(text, 0)); err != nil {
		c.t.Fatalf("%s: %v\n%s", method, err, c.console.String())
	}
	for {
		m := c.read(method)
		if m.ID != c.id {
			continue
		}
		if m.Error != nil {
			c.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				c.t.Fatalf("%s: %v in %s", method, err, m.Result)
			}
		}
		return
	}
}

func (c *chromium) read(why string) (m message) {
	c.t.Helper()
	text, err := c.out.ReadBytes(0)
	if err != nil {
		c.t.Fatalf("waiting for %s: %v\n%s", why, err, last(c.console.String(), 2000))
	}
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		c.t.Fatalf("%v in %s", err, text)
	}
	return m
}

// wait reads until an event comes.
func (c *chromium) wait(event string) {
	c.t.Helper()
	for c.read(event).Method != event {
	}
}

// open goes to an address and gives what the browser says went wrong, "" for nothing.
func (c *chromium) open(url string) string {
	c.t.Helper()
	var to struct{ ErrorText string }
	c.call("Page.navigate", map[string]any{"url": url}, &to)
	if to.ErrorText == "" {
		c.wait("Page.loadEventFired")
	}
	return to.ErrorText
}

// eval gives what an expression is in the page, as text.
func (c *chromium) eval(expression string) string {
	c.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		c.t.Fatalf("%s: %s", expression, got.ExceptionDetails)
	}
	return fmt.Sprint(got.Result.Value)
}

// screen sets the size of the window in CSS pixels, and light or dark.
func (c *chromium) screen(width, height int, scheme string) {
	c.t.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	c.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// colours is how many different colours stand on the screen.
func (c *chromium) colours() int {
	c.t.Helper()
	var shot struct{ Data string }
	c.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		c.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		c.t.Fatal(err)
	}
	if dir := os.Getenv("SCHOOLGATE_SCREENSHOTS"); dir != "" { // to look at them
		name := strings.NewReplacer("/", "-", " ", "-").Replace(c.t.Name()) + fmt.Sprintf("-%d.png", c.id)
		if err := os.WriteFile(dir+"/"+name, data, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	seen := map[[3]uint32]bool{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}
