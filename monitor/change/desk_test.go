package change

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
)

const hour = time.Hour

// school is a desk whose clock the test sets.
type school struct {
	*Desk
	t   *testing.T
	now time.Time
}

func newSchool(t *testing.T) *school {
	cfg := config.Default()
	cfg.Policy.Block = []domain.Name{"never.example"}
	cfg.Groups[2].AllowOnly, cfg.Groups[2].Approved = true, []domain.Name{"phonics.example"}
	s := &school{t: t, now: time.Date(2026, time.September, 11, 15, 0, 0, 0, time.UTC)}
	s.Desk = &Desk{Log: New(t.TempDir()), File: cfg, Illegal: func(text string) bool { return strings.Contains(text, "illegal.example") }, Via: "test"}
	s.Log.now = func() time.Time { return s.now }
	return s
}

// must is for what the rules allow; in force says what state it leaves.
func (s *school) must(c *Change, err error) *Change {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// refused is for what they do not.
func (s *school) refused(word string, err error) {
	s.t.Helper()
	var no *Refusal
	if !errors.As(err, &no) || !strings.Contains(no.What, word) || no.Hint == "" {
		s.t.Errorf("error %v, wants a refusal with %q", err, word)
	}
}

func (s *school) allow(name domain.Name, group string) *Change {
	s.t.Helper()
	return s.must(s.Propose(Proposal{What: What{Action: Allow, Name: name, Group: group}, By: "Ann", Why: "lesson", Risk: "low"}))
}

func (s *school) block(name domain.Name, group string) *Change {
	s.t.Helper()
	return s.must(s.Propose(Proposal{What: What{Action: Block, Name: name, Group: group}, By: "Ann", Why: "bad"}))
}

func (s *school) state(id int) State {
	s.t.Helper()
	c, ok := read(s.t, s.Log).Change(id)
	if !ok {
		s.t.Fatalf("no change %d", id)
	}
	return c.State(s.now)
}

// inForce is how the configuration in force differs from that of the file.
func (s *school) inForce() []string {
	s.t.Helper()
	cfg, _ := Effective(s.File, read(s.t, s.Log).Active(s.now))
	return config.Diff(s.File, cfg)
}

func (s *school) wants(inForce ...string) {
	s.t.Helper()
	if diff := cmp.Diff(inForce, s.inForce()); diff != "" {
		s.t.Errorf("in force (-want +got):\n%s", diff)
	}
}

func TestOpeningNeedsTwo(t *testing.T) {
	s := newSchool(t)
	c := s.allow("games.example", "children")
	if c.Needs != Approval || s.state(c.ID) != Pending {
		t.Errorf("%+v", c)
	}
	s.wants()
	for _, same := range []string{"Ann", "ANN", " a-n n. "} {
		_, err := s.Approve(c.ID, same, "", "")
		s.refused("cannot agree to it", err)
	}
	s.now = s.now.Add(hour)
	c = s.must(s.Approve(c.ID, "Bob", "seen", ""))
	if c.ApprovedBy != "Bob" || !c.Began.Equal(s.now) || !c.Until.Equal(s.now.Add(s.File.Changes.AllowFor.Std())) {
		t.Errorf("approved: %+v", c)
	}
	s.wants("group children: games.example is allowed")
	_, err := s.Approve(c.ID, "Cid", "", "")
	s.refused("waits for nobody", err)
	_, err = s.Refuse(c.ID, "Cid", "late")
	s.refused("is active", err)

	// It ends by itself, at its time and not before, and stays ended when the clock was wrong.
	s.now = c.Until.Add(-1)
	s.wants("group children: games.example is allowed")
	s.now = c.Until
	s.wants()
	if got := s.state(c.ID); got != Expired {
		t.Errorf("at its end it is %s", got)
	}
}

func TestTighteningAppliesAtOnce(t *testing.T) {
	s := newSchool(t)
	s.File.Policy.Allow = []domain.Name{"bad.example", "www.bad.example"}
	c := s.block("bad.example", "")
	if !c.Unreviewed(s.now) || s.state(c.ID) != Active || !c.Until.IsZero() {
		t.Errorf("%+v", c)
	}
	s.wants("own list: bad.example is blocked for everyone", "own list: bad.example is no longer allowed for everyone")
	_, err := s.Approve(c.ID, "Ann", "", "none")
	s.refused("cannot agree to it", err)
	_, err = s.Approve(c.ID, "Bob", "", "")
	s.refused("no risk note", err)
	c = s.must(s.Approve(c.ID, "Bob", "", "a lesson may lack it"))
	if c.Unreviewed(s.now) || c.Risk == "" || s.state(c.ID) != Active {
		t.Errorf("looked at: %+v", c)
	}
	// What nobody has agreed to yet may be taken back by one; what somebody has may not.
	r := s.must(s.Revert(c.ID, "Ann", "mended", "low"))
	if s.state(r.ID) != Pending || s.state(c.ID) != Active {
		t.Errorf("%s, %s", s.state(r.ID), s.state(c.ID))
	}
	_, err = s.Revert(c.ID, "Cid", "mended", "low")
	s.refused("proposed already", err)
	s.must(s.Approve(r.ID, "Bob", "", ""))
	if s.state(r.ID) != Done || s.state(c.ID) != Reverted {
		t.Errorf("%s, %s", s.state(r.ID), s.state(c.ID))
	}
	slip := s.block("godo.example", "staff")
	s.must(s.Revert(slip.ID, "Ann", "slip of the pen", ""))
	s.wants()

	// A slip that would take a country away waits.
	if c := s.block("uk", ""); c.Needs != Approval {
		t.Errorf("%+v", c)
	}
}

func TestRevertOfAllowance(t *testing.T) {
	s := newSchool(t)
	c := s.allow("games.example", "")
	s.must(s.Approve(c.ID, "Bob", "", ""))
	r := s.must(s.Revert(c.ID, "Cid", "misused", ""))
	if s.state(r.ID) != Done || s.state(c.ID) != Reverted {
		t.Errorf("%s, %s", s.state(r.ID), s.state(c.ID))
	}
	s.wants()
	_, err := s.Revert(r.ID, "Cid", "again", "")
	s.refused("is done", err)
}

func TestOneAfterTheOther(t *testing.T) {
	s := newSchool(t)
	category := func(on, off []string) *Change {
		return s.must(s.Propose(Proposal{What: What{Action: Category, Group: "staff", On: on, Off: off}, By: "Ann", Why: "x", Risk: "x"}))
	}
	off := category(nil, []string{config.Gaming})
	s.must(s.Approve(off.ID, "Bob", "", ""))
	s.wants("group staff: category gaming is no longer blocked")
	on := category([]string{config.Gaming, config.Gambling}, nil)
	s.wants("group staff: category gambling is blocked")
	if on.Needs != Review {
		t.Errorf("%+v", on)
	}
}

func TestServices(t *testing.T) {
	s := newSchool(t)
	id := catalogue.Services()[0].ID
	on := s.must(s.Propose(Proposal{What: What{Action: Service, Group: "staff", On: []string{id}}, By: "Ann", Why: "x"}))
	if on.Needs != Review || len(s.inForce()) != 1 {
		t.Errorf("%+v, %v", on, s.inForce())
	}
	off := s.must(s.Propose(Proposal{What: What{Action: Service, Group: "staff", Off: []string{id}}, By: "Ann", Why: "x", Risk: "x"}))
	if off.Needs != Approval || off.For == 0 {
		t.Errorf("%+v", off)
	}
	s.must(s.Approve(off.ID, "Bob", "", ""))
	cfg, _ := Effective(s.File, read(t, s.Log).Active(s.now))
	if len(cfg.Groups[1].BlockServices) != 0 || len(cfg.Groups[1].AllowServices) != 1 || len(s.File.Groups[1].AllowServices) != 0 {
		t.Errorf("%+v", cfg.Groups[1])
	}
	_, err := s.Propose(Proposal{What: What{Action: Service, Group: "staff", On: []string{"no-such-thing"}}, By: "Ann", Why: "x"})
	s.refused("no service", err)
	if got := off.String(); got != "no longer refuse the service "+id+" to the group staff" {
		t.Error(got)
	}
}

func TestBlockBeforeAllowance(t *testing.T) {
	s := newSchool(t)
	c := s.allow("www.games.example", "children")
	s.must(s.Approve(c.ID, "Bob", "", ""))
	b := s.block("games.example", "")
	s.wants("own list: games.example is blocked for everyone", "group children: www.games.example is allowed")
	_, err := s.Propose(Proposal{What: What{Action: Allow, Name: "x.games.example"}, By: "Ann", Why: "x", Risk: "x"})
	s.refused("an own block of games.example comes first", err)
	s.must(s.Revert(b.ID, "Ann", "x", ""))

	// The last name of a group that sees approved names alone may be blocked too.
	s.block("phonics.example", "guests")
	s.wants("group children: www.games.example is allowed", "group guests: phonics.example is no longer approved", "group guests: phonics.example is blocked")
	a := s.allow("letters.example", "guests")
	s.must(s.Approve(a.ID, "Bob", "", ""))
	if cfg, _ := Effective(s.File, read(t, s.Log).Active(s.now)); len(cfg.Groups[2].Approved) != 1 {
		t.Errorf("approved: %v", cfg.Groups[2].Approved)
	}
}

func TestRefusals(t *testing.T) {
	s := newSchool(t)
	ok := Proposal{What: What{Action: Allow, Name: "a.example"}, By: "Ann", Why: "why", Risk: "risk"}
	for _, tt := range []struct {
		word string
		p    func(*Proposal)
	}{
		{"illegal tier", func(p *Proposal) { p.Name = "x.illegal.example" }},
		{"illegal tier", func(p *Proposal) { p.Action, p.Name = Block, "illegal.example" }},
		{"illegal tier", func(p *Proposal) {
			p.What = What{Action: Category, Group: "staff", Off: []string{config.IllegalTier}}
		}},
		{"that the illegal tier holds", func(p *Proposal) { p.Why = "saw illegal.example" }},
		{"that the illegal tier holds", func(p *Proposal) { p.Risk = "saw illegal.example" }},
		{"nobody's name", func(p *Proposal) { p.By = "illegal.example" }},
		{"a reason is needed", func(p *Proposal) { p.Why = " \t " }},
		{"a risk note is needed", func(p *Proposal) { p.Risk = "" }},
		{"nobody's name", func(p *Proposal) { p.By = "1 2 3" }},
		{"nobody's name", func(p *Proposal) { p.By = strings.Repeat("x", 101) }},
		{"nobody's name", func(p *Proposal) { p.By = "\x1b[2JAnn" }},
		{"longer than 2000", func(p *Proposal) { p.Why = strings.Repeat("x", 2001) }},
		{"no text", func(p *Proposal) { p.Why = "\xff" }},
		{"no text", func(p *Proposal) { p.Risk = "\x1b[2J" }},
		{"no group", func(p *Proposal) { p.Group = "teachers" }},
		{"every site", func(p *Proposal) { p.Name = "co.uk" }},
		{"own block", func(p *Proposal) { p.Name = "x.never.example" }},
		{"so already", func(p *Proposal) { p.Action, p.Name = Block, "never.example" }},
		{"unknown category", func(p *Proposal) { p.What = What{Action: Category, Group: "staff", On: []string{"games"}} }},
		{"so already", func(p *Proposal) {
			p.What = What{Action: Category, Group: "staff", On: []string{config.Gaming}}
		}},
		{"no change", func(p *Proposal) { p.What = What{Action: Category, On: []string{config.Gaming}} }},
		{"no change", func(p *Proposal) { p.What = What{Action: "explode"} }},
		{"no change", func(p *Proposal) { p.What = What{Action: Revert, Of: 1} }},
		{"no change", func(p *Proposal) { p.Name = "not a name" }},
		{"end at once", func(p *Proposal) { p.Until = s.now }},
		{"end at once", func(p *Proposal) { p.For = -hour }},
		{"together", func(p *Proposal) { p.Until, p.For = s.now.Add(hour), hour }},
		{"longer than 366d", func(p *Proposal) { p.For = 367 * 24 * hour }},
		{"longer than 366d", func(p *Proposal) { p.Until = s.now.Add(367 * 24 * hour) }},
	} {
		p := ok
		tt.p(&p)
		_, err := s.Propose(p)
		s.refused(tt.word, err)
	}
	if b := read(t, s.Log); b.Head.Count != 0 {
		t.Errorf("the log has %d lines of what was refused", b.Head.Count)
	}
	_, err := s.Approve(7, "Bob", "", "")
	s.refused("no change has the number 7", err)
}

func TestPeople(t *testing.T) {
	s := newSchool(t)
	s.File.Changes.People = []config.Person{
		{Name: "A. Lead", Role: config.DSL}, {Name: "H. Head", Role: config.Leadership}, {Name: "T. Office", Role: config.Technical},
	}
	_, err := s.Propose(Proposal{What: What{Action: Stop}, By: "Ann", Why: "x"})
	s.refused("not among those who may", err)
	c := s.must(s.Propose(Proposal{What: What{Action: Allow, Name: "a.example"}, By: "t office", Why: "x", Risk: "x"}))
	if c.By != "T. Office" || c.Role != "technical" || c.Via != "test" {
		t.Errorf("%+v", c)
	}
	c = s.must(s.Propose(Proposal{What: What{Action: Allow, Name: "b.example"}, By: "A. Lead", Why: "x", Risk: "x"}))
	_, err = s.Approve(c.ID, "T. Office", "", "")
	s.refused("cannot agree to changes", err)
	s.must(s.Approve(c.ID, "h head", "", ""))
}

func TestOnePersonAlone(t *testing.T) {
	s := newSchool(t)
	s.File.Changes.Approval = config.NoApproval
	if c := s.allow("a.example", ""); c.Needs != Nothing || s.state(c.ID) != Active {
		t.Errorf("%+v", c)
	}
	_, err := s.Propose(Proposal{What: What{Action: Block, Name: "b.example"}, By: "Ann", Why: "x"})
	s.refused("a risk note is needed", err) // nobody else will ask for it
}

func TestLapsed(t *testing.T) {
	s := newSchool(t)
	c := s.must(s.Propose(Proposal{What: What{Action: Allow, Name: "a.example"}, By: "Ann", Why: "x", Risk: "x", Until: s.now.Add(hour)}))
	s.now = s.now.Add(hour)
	if got := s.state(c.ID); got != Lapsed {
		t.Errorf("it is %s", got)
	}
	_, err := s.Approve(c.ID, "Bob", "", "")
	s.refused("it is lapsed", err)
}

// TestFileChangesMeanwhile: a change for which the file leaves no room any more is left out, and the others stay.
func TestFileChangesMeanwhile(t *testing.T) {
	s := newSchool(t)
	gone, blocked, kept := s.allow("a.example", "guests"), s.allow("b.example", "staff"), s.block("c.example", "staff")
	for _, c := range []*Change{gone, blocked} {
		s.must(s.Approve(c.ID, "Bob", "", ""))
	}
	file := *s.File
	file.Groups = slices.Clone(file.Groups[:2])
	file.Groups[1].Deny = []domain.Name{"b.example"}
	cfg, without := Effective(&file, read(t, s.Log).Active(s.now))
	if len(without) != 2 || !strings.Contains(without[gone.ID].Error(), "no group") || !strings.Contains(without[blocked.ID].Error(), "own block") {
		t.Errorf("without %v", without)
	}
	if diff := cmp.Diff([]string{"group staff: c.example is blocked"}, config.Diff(&file, cfg)); diff != "" || without[kept.ID] != nil {
		t.Error(diff)
	}
	// What only the whole shows: a public suffix, which an edit of the program's own rules may come to refuse.
	odd := &Change{ID: 99, What: What{Action: Allow, Name: "com"}}
	cfg, without = Effective(s.File, append(read(t, s.Log).Active(s.now), odd))
	if len(without) != 1 || without[99] == nil || len(config.Diff(s.File, cfg)) != 3 {
		t.Errorf("without %v, in force %v", without, config.Diff(s.File, cfg))
	}
}

// TestBehindABreak: what stands behind a break of the chain closes, and never opens.
func TestBehindABreak(t *testing.T) {
	s := newSchool(t)
	old := s.allow("old.example", "")
	s.must(s.Approve(old.ID, "Bob", "", ""))
	wall := s.block("wall.example", "")
	s.must(s.Approve(wall.ID, "Bob", "", "low"))
	text := bytesOf(t, s.Log)
	text[len(text)/2] ^= 1
	b, fault := breakAt(t, s.Log, text)
	if fault == nil {
		t.Fatal("no fault")
	}
	fresh := s.allow("fresh.example", "")
	_, err := s.Approve(fresh.ID, "Bob", "", "")
	s.refused("break of the log", err)
	s.block("more.example", "")
	undo := s.must(s.Revert(wall.ID, "Ann", "x", "x"))
	_, err = s.Approve(undo.ID, "Bob", "", "")
	s.refused("break of the log", err)
	for _, c := range read(t, s.Log).Active(s.now) {
		if c.ID == fresh.ID {
			t.Error("it opens")
		}
	}
	if got := s.inForce(); !strings.Contains(strings.Join(got, "\n"), "more.example is blocked") {
		t.Errorf("in force: %v", got)
	}
	if again := read(t, s.Log); again.Fault.Line != b.Fault.Line {
		t.Errorf("the fault is now %+v", again.Fault)
	}

	// Once somebody has said that they know, the filter can be opened again; what was doubted stays so.
	head := b.Head
	head.At, head.Hash = s.now.Add(-hour), strings.Repeat("f", 64)
	if _, err := s.Acknowledge("Bob", " ", nil); err == nil {
		t.Error("acknowledged without a reason")
	}
	again, err := s.Acknowledge("Bob", "a disk test wrote to it", []monitor.Head{head})
	if err != nil || again.Check([]monitor.Head{head}) != nil || len(again.Known) != 1 || !strings.HasPrefix(again.Known[0].Before[0], "line ") {
		t.Errorf("acknowledged: %v, %+v", err, again)
	}
	_, err = s.Acknowledge("Bob", "again", []monitor.Head{head})
	s.refused("is whole", err)
	_, err = s.Approve(fresh.ID, "Bob", "", "")
	s.refused("break of the log", err)
	later := s.allow("later.example", "")
	s.must(s.Approve(later.ID, "Bob", "", ""))
	if got := s.inForce(); !strings.Contains(strings.Join(got, "\n"), "later.example is allowed") {
		t.Errorf("in force: %v", got)
	}
	text = bytesOf(t, s.Log)
	text[len(text)-200] ^= 1
	if _, fault := breakAt(t, s.Log, text); fault == nil || fault.Line < again.Head.Count {
		t.Errorf("what was altered after it: %+v", fault)
	}
}

// TestForgedAcknowledgement: whoever writes the whole log anew, with a line of the future in which somebody knows of that, is
// held to what the log was from the first head that has the line.
func TestForgedAcknowledgement(t *testing.T) {
	s := newSchool(t)
	old := monitor.Head{At: s.now, Count: 9, Hash: strings.Repeat("a", 64)}
	s.now = s.now.AddDate(4, 0, 0)
	forged, err := s.Acknowledge("Bob", "a disk test wrote to it", []monitor.Head{old})
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.AddDate(-4, 0, 0)
	heads := []monitor.Head{old, {At: s.now.Add(hour), Count: forged.Head.Count, Hash: forged.Head.Hash}}
	s.must(s.Propose(Proposal{What: What{Action: Block, Name: "a.example"}, By: "Ann", Why: "why"}))
	b, err := s.Log.Read()
	if err != nil {
		t.Fatal(err)
	}
	if fault := b.Check(heads); fault != nil {
		t.Errorf("it is acknowledged: %+v", fault)
	}
	heads = append(heads, monitor.Head{At: s.now.Add(2 * hour), Count: b.Head.Count + 1, Hash: b.Head.Hash})
	if fault := b.Check(heads); fault == nil {
		t.Error("the end was cut off, and it does not show")
	}
}

// TestWrittenAnew: a log that was written anew, whole as it looks, opens nothing from the first line that was another one.
func TestWrittenAnew(t *testing.T) {
	s := newSchool(t)
	first := s.allow("first.example", "")
	s.must(s.Approve(first.ID, "Bob", "", ""))
	was := monitor.Head{At: s.now, Count: read(t, s.Log).Head.Count + 1, Hash: strings.Repeat("a", 64)}
	forged := s.allow("forged.example", "")
	s.must(s.Approve(forged.ID, "Bob", "", ""))
	s.block("wall.example", "")
	b := read(t, s.Log)
	fault := b.Check([]monitor.Head{was})
	if fault == nil || fault.Line != forged.ID {
		t.Fatalf("the fault is %+v", fault)
	}
	var got []string
	for _, c := range b.Doubt(fault).Active(s.now) {
		got = append(got, c.Name.String())
	}
	if diff := cmp.Diff([]string{"first.example", "wall.example"}, got); diff != "" {
		t.Error(diff)
	}
	if len(b.Active(s.now)) != 3 || b.Fault != nil {
		t.Error("the Book itself was altered")
	}
}

// TestAnswer: what became of a request is a line of the log, once; a request of the same number made later, since the record
// was begun anew, waits for an answer of its own.
func TestAnswer(t *testing.T) {
	s := newSchool(t)
	r := monitor.Request{ID: 7, At: s.now.Add(-hour)}
	s.refused("reason", s.Answer(r, "Ann", ""))
	s.refused("nobody's name", s.Answer(r, "", "open now"))
	s.refused("illegal tier", s.Answer(r, "Ann", "it was illegal.example"))
	if err := s.Answer(r, "Ann", "open  now"); err != nil {
		t.Fatal(err)
	}
	s.refused("Ann already", s.Answer(r, "Bob", "open now"))
	b := read(t, s.Log)
	e, ok := b.Answer(7, r.At)
	if want := (Entry{Number: 1, At: s.now, Kind: KindAnswered, Asked: 7, By: "Ann", Via: "test", Why: "open now", Prev: e.Prev, Hash: e.Hash}); !ok || !cmp.Equal(want, e) {
		t.Errorf("%+v", e)
	}
	if len(b.Changes()) != 0 || len(s.inForce()) != 0 || b.Check(nil) != nil {
		t.Errorf("changes %v, in force %v, fault %v", b.Changes(), s.inForce(), b.Check(nil))
	}
	for _, other := range []monitor.Request{{ID: 8, At: r.At}, {ID: 7, At: s.now.Add(hour)}} {
		if e, ok := b.Answer(other.ID, other.At); ok {
			t.Errorf("request %+v has the answer %+v", other, e)
		}
	}
	s.File.Changes.People = []config.Person{{Name: "Ann"}}
	s.refused("not among", s.Answer(monitor.Request{ID: 8, At: s.now}, "Eve", "no"))
}
