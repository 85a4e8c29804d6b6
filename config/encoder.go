package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Encode writes c as TOML that Parse reads back to an equal value. Every key is written, defaults too, in the order of
// the types; so two equal configurations give the same bytes, whatever their files looked like.
func (c *Config) Encode() []byte {
	e := &encoder{}
	v := reflect.ValueOf(c).Elem()
	for i, key := range keysOf(v.Type()) { // before the first header, where top-level keys must stand
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 {
			fmt.Fprintf(e, "%s = []\n", key)
		}
	}
	e.table(v, "")
	return []byte(e.String())
}

// Digest identifies the settings of c: 64 hexadecimal digits, the same for every file that means the same to this
// version of the program. Comments, order of tables and spelling do not matter; order within arrays does.
func (c *Config) Digest() string {
	sum := sha256.Sum256(c.Encode())
	return hex.EncodeToString(sum[:])
}

// Equal says whether both mean the same, order within arrays included.
func (c *Config) Equal(o *Config) bool { return string(c.Encode()) == string(o.Encode()) }

type encoder struct{ strings.Builder }

// table writes the plain keys of a struct first, then the tables in it, as TOML demands.
func (e *encoder) table(v reflect.Value, path string) {
	keys := keysOf(v.Type())
	for i, key := range keys {
		if f := v.Field(i); !holdsTables(f.Type()) {
			fmt.Fprintf(e, "%s = %s\n", key, e.value(f))
		}
	}
	for i, key := range keys {
		f := v.Field(i)
		inner := child(path, key)
		switch {
		case !holdsTables(f.Type()):
		case f.Kind() == reflect.Slice:
			for j := range f.Len() {
				fmt.Fprintf(e, "\n[[%s]]\n", inner)
				e.table(f.Index(j), inner)
			}
		default:
			fmt.Fprintf(e, "\n[%s]\n", inner)
			e.table(f, inner)
		}
	}
}

func holdsTables(t reflect.Type) bool {
	return isTable(t) || t.Kind() == reflect.Slice && isTable(t.Elem())
}

func (e *encoder) value(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("config: text of a %T: %v", m, err)) // no text form of this package or of netip fails
		}
		return quote(string(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Slice:
		elements := make([]string, v.Len())
		for i := range elements {
			elements[i] = e.value(v.Index(i))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	return quote(v.String())
}

// quote writes a TOML basic string; Go's own quoting has escapes that TOML has not.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
