package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPassword(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	tests := []struct {
		text, want string
		none       bool
	}{
		{"secret\nnot this line\n", "secret", false},
		{"secret", "secret", false},
		{" with spaces \r\n", " with spaces ", false},
		{"Unset\n", "Unset", false},
		{"unset!\n", "unset!", false},
		{"unset", "", true},
		{"unset\r\nsecret\n", "", true},
		{"", "", true},
		{"\nsecret\n", "", true},
		{" \t\n", "", true},
	}
	for _, tt := range tests {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := SMTP{PasswordFile: file}.Password()
		if got != tt.want || (err != nil) != tt.none || errors.Is(err, ErrNoPassword) != tt.none {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
	}
	for _, wrong := range []string{"", dir, filepath.Join(dir, "absent")} {
		if got, err := (SMTP{PasswordFile: wrong}).Password(); got != "" || err == nil || errors.Is(err, ErrNoPassword) {
			t.Errorf("%q: %q, %v; a file that cannot be read is another mistake", wrong, got, err)
		}
	}
}

// TestSecretFile: a password that others can read, or that is not there, is a warning; mail must not stop the filter.
func TestSecretFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	check := func() (bool, string) {
		c := Default()
		c.Alerts.DSL = []string{"dsl@school.example"}
		c.Alerts.SMTP.Host, c.Alerts.SMTP.From = "mail.school.example", "box@school.example"
		c.Alerts.SMTP.User, c.Alerts.SMTP.PasswordFile = "box", file
		problems := c.Validate()
		return problems.Refused(), strings.ReplaceAll(problems.Error(), file, "FILE")
	}
	if refused, got := check(); refused || got != `warning: alerts.smtp.password_file: "FILE" is not there: alerts wait until it can be read (put the password on its first line, readable by the program)` {
		t.Errorf("absent: %v %s", refused, got)
	}
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if refused, got := check(); refused || got != "" {
		t.Errorf("good: %v %s", refused, got)
	}
	for _, none := range []string{"", "\nsecond line\n", " \r\n", "unset", "unset\n"} {
		if err := os.WriteFile(file, []byte(none), 0o600); err != nil {
			t.Fatal(err)
		}
		if refused, got := check(); refused || got != `warning: alerts.smtp.password_file: "FILE" holds no password: alerts wait until it does (put the password on its first line)` {
			t.Errorf("%q: %v %s", none, refused, got)
		}
	}
	if err := os.WriteFile(file, []byte("unset is a part of this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if refused, got := check(); refused || got != `warning: alerts.smtp.password_file: every user of this machine can read "FILE" (chmod o-r FILE)` {
		t.Errorf("readable by all: %v %s", refused, got)
	}
}
