package report_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"schoolgate/config"
	"schoolgate/monitor/record"
	"schoolgate/monitor/report"
	"schoolgate/resolver/query"
)

// tree parses a page as a browser does.
func tree(t testing.TB, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func all(root *html.Node, name string) (nodes []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words is the text below a node.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func whole(t testing.TB, r *report.Report) *html.Node { return tree(t, page(t, r)) }

// TestSameNumbers reads every table of the page back and holds it against the CSV.
func TestSameNumbers(t *testing.T) {
	span := autumn(t)
	for _, src := range []*memory{term(span, 5), {tallies: random(span, 2, 2000)}} {
		r := build(t, src, span, school(span.To.AddDate(0, 0, 3)))
		csv, seen, counted := figures(t, r), 0, map[key]bool{}
		for _, table := range all(whole(t, r), "table") {
			id := attr(table, "id")
			if id == "" {
				continue // to be signed
			}
			var head, numeric []string
			for _, th := range all(all(table, "thead")[0], "th") {
				head, numeric = append(head, words(th)), append(numeric, attr(th, "class"))
			}
			for _, tr := range all(all(table, "tbody")[0], "tr") {
				var row []string
				for c := range tr.ChildNodes() {
					if c.Type == html.ElementNode {
						row = append(row, words(c))
					}
				}
				if len(row) != len(head) {
					t.Fatalf("%s: a row of %d cells below %d headings", id, len(row), len(head))
				}
				for i, value := range row {
					if i == 0 || numeric[i] != "n" {
						continue
					}
					seen++
					counted[key{section: id, measure: head[i]}] = true
					if !holds(csv, id, head[i], strings.ReplaceAll(value, ",", "")) {
						t.Errorf("%s: %s %q is not in the CSV", id, head[i], value)
					}
				}
			}
		}
		for k, v := range csv {
			if counted[key{section: k.section, measure: k.measure}] && !strings.HasSuffix(v, answered) {
				t.Errorf("%+v = %s is not on the page", k, v)
			}
		}
		if seen < 500 {
			t.Errorf("only %d numbers on the page", seen)
		}
	}
}

const answered = " (on the page)"

// holds takes one line out of the CSV, so that each can answer for one cell only.
func holds(csv map[key]string, section, measure, value string) bool {
	for k, v := range csv {
		if k.section == section && k.measure == measure && v == value {
			csv[k] = v + answered
			return true
		}
	}
	return false
}

func TestStructure(t *testing.T) {
	span := autumn(t)
	sites := map[string]*memory{"full": term(span, 1), "empty": {}}
	for name, src := range sites {
		t.Run(name, func(t *testing.T) {
			text := page(t, build(t, src, span, school(span.To)))
			root := tree(t, text)
			if got := attr(all(root, "html")[0], "lang"); got != "en-GB" {
				t.Errorf("lang %q", got)
			}
			if len(words(all(all(root, "head")[0], "title")[0])) < 10 {
				t.Error("the page has no title")
			}
			for _, landmark := range []string{"header", "nav", "main", "footer"} {
				if n := len(all(root, landmark)); n != 1 {
					t.Errorf("%d landmarks %s", n, landmark)
				}
			}
			headings(t, root)
			ids(t, root)
			for _, table := range all(root, "table") {
				if len(all(table, "caption")) != 1 || words(all(table, "caption")[0]) == "" {
					t.Errorf("table %q has no caption", attr(table, "id"))
				}
				for _, th := range all(table, "th") {
					if s := attr(th, "scope"); s != "col" && s != "row" {
						t.Errorf("table %q: heading %q has scope %q", attr(table, "id"), words(th), s)
					}
				}
			}
			for _, svg := range all(root, "svg") {
				if attr(svg, "role") != "img" || attr(svg, "aria-labelledby") == "" || len(all(svg, "desc")) != 1 || words(all(svg, "desc")[0]) == "" {
					t.Errorf("a drawing without words: %s", words(svg))
				}
			}
			if len(all(root, "svg")) < 2 {
				t.Error("the page has no charts")
			}
			alone(t, root, text)
		})
	}
}

// headings checks that there is one h1 and that no level is left out on the way down.
func headings(t *testing.T, root *html.Node) {
	t.Helper()
	last, ones := 0, 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
			continue
		}
		level := int(n.Data[1] - '0')
		if level == 1 {
			ones++
		}
		if level > last+1 {
			t.Errorf("heading %q is of level %d below level %d", words(n), level, last)
		}
		last = level
	}
	if ones != 1 {
		t.Errorf("%d h1", ones)
	}
}

