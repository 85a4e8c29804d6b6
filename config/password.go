package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrNoPassword is the error of a password file whose first line is empty or says "unset", which is what the systemd
// unit gives the service when the school has written no password.
var ErrNoPassword = errors.New("no password on the first line")

// maxPassword bounds a password, in bytes.
const maxPassword = 4096

// Password reads the first line of PasswordFile. It is asked for each connection and kept nowhere, so that a new
// password holds from the next one on. ErrNoPassword is in the chain of its error when there is a file without one.
func (s SMTP) Password() (string, error) {
	first, err := firstLine(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading the password file: %w", err)
	}
	return first, nil
}

// firstLine reads a secret.
func firstLine(file string) (string, error) {
	if why := unreadable(file); why != "" {
		return "", fmt.Errorf("%q %s", file, why)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	first, err := bufio.NewReader(io.LimitReader(f, maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	first = strings.TrimRight(first, "\r\n")
	if strings.TrimSpace(first) == "" || first == "unset" {
		return "", fmt.Errorf("%q: %w", file, ErrNoPassword)
	}
	return first, nil
}
