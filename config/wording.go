package config

import (
	"net/netip"
	"reflect"
	"time"

	"schoolgate/blocklist/domain"
)

// tomlType says in words what a parsed value is.
func tomlType(data any) string {
	switch data.(type) {
	case string:
		return "text"
	case int64, float64:
		return "a number"
	case bool:
		return "true or false"
	case time.Time:
		return "a date or time"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return "something else"
}

// wanted says in words what the type of v holds.
func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case Duration:
		return "a duration"
	case Size:
		return "a size"
	case Date:
		return "a date"
	case TimeOfDay:
		return "a time of day"
	case Weekday:
		return "a day of the week"
	case MAC:
		return "a hardware address"
	case Network:
		return "a network"
	case netip.Addr:
		return "an IP address"
	case netip.AddrPort:
		return "an IP address with a port"
	case domain.Name:
		return "a domain name"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		if isTable(v.Type().Elem()) {
			return "an array of tables"
		}
		return "an array"
	case reflect.Struct:
		if isTable(v.Type()) {
			return "a table"
		}
	}
	return "text"
}

func wantedHint(v reflect.Value) string {
	switch v.Interface().(type) {
	case Duration:
		return `write such as "90s", "10m" or "150d", with the quotes`
	case Size:
		return `write such as "8 MB", with the quotes`
	case Date:
		return "write such as 2026-09-01"
	case TimeOfDay:
		return `write such as "08:30", with the quotes`
	case Network:
		return `write such as "192.0.2.0/24", "private" or "own"`
	case netip.Addr:
		return `write such as "192.0.2.1" or "2001:db8::1"`
	case netip.AddrPort:
		return `write such as "192.0.2.1:53" or "[2001:db8::1]:53"; every address of this machine is "0.0.0.0:53" and "[::]:53"`
	}
	switch v.Kind() {
	case reflect.Bool:
		return "write true or false, without quotes"
	case reflect.Int:
		return "write a whole number, without quotes"
	case reflect.Slice:
		if !isTable(v.Type().Elem()) {
			return "put it in square brackets: […]"
		}
		return "give each one a header in double square brackets, see the example file"
	case reflect.Struct:
		if isTable(v.Type()) {
			return "give it a header in square brackets, see the example file"
		}
	}
	return "put it in quotes"
}
