package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds the file; a school's is a few kilobytes.
const maxFile = 4 << 20

// Load reads and validates the file at path; "" gives Default. A file that is refused gives Problems as the error, one
// that cannot be read the error of reading.
func Load(path string) (*Config, error) {
	if path == "" {
		return Default(), nil
	}
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path)
}

// ReadFile reads the text of a configuration for Check or Parse, and refuses one that is larger than any can be.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading configuration %q: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading configuration %q: larger than %v", path, Size(maxFile))
	}
	return data, nil
}

// Parse reads and validates a text; file names it in problems. Values that the text does not give are those of Default;
// an array that it gives replaces the default array as a whole. The error is Problems, never one of warnings alone.
func Parse(data []byte, file string) (*Config, error) {
	c, problems := Check(data, file)
	if problems.Refused() {
		return nil, problems
	}
	return c, nil
}

// Check is Parse with warnings: the configuration as far as it could be read (nil after an error of syntax), and all its
// problems. It looks at the files that the text names, but at no other machine.
func Check(data []byte, file string) (*Config, Problems) {
	found, tooDeep := locate(string(data))
	if tooDeep > 0 {
		return nil, Problems{tooDeepProblem(file, tooDeep)}
	}
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		return nil, Problems{syntaxProblem(err, file)}
	}
	c := Default()
	r := newReport(file, found)
	decoder{r}.table(reflect.ValueOf(c).Elem(), tree, "")
	if _, said := found["upstream.servers"]; c.Upstream.Preset != "" && !said {
		c.Upstream.Servers = nil // the default ones
	}
	for i := range c.Lists {
		c.Lists[i].SHA256 = strings.ToLower(c.Lists[i].SHA256)
	}
	(&checker{report: r, c: c}).all()
	return c, r.sorted()
}

func syntaxProblem(err error, file string) Problem {
	p := Problem{File: file, What: err.Error()}
	if e, ok := errors.AsType[toml.ParseError](err); ok {
		p.Line, p.Column, p.What = e.Position.Line, e.Position.Col, e.Message
		if e.LastKey != "" {
			p.Hint = fmt.Sprintf("near the key %s; nothing else was looked at yet", e.LastKey)
		}
	}
	return p
}

// Validate gives all problems of a configuration that did not come from a text, in the order of its keys.
func (c *Config) Validate() Problems {
	r := newReport("", nil)
	(&checker{report: r, c: c}).all()
	return r.sorted()
}