// ids checks that ids are unique and that what refers to one finds it.
func ids(t *testing.T, root *html.Node) {
	t.Helper()
	var have, want []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			if slices.Contains(have, id) {
				t.Errorf("id %q stands twice", id)
			}
			have = append(have, id)
		}
		want = append(want, strings.Fields(attr(n, "aria-labelledby"))...)
		if h := attr(n, "href"); h != "" {
			want = append(want, strings.TrimPrefix(h, "#"))
		}
	}
	for _, id := range want {
		if !slices.Contains(have, id) {
			t.Errorf("nothing has the id %q", id)
		}
	}
}

// alone checks that the page asks for nothing and runs nothing.
func alone(t *testing.T, root *html.Node, text string) {
	t.Helper()
	forbidden := []atom.Atom{atom.Script, atom.Link, atom.Img, atom.Iframe, atom.Object, atom.Embed, atom.Base, atom.Form, atom.Video, atom.Audio}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains(forbidden, n.DataAtom) || n.Data == "use" || n.Data == "foreignObject" {
			t.Errorf("the page has <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, s := range []string{"http://", "https://", "url(", "@import", "ZgotmplZ", "<no value>", "%!"} {
		if strings.Contains(text, s) {
			t.Errorf("the page holds %q", s)
		}
	}
	if !strings.Contains(text, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("the page has no content security policy")
	}
}

// TestOutline is the order in which a safeguarding lead reads.
func TestOutline(t *testing.T) {
	span := autumn(t)
	var got []string
	root := whole(t, build(t, term(span, 1), span, school(span.To)))
	for _, h := range all(all(root, "main")[0], "h2") {
		got = append(got, words(h))
	}
	want := []string{
		"In short", "What needs a decision", "What was refused", "Illegal tier", "Devices", "Names refused most", "Refused wrongly?",
		"Searches, and ways round the filter", "Alerts", "Changes", "Is the record whole?", "Lists and policy", "What this cannot show",
		"Keeping this report", "How it was counted", "All figures",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	var links []string
	for _, a := range all(all(root, "nav")[0], "a") {
		links = append(links, words(a))
	}
	if d := cmp.Diff(want, links); d != "" {
		t.Errorf("contents, -want +got:\n%s", d)
	}
}

// TestContrast reckons the contrast of the colours of the style by WCAG 2.
func TestContrast(t *testing.T) {
	text := page(t, build(t, &memory{}, autumn(t), school(autumn(t).To)))
	colours := map[string]string{}
	for _, m := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{3,6})`).FindAllStringSubmatch(text, -1) {
		if _, screen := colours[m[1]]; !screen {
			colours[m[1]] = m[2]
		}
	}
	for _, ink := range []string{"ink", "soft", "deep", "mark"} {
		for _, paper := range []string{"#ffffff", colours["pale"]} {
			if c := contrast(t, colours[ink], paper); c < 4.5 {
				t.Errorf("%s %s on %s has a contrast of %.2f", ink, colours[ink], paper, c)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + .05) / (min(la, lb) + .05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var c [3]int
	if n, err := fmt.Sscanf(colour, "#%02x%02x%02x", &c[0], &c[1], &c[2]); n != 3 {
		t.Fatalf("colour %q: %v", colour, err)
	}
	l := 0.0
	for i, w := range []float64{.2126, .7152, .0722} {
		v := float64(c[i]) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		l += w * v
	}
	return l
}

// TestBars measures the drawings: the height of a bar must be to its number as that of any other.
func TestBars(t *testing.T) {
	span := autumn(t)
	r := build(t, term(span, 4), span, school(span.To))
	weeks, days := figures(t, r), 0
	for _, svg := range all(whole(t, r), "svg") {
		perUnit, y := 0.0, 0.0
		for _, rect := range all(svg, "rect") {
			said := words(rect)
			digits := regexp.MustCompile(`: ([\d,]+)`).FindStringSubmatch(said)
			n, err := strconv.ParseFloat(strings.ReplaceAll(digits[1], ",", ""), 64)
			if err != nil {
				t.Fatal(err)
			}
			height, _ := strconv.ParseFloat(attr(rect, "height"), 64)
			top, _ := strconv.ParseFloat(attr(rect, "y"), 64)
			if perUnit == 0 && n > 0 {
				perUnit, y = height/n, top+height
			}
			if math.Abs(height-n*perUnit) > n*.1/max(1, n)+.5+.01*height || n > 0 && math.Abs(top+height-y) > .2 || top < 0 {
				t.Errorf("%s: a bar of height %.1f at %.1f for %v, where one takes %.4f", attr(svg, "aria-labelledby"), height, top, n, perUnit)
			}
			if strings.HasPrefix(attr(svg, "aria-labelledby"), "chart-days") {
				days++
			}
		}
	}
	if want := len(numbers(t, weeks, "days", "Refused")); days != want {
		t.Errorf("%d bars for %d days", days, want)
	}
}

// TestScale measures the tallest bar against the scale beside it.
func TestScale(t *testing.T) {
	span := autumn(t)
	r := build(t, &memory{tallies: nil}, span, school(span.To))
	src := &memory{}
	src.tallies = append(src.tallies, blocked(span.From, "d", "a.example", "gaming", 1000), blocked(span.From.AddDate(0, 0, 7), "d", "a.example", "gaming", 500))
	full := build(t, src, span, school(span.To))
	if n := len(all(all(whole(t, r), "svg")[1], "rect")); n != 0 {
		t.Errorf("%d bars for days without refusals", n)
	}
	svg := all(whole(t, full), "svg")[0]
	lines := all(svg, "line") // 0, half, top, and the axis
	y := func(i int) float64 { v, _ := strconv.ParseFloat(attr(lines[i], "y1"), 64); return v }
	bar, _ := strconv.ParseFloat(attr(all(svg, "rect")[0], "y"), 64)
	half, _ := strconv.ParseFloat(attr(all(svg, "rect")[1], "y"), 64)
	if words(all(svg, "text")[2]) != "1,000" || math.Abs(bar-y(2)) > .1 || math.Abs(half-y(1)) > .1 {
		t.Errorf("1,000 reaches %.1f and 500 %.1f; the lines are at %.1f and %.1f", bar, half, y(2), y(1))
	}
}

// TestDeviceOrder is that of concern: a single grave refusal before many light ones.
func TestDeviceOrder(t *testing.T) {
	span := autumn(t)
	src := &memory{tallies: []record.Tally{
		blocked(span.From, "quiet", "a.example", "gaming", 1),
		blocked(span.From, "gamer", "a.example", "gaming", 900),
		blocked(span.From, "porn-2", "b.example", "pornography", 2),
		blocked(span.From, "porn-9", "b.example", "pornography", 9),
		blocked(span.From, "porn-2", "c.example", "weapons", 100),
		blocked(span.From, "hate", "c.example", "hate", 1),
		{Day: span.From, Device: "nothing", Group: "staff", Name: "x.example", Count: 5000},
		{Day: span.From, Device: "grave", Group: "staff", Name: record.Withheld, Action: query.Block, Rule: query.Illegal, Category: config.IllegalTier, Count: 1},
	}}
	var got []string
	for _, table := range all(whole(t, build(t, src, span, school(span.To))), "table") {
		if attr(table, "id") == "devices" {
			for _, tr := range all(all(table, "tbody")[0], "tr") {
				got = append(got, words(all(tr, "th")[0]))
			}
		}
	}
	if d := cmp.Diff([]string{"grave", "hate", "porn-9", "porn-2", "gamer", "quiet", "nothing"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
