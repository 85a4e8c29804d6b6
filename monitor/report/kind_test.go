package report

import (
	"strings"
	"testing"

	"schoolgate/config"
	"schoolgate/resolver/query"
)

// TestKindsOfTheProduct: the review says of every category that the product knows what it holds.
func TestKindsOfTheProduct(t *testing.T) {
	for _, c := range config.Categories() {
		k := kind{c, query.Category}
		if k.what() == (kind{"own-category", query.Category}).what() {
			t.Errorf("%s is said to be of the school's own lists", c)
		}
		if l := k.label(); l[:1] != strings.ToUpper(l[:1]) {
			t.Errorf("%s is called %q", c, l)
		}
	}
}
