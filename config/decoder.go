package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// decoder puts a parsed TOML tree into a Config and reports everything that does not fit. The library's own decoder stops
// at the first mistake; the person with the file wants them all.
type decoder struct{ *report }

// defaulter is a table with values of its own for the keys it leaves out.
type defaulter interface{ setDefaults() }

// requirer is a table that is nothing without some of its keys.
type requirer interface{ required() []string }

func (g *Group) setDefaults() { g.Internet = true }

func (l *List) setDefaults() {
	l.Every, l.MaxSize = Duration(day), 64<<20
	l.MaxShrink, l.MaxGrowth, l.MaxConflicts = DefaultMaxShrink, DefaultMaxGrowth, DefaultMaxConflicts
}

func (*Group) required() []string  { return []string{"name"} }
func (*Hours) required() []string  { return []string{"from", "to"} }
func (*Device) required() []string { return []string{"name"} }
func (*List) required() []string   { return []string{"name", "category", "source"} }
func (*Term) required() []string   { return []string{"name", "first", "last"} }

// value puts data into v, which must be addressable.
func (d decoder) value(v reflect.Value, data any, path string) {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(u, data, path)
		return
	}
	if n, ok := v.Addr().Interface().(*domain.Name); ok {
		d.name(n, data, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if table, ok := data.(map[string]any); ok {
			d.table(v, table, path)
			return
		}
	case reflect.Slice:
		if elements, ok := asArray(data); ok {
			d.array(v, elements, path)
			return
		}
	case reflect.String:
		if s, ok := data.(string); ok {
			v.SetString(s)
			return
		}
	case reflect.Bool:
		if b, ok := data.(bool); ok {
			v.SetBool(b)
			return
		}
	case reflect.Int:
		if n, ok := data.(int64); ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return
		}
	}
	d.mismatch(v, data, path)
}

func (d decoder) mismatch(v reflect.Value, data any, path string) {
	d.refuse(path, fmt.Sprintf("%s where %s belongs", tomlType(data), wanted(v)), wantedHint(v))
}

func (d decoder) table(v reflect.Value, table map[string]any, path string) {
	if t, ok := v.Addr().Interface().(defaulter); ok {
		t.setDefaults()
	}
	keys := keysOf(v.Type())
	for i, key := range keys {
		if data, ok := table[key]; ok {
			d.value(v.Field(i), data, child(path, key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(keys, key) {
			d.unknown(child(path, key), key, keys)
		}
	}
	if t, ok := v.Addr().Interface().(requirer); ok {
		for _, key := range t.required() {
			if _, ok := table[key]; !ok {
				d.refuse(child(path, key), "missing", "write it: "+key+" = …")
			}
		}
	}
}

func (d decoder) unknown(path, key string, keys []string) {
	otherwise := "the keys here are " + strings.Join(keys, ", ")
	if homes := tablesWith(reflect.TypeFor[Config](), "", key); len(homes) > 0 {
		otherwise = "that key belongs under " + strings.Join(homes, " or ")
	}
	d.refuse(path, fmt.Sprintf("unknown key %q", key), suggest(key, keys, otherwise))
}

// array replaces v as a whole: what a file says is what holds. An empty array is nil, so that it equals one left out.
func (d decoder) array(v reflect.Value, elements []any, path string) {
	if len(elements) == 0 {
		v.SetZero()
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	for i, e := range elements {
		d.value(v.Index(i), e, element(path, i))
	}
}

func (d decoder) text(u encoding.TextUnmarshaler, data any, path string) {
	v := reflect.ValueOf(u).Elem()
	var s string
	switch x := data.(type) {
	case string:
		s = x
	case time.Time:
		_, isDate := u.(*Date)
		_, isTime := u.(*TimeOfDay)
		switch zone := x.Location().String(); { // the library's names for TOML's local dates and times
		case isDate && zone == "date-local":
			s = x.Format(time.DateOnly)
		case isTime && zone == "time-local" && x.Second() == 0 && x.Nanosecond() == 0:
			s = x.Format("15:04")
		default:
			d.mismatch(v, data, path)
			return
		}
	default:
		d.mismatch(v, data, path)
		return
	}
	err := u.UnmarshalText([]byte(s))
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*syntaxError](err); ok {
		d.refuse(path, e.what, e.hint)
		return
	}
	d.refuse(path, fmt.Sprintf("%q is not %s", s, wanted(v)), wantedHint(v))
}

func (d decoder) name(n *domain.Name, data any, path string) {
	s, ok := data.(string)
	if !ok {
		d.mismatch(reflect.ValueOf(n).Elem(), data, path)
		return
	}
	if s == "" && !strings.HasSuffix(path, "]") { // of one that stands alone: none
		*n = ""
		return
	}
	parsed, err := domain.Parse(s)
	if err == nil && parsed != "" {
		*n = parsed
		return
	}
	hint := `write a name such as "example.org"; it speaks for all names below it too`
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		hint = fmt.Sprintf("write %q: it speaks for all names below it too", rest)
	} else if _, rest, ok := strings.Cut(s, "://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		hint = fmt.Sprintf("write the name alone: %q; DNS does not see pages", host)
	}
	what := fmt.Sprintf("%q is no domain name", s)
	if err != nil {
		what += ": " + err.Error()
	}
	d.refuse(path, what, hint)
}

// keysOf is the TOML key of each field of a struct type, in order.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("toml")
	}
	return keys
}

// tablesWith is the headers of all tables of t that have the key.
func tablesWith(t reflect.Type, path, key string) []string {
	var homes []string
	for i, k := range keysOf(t) {
		if k == key && path != "" {
			homes = append(homes, "["+path+"]")
		}
		field := t.Field(i).Type
		inner := strings.Trim(path+"."+k, ".")
		if field.Kind() == reflect.Slice && isTable(field.Elem()) {
			for _, home := range tablesWith(field.Elem(), inner, key) {
				homes = append(homes, "["+home+"]")
			}
		} else if isTable(field) {
			homes = append(homes, tablesWith(field, inner, key)...)
		}
	}
	return homes
}

// isTable says whether a type is written as a table: a struct that has no text form.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func asArray(data any) ([]any, bool) {
	switch a := data.(type) {
	case []any:
		return a, true
	case []map[string]any:
		elements := make([]any, len(a))
		for i := range a {
			elements[i] = a[i]
		}
		return elements, true
	}
	return nil, false
}
