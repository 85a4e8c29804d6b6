package change

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"schoolgate/config"
)

// Bounds of what people may write.
const (
	maxName = 100  // bytes
	maxText = 2000 // bytes
	minLife = time.Minute
)

// person finds who somebody is, by the list of people where there is one.
func (d *Desk) person(name string) (config.Person, error) {
	name = strings.Join(strings.Fields(name), " ")
	if !strings.ContainsFunc(name, unicode.IsLetter) || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return config.Person{}, refuse(`--by "A. Lead" says who you are`, "%q is nobody's name", name)
	}
	if len(d.File.Changes.People) == 0 {
		if d.bears(name) {
			return config.Person{}, refuse(`--by "A. Lead" says who you are`, "that is nobody's name")
		}
		return config.Person{Name: name}, nil
	}
	p, ok := d.File.Changes.Person(name)
	if !ok {
		return p, refuse("changes.people of the configuration says who may", "%s is not among those who may change the filter", name)
	}
	return p, nil
}

// role is what the log says of a person's role: nothing, where nobody has one.
func (d *Desk) role(p config.Person) string {
	if len(d.File.Changes.People) == 0 {
		return ""
	}
	return p.Role.String()
}

// bears says whether a text has a name of the illegal tier in it.
func (d *Desk) bears(text string) bool { return d.Illegal != nil && d.Illegal(text) }

// text is what a person wrote, on one line.
func (d *Desk) text(flag, s string, required bool) (string, error) {
	s = strings.Join(strings.Fields(s), " ")
	switch {
	case s == "" && required:
		return "", refuse(flag+" TEXT says so", "%s", map[string]string{"--why": "a reason is needed", "--risk": "a risk note is needed: what could come of it, and for whom"}[flag])
	case len(s) > maxText:
		return "", refuse("write it shorter", "%s is longer than %d bytes", flag, maxText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", refuse("write plain text", "%s holds bytes that are no text", flag)
	case d.bears(s):
		return "", refuse("say it without the name: the log is kept for good, and others read it", "%s has a name in it that the illegal tier holds", flag)
	}
	return s, nil
}

// possible refuses what no change may do, whoever agrees.
func (d *Desk) possible(w What) error {
	for _, c := range append(append([]string(nil), w.On...), w.Off...) {
		if c == config.IllegalTier {
			return refuse("there is nothing to change about it", "the illegal tier is refused to everyone, and no change touches it")
		}
	}
	if w.Name != "" && d.bears(string(w.Name)) {
		return refuse("there is nothing to change about it", "the illegal tier holds this name: it is refused to everyone, and no change touches it")
	}
	if w.Action == Revert || !w.sound() {
		return refuse("schoolgate help changes", "that is no change")
	}
	return nil
}

// needs is what a proposal waits for. What tightens applies at once, since a child may be looking at it now; but a block
// of everything below a public suffix is more likely a slip than a danger.
func (d *Desk) needs(w What) Need {
	switch {
	case d.File.Changes.Approval == config.NoApproval:
		return Nothing
	case w.Opens() || w.Action == Block && w.Name.IsPublicSuffix():
		return Approval
	}
	return Review
}

// life checks when a change ends, and gives an end to what opens the filter and has none.
func (d *Desk) life(e *Entry, now time.Time) error {
	until := e.Until
	if e.For != 0 && !until.IsZero() {
		return refuse("give one of the two", "--until and --for together")
	}
	if e.For == 0 && until.IsZero() {
		if !e.What.Opens() {
			return nil
		}
		e.For = d.File.Changes.AllowFor.Std()
	}
	life := e.For
	if !until.IsZero() {
		life = until.Sub(now)
	}
	if life < minLife {
		return refuse("give a time that is still to come", "that would end at once")
	}
	if most := d.File.Changes.MaxFor; e.What.Opens() && life > most.Std() {
		return refuse("changes.max_for of the configuration sets the longest; what is to stay belongs into the configuration file", "that would hold for longer than %v", most)
	}
	return nil
}

// works refuses a change that could not be, or that would change nothing.
func (d *Desk) works(b *Book, w What, now time.Time) error {
	active := b.Active(now)
	before, _ := Effective(d.File, active)
	trial := &Change{ID: -1, What: w}
	after, without := Effective(d.File, append(active, trial))
	if err := without[trial.ID]; err != nil {
		return refuse("schoolgate explain shows what decides now", "%s: %v", w, err)
	}
	if before.Equal(after) {
		return refuse("schoolgate changes list shows what is in force", "%s: that is so already", w)
	}
	return nil
}
