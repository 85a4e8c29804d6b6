package notice

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Here the page is held to WCAG 2.2, level AA, as far as a program can tell.

func walk(n *html.Node, each func(*html.Node)) {
	each(n)
	for c := range n.ChildNodes() {
		walk(c, each)
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func words(n *html.Node) (s string) {
	walk(n, func(n *html.Node) {
		if n.Type == html.TextNode {
			s += n.Data + " "
		}
	})
	return strings.Join(strings.Fields(s), " ")
}

func TestStructure(t *testing.T) {
	p := newPage(t)
	pages := map[string]string{
		"closed":    p.do(t, "GET", "http://games.example/").Body.String(),
		"ask":       p.do(t, "GET", "http://games.example"+askPath).Body.String(),
		"again":     p.send(t, "http://games.example"+askPath, form("", "staff", "x")).Body.String(),
		"asked":     p.send(t, "http://games.example"+askPath, form("A", "staff", "x")).Body.String(),
		"sorry":     p.send(t, "http://games.example"+askPath, form("A", "staff", "x"), func(r *http.Request) { r.Header.Set("Origin", "null") }).Body.String(),
		"elsewhere": p.do(t, "GET", "http://open.example/").Body.String(),
	}
	titles := map[string]bool{}
	for name, text := range pages {
		t.Run(name, func(t *testing.T) {
			if len(text) > 16<<10 {
				t.Errorf("%d bytes", len(text))
			}
			doc, err := html.Parse(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			ids, labels := map[string]int{}, map[string]string{}
			var headings []int
			mains := 0
			walk(doc, func(n *html.Node) {
				if id := attr(n, "id"); id != "" {
					ids[id]++
				}
				if n.Data == "label" {
					labels[attr(n, "for")] = words(n)
				}
			})
			walk(doc, func(n *html.Node) {
				if n.Type != html.ElementNode {
					return
				}
				switch n.Data {
				case "html":
					if attr(n, "lang") != "en-GB" {
						t.Errorf("language %q", attr(n, "lang"))
					}
				case "title":
					if w := words(n); w == "" || titles[w] && w != "Not kept" {
						t.Errorf("title %q", w)
					}
					titles[words(n)] = true
				case "main":
					mains++
				case "h1", "h2", "h3":
					headings = append(headings, int(n.Data[1]-'0'))
				case "script", "link", "img", "iframe", "object", "base":
					t.Errorf("a %s", n.Data)
				case "a":
					if href := attr(n, "href"); words(n) == "" || !strings.HasPrefix(href, "https://") && !strings.HasPrefix(href, "tel:") && !strings.HasPrefix(href, "mailto:") && href != askPath {
						t.Errorf("link %q to %q", words(n), href)
					}
				case "input", "select", "textarea":
					if labels[attr(n, "id")] == "" {
						t.Errorf("%s %q has no label", n.Data, attr(n, "id"))
					}
				case "button":
					if words(n) == "" {
						t.Error("a button without words")
					}
				case "svg":
					if attr(n, "aria-hidden") != "true" && (attr(n, "role") != "img" || attr(n, "aria-label") == "") {
						t.Error("a picture without words")
					}
				}
				for _, a := range n.Attr {
					switch {
					case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src":
						t.Errorf("%s has %s", n.Data, a.Key)
					case (a.Key == "aria-describedby" || a.Key == "aria-labelledby") && ids[a.Val] != 1:
						t.Errorf("%s points at %q", a.Key, a.Val)
					}
				}
			})
			for id, n := range ids {
				if n > 1 {
					t.Errorf("id %q stands %d times", id, n)
				}
			}
			if mains != 1 || len(headings) == 0 || headings[0] != 1 || slices.Contains(headings[1:], 1) {
				t.Errorf("%d mains, headings %v", mains, headings)
			}
			for i := 1; i < len(headings); i++ {
				if headings[i] > headings[i-1]+1 {
					t.Errorf("headings %v", headings)
				}
			}
		})
	}
}

// TestReadable: the sentences for children are short, and of short words (Flesch's reading ease, at least what a child of
// nine or ten reads).
func TestReadable(t *testing.T) {
	doc, err := html.Parse(strings.NewReader(newPage(t).do(t, "GET", "http://own.example/").Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	var text string
	walk(doc, func(n *html.Node) {
		if n.Data == "main" {
			walk(n, func(n *html.Node) {
				if n.Data == "h1" || n.Data == "h2" || n.Data == "p" || n.Data == "li" {
					text += strings.TrimRight(words(n), ".?") + ". "
				}
			})
		}
	})
	text = regexp.MustCompile(`www\.\S+|0800 1111`).ReplaceAllString(text, "")
	sentences := float64(len(regexp.MustCompile(`[.?!:](\s|$)`).FindAllString(text, -1)))
	all := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '-' })
	syllables := 0
	for _, w := range all {
		syllables += max(1, len(regexp.MustCompile(`[aeiouy]+`).FindAllString(strings.TrimSuffix(strings.ToLower(strings.Trim(w, ".,?:()")), "e"), -1)))
	}
	ease := 206.835 - 1.015*float64(len(all))/sentences - 84.6*float64(syllables)/float64(len(all))
	if ease < 80 || len(all) < 80 {
		t.Errorf("%d words, reading ease %.0f:\n%s", len(all), ease, text)
	}
}

// rule is one rule of the style sheet, in the light or the dark.
type rule struct {
	selectors []string
	set       map[string]string
}

// rules reads the style sheet, which has no nesting but that of the dark.
func rules(t *testing.T) (light, dark []rule) {
	t.Helper()
	css, err := files.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	day, night, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark) {")
	if !found {
		t.Fatal("no dark colours")
	}
	read := func(text string) (out []rule) {
		for _, m := range regexp.MustCompile(`([^{}]+)\{([^{}]*)\}`).FindAllStringSubmatch(text, -1) {
			r := rule{set: map[string]string{}}
			for s := range strings.SplitSeq(m[1], ",") {
				r.selectors = append(r.selectors, strings.TrimSpace(s))
			}
			for d := range strings.SplitSeq(m[2], ";") {
				if key, value, ok := strings.Cut(d, ":"); ok {
					r.set[strings.TrimSpace(key)] = strings.TrimSpace(value)
				}
			}
			out = append(out, r)
		}
		return out
	}
	light = read(day)
	return light, append(slices.Clone(light), read(night)...)
}

// value is what the last rule for a selector says.
func value(rules []rule, selector, key string) (v string) {
	for _, r := range rules {
		if slices.Contains(r.selectors, selector) && r.set[key] != "" {
			v = r.set[key]
		}
	}
	return v
}

var colour = regexp.MustCompile(`#[0-9a-f]{6}\b`)

// luminance is WCAG's.
func luminance(t *testing.T, s string) float64 {
	t.Helper()
	hex := colour.FindString(s)
	if hex == "" {
		t.Fatalf("%q has no colour", s)
	}
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v uint64) float64 {
		c := float64(v&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrast(t *testing.T) {
	light, dark := rules(t)
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Fatalf("black on white is %v", got)
	}
	for name, rules := range map[string][]rule{"light": light, "dark": dark} {
		paper, box := value(rules, "body", "background"), value(rules, "section", "background")
		for _, c := range []struct {
			what, of, on string
			least        float64
		}{
			{"text", value(rules, "body", "color"), paper, 7},
			{"text in the box", value(rules, "section", "color"), box, 7},
			{"links", value(rules, "a", "color"), paper, 4.5},
			{"links in the box", value(rules, "a", "color"), box, 4.5},
			{"fields", value(rules, "input", "color"), value(rules, "input", "background"), 4.5},
			{"buttons", value(rules, "button", "color"), value(rules, "button", "background"), 4.5},
			{"problems", value(rules, ".problem", "color"), value(rules, ".problem", "background"), 4.5},
			// What is no text, but tells something (1.4.11).
			{"borders of fields", cmp.Or(value(rules, "input", "border-color"), value(rules, "input", "border")), paper, 3},
			{"borders of buttons", cmp.Or(value(rules, "button", "border-color"), value(rules, "button", "border")), paper, 3},
			{"focus", cmp.Or(value(rules, "a:focus", "outline-color"), value(rules, "a:focus", "outline")), paper, 3},
			{"focus in the box", cmp.Or(value(rules, "a:focus", "outline-color"), value(rules, "a:focus", "outline")), box, 3},
			{"the gate", value(rules, ".wood", "fill"), paper, 3},
			{"pictures in the box", value(rules, ".wood", "fill"), box, 3},
			{"the arrow", value(rules, ".line", "stroke"), box, 3},
			{"the keyhole", value(rules, ".hole", "fill"), value(rules, ".lock", "fill"), 3},
		} {
			if got := contrast(t, c.of, c.on); got < c.least {
				t.Errorf("%s: %s (%s on %s) have a contrast of %.2f, less than %v", name, c.what, c.of, c.on, got, c.least)
			}
		}
	}
	// Every colour of the light has one for the dark.
	for _, r := range light {
		for key, v := range r.set {
			for _, s := range r.selectors {
				if !colour.MatchString(v) {
					continue
				}
				if night := value(dark[len(light):], s, key) + value(dark[len(light):], s, key+"-color"); night == "" {
					t.Errorf("%s { %s } has no colour in the dark", s, key)
				}
			}
		}
	}
	if css := fmt.Sprint(light); strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the style loads something")
	}
}
