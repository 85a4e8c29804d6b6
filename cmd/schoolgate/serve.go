package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"schoolgate/blocklist"
	"schoolgate/blocklist/feed"
	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor/alert"
	"schoolgate/monitor/change"
	"schoolgate/monitor/device"
	"schoolgate/monitor/health"
	"schoolgate/monitor/journal"
	"schoolgate/monitor/metrics"
	"schoolgate/monitor/notice"
	"schoolgate/monitor/reference"
	"schoolgate/monitor/store"
	"schoolgate/resolver"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/certificate"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/dnssec"
	"schoolgate/resolver/listen"
	"schoolgate/resolver/local"
	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
)

// appliance is the running program: what reload and the pages of health and metrics reach. The wiring is serve, read
// from top to bottom.
type appliance struct {
	path     string // of the configuration, "" for the built-in one
	lastGood string // where a copy of it is kept
	log      *slog.Logger
	started  time.Time
	clock    *clock.Clock

	store      *store.Store
	journal    *journal.Journal
	alerts     *alert.Engine
	sender     *alert.Sender
	metrics    *metrics.Metrics
	checks     *health.Checks
	updater    *update.Updater
	keeper     *feed.Keeper
	refs       *reference.Keeper
	neighbours *device.Neighbours
	interfaces *local.Interfaces
	cache      *cache.Cache
	resolver   *resolver.Resolver
	server     *listen.Server
	access     *listen.Access
	box        *certificate.Box // nil without encrypted transports
	pages      *health.Server   // nil when none are served
	page       *notice.Handler
	pageServer *notice.Server
	pageErr    error        // why there is no page by HTTPS
	asked      atomic.Int64 // requests from the block page that wait for an answer

	cfg     atomic.Pointer[config.Config] // in force
	asking  atomic.Pointer[asker]         // in force
	outcome atomic.Pointer[loading]       // of the last time that a configuration was read
	losses  losses
	late    losses // of signatures that were not of their time
	burdens burdens
	proof   proof // of the illegal tier
	trust   atomic.Pointer[reference.Trust]

	changes  *change.Log
	changed  chan struct{}            // has one element when somebody says that the log of changes has grown
	standing atomic.Pointer[standing] // of the log of changes

	mu   sync.Mutex     // guards changing what is in force: reload, publish and takeChanges
	file *config.Config // of the file: what is in force but for changes
	set  *blocklist.Set
	tier *sealed.Set // nil for none
}

// loading is what came of reading the configuration.
type loading struct {
	at      time.Time
	err     error    // why it was refused; nil when it was taken
	restart []string // what was taken but needs a restart
}

// asker is the upstreams at work.
type asker struct {
	*upstream.Router
	validator *dnssec.Validator // nil when nothing is validated
	stop      func()            // closes it and waits
}

// serve runs the appliance until ctx ends. Resources are opened upwards and closed in the reverse order: first no more
// questions, then the last answers, then the record.
func serve(ctx context.Context, a *appliance, cfg *config.Config, ready func(*appliance)) (err error) {
	a.started = time.Now()
	a.clock = &clock.Clock{Built: buildTime()}
	a.cfg.Store(cfg)
	told := make(chan os.Signal, 2) // from now on: a signal before all is up must wait, not kill
	signal.Notify(told, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(told)
	dir := cfg.Store.Path
	if err := os.MkdirAll(dir, 0o700); noRoom(err) {
		a.log.Error("the state directory cannot be made", "error", err)
	} else if err != nil {
		return failed("store.path must be a directory that the program may write", "making %s: %v", dir, err)
	}
	unlock, err := lockState(dir, a.log)
	if err != nil {
		return err
	}
	defer unlock()

	// The record.
	if a.store, err = store.Open(ctx, dir, part(a.log, "store")); err != nil {
		return failed("schoolgate help run; the folder can be moved aside to begin a new record", "opening the record in %s: %v", dir, err)
	}
	defer func() { err = errors.Join(err, a.store.Close()) }()
	cores := min(runtime.GOMAXPROCS(0), listen.MaxPerAddr)
	// The lanes wait in system calls. With one more than there are cores, something is always left to the scheduler, and so
	// it neither takes their processors away when they wait, nor has the lanes wait for whoever writes the record.
	runtime.GOMAXPROCS(cores + 1)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(30) // there is little garbage, and memory is what a small box is short of
	}
	lanes := cores * len(cfg.DNS.Listen)
	a.journal = journal.New(lanes, journal.DefaultCapacity)
	a.journal.Log = part(a.log, "journal")

	// Changes laid over the file.
	a.file, a.changes, a.changed = cfg, change.New(dir), make(chan struct{}, 1)
	stand := a.readChanges(ctx)
	cfg = overlaid(a.file, stand)
	a.standing.Store(stand)
	a.cfg.Store(cfg)

	// Alerts and what is told of the box.
	a.alerts = alert.New(a.store, alertSettings(cfg), part(a.log, "alert"))
	a.sender = alert.NewSender(a.store, func() config.Alerts { return a.cfg.Load().Alerts }, part(a.log, "mail"))
	a.alerts.Mailed = a.sender.Wake
	a.refs = reference.New(a.store, part(a.log, "references"))
	a.checks = &health.Checks{Parts: []health.Check{
		a.filterConditions, a.guardConditions, a.tierConditions, a.listConditions, a.upstreamConditions, a.dnssecConditions, a.recordConditions, a.clockConditions, a.certificateConditions, a.configConditions, a.changeConditions, a.pageConditions, a.alerts.Health, a.sender.Health,
	}}
	a.alerts.Conditions = a.checks.Conditions
	a.meter(lanes, cfg)

	// Lists, policy, devices, upstreams, cache: what a query reads.
	a.openTier(ctx, cfg)
	a.heedKey(cfg)
	a.updater = updaterOf(cfg)
	a.updater.Log = part(a.log, "lists")
	a.updater.Publish, a.updater.Decided = a.publish, a.decided
	loaded, err := a.updater.Load()
	if err != nil {
		return failed("", "loading the lists: %v", err)
	}
	if loaded.Err != nil {
		a.log.Error("compiled lists unusable, the starter lists serve until they are compiled again", "error", loaded.Err)
	}
	a.interfaces = new(local.Interfaces)
	a.interfaces.Look()
	a.neighbours = &device.Neighbours{Read: device.Kernel, Log: part(a.log, "devices")}
	if err := a.neighbours.Refresh(); err != nil {
		a.log.Warn("neighbour table unreadable, devices are told apart by address alone", "error", err)
	}
	a.openBox(cfg)
	a.cache = cache.New(cfg.Cache)
	a.set = loaded.Set
	a.asking.Store(a.ask(cfg))
	defer func() { a.asking.Load().stop() }()
	defer func(r *net.Resolver) { net.DefaultResolver = r }(net.DefaultResolver)
	net.DefaultResolver = a.lookups() // the only hook for what libraries look up
	if err := a.openPage(cfg); err != nil {
		return err
	}
	defer a.pageServer.Close()
	first, err := a.state(cfg, a.set, a.tier, a.asking.Load())
	if err != nil {
		return err
	}
	a.resolver = resolver.New(a.cache, first)
	defer a.resolver.Close()

	// The sockets, and who may ask.
	a.access = &listen.Access{Log: part(a.log, "dns")}
	if err := a.access.Refresh(); err != nil {
		a.log.Warn("networks of this machine unknown, only those that dns.allow names are answered", "error", err)
	}
	a.server = &listen.Server{
		Addrs: cfg.DNS.Listen, Inline: a.resolver.Inline, Resolve: a.resolver.Resolve, Done: a.done, Standing: a.access.Standing,
		Encrypted: a.encrypted(cfg), PerAddr: cores, Log: part(a.log, "dns"),
	}
	if err := a.server.Listen(); err != nil {
		var bind *listen.BindError
		if errors.As(err, &bind) {
			return failed(bind.Hint(), "%v", err)
		}
		return err
	}
	a.guard(cfg)
	named := *first
	named.Own = a.own(cfg) // whose ports are known now
	a.resolver.Swap(&named)
	if cfg.HTTP.Listen.IsValid() {
		h := &health.Handler{Checks: a.checks, Ready: a.notReady, Metrics: a.metrics.Handler()}
		if a.pages, err = health.Listen(cfg.HTTP.Listen, h.Mux(), part(a.log, "http")); err != nil {
			a.server.Close()
			return failed("http.listen names another address; another program may hold this one", "%v", err)
		}
	}
	a.recordStart(ctx)

	// Behind: what takes in what the front hands over, and so ends after it.
	behind, stopBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBehind()
	back, _ := errgroup.WithContext(behind)
	back.Go(func() error {
		return a.journal.Run(behind, &withholding{Store: a.store, resolver: a.resolver}, cfg.Store.Flush.Std())
	})
	back.Go(func() error { return a.alerts.Run(behind) })
	back.Go(func() error { return a.refs.Run(behind) })
	back.Go(func() error { return a.sender.Run(behind) })

	front, fctx := errgroup.WithContext(ctx)
	front.Go(func() error { return a.server.Run(fctx) })
	front.Go(func() error { return a.access.Run(fctx) })
	if a.pages != nil {
		front.Go(func() error { return a.pages.Run(fctx) })
	}
	front.Go(func() error { return a.pageServer.Run(fctx) })
	if a.box != nil {
		front.Go(func() error { return a.box.Run(fctx) })
	}
	front.Go(func() error { return a.updater.Run(fctx) })
	front.Go(func() error { return a.keeper.Run(fctx) })
	front.Go(func() error { return a.prove(fctx) })
	front.Go(func() error { return a.neighbours.Run(fctx) })
	front.Go(func() error { return a.interfaces.Run(fctx) })
	front.Go(func() error { return a.store.Run(fctx, a.retention) })
	front.Go(func() error { return a.beat(fctx) })
	front.Go(func() error { return a.follow(fctx) })
	front.Go(func() error { return a.heed(fctx, told) })
	ready(a)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)

	err = front.Wait()
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	a.log.Info("stopping")
	stopBehind()
	return errors.Join(err, back.Wait())
}

// done is called after each answer has been written. Each of the three only adds or enqueues.
func (a *appliance) done(q *query.Query) {
	if q.Client.Name == "" { // refused before it was judged: a malformed or unusual request is somebody's too
		a.resolver.Account(q)
	}
	if a.isCanary(q) {
		a.proof.saw(q.Verdict.Rule)
		return
	}
	if isProbe(q) {
		return
	}
	a.metrics.Done(q)
	a.journal.Done(q)
	a.alerts.Done(q)
	a.refs.Done(q)
}

// heed reads the configuration again on SIGHUP, and takes up on SIGUSR1 what another process
// compiled or wrote into the log of changes.
func (a *appliance) heed(ctx context.Context, told <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-told:
			if s == syscall.SIGUSR1 {
				a.updater.Kick()
				a.keeper.Kick()
				select {
				case a.changed <- struct{}{}:
				default:
				}
			} else {
				a.reload(ctx)
			}
		}
	}
}

// part is the log of one part of the program.
func part(log *slog.Logger, name string) *slog.Logger { return log.With("part", name) }

func alertSettings(cfg *config.Config) alert.Settings {
	return alert.Settings{School: cfg.Site.Name, Location: cfg.Location(), Alerts: cfg.Alerts}
}

// runServe is the command run.
func runServe(ctx context.Context, c *call) error {
	f := flags("run")
	where := configFlag(f)
	lastGood := f.String("last-good", "", "")
	form := f.String("log", "text", "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	var handler slog.Handler
	switch *form {
	case "text":
		handler = slog.NewTextHandler(c.stderr, nil)
	case "json":
		handler = slog.NewJSONHandler(c.stderr, nil)
	default:
		return usage("--log takes text or json", "no form of log %q", *form)
	}
	a := &appliance{path: configPath(*where), lastGood: *lastGood, log: slog.New(handler)}
	cfg, err := a.firstConfig()
	if err != nil {
		return err
	}
	if a.lastGood == "" {
		a.lastGood = filepath.Join(cfg.Store.Path, "last-good.toml")
	}
	return serve(ctx, a, cfg, func(a *appliance) { a.banner(c.stdout) })
}

// firstConfig reads the configuration to start with. One that is refused does not leave the school without DNS when
// there is one that served before.
func (a *appliance) firstConfig() (*config.Config, error) {
	cfg, err := config.Load(a.path)
	if err == nil {
		a.outcome.Store(&loading{at: time.Now()})
		return cfg, nil
	}
	if a.lastGood != "" {
		if old, oldErr := config.Load(a.lastGood); oldErr == nil {
			a.refused("the configuration is refused, starting from the last good one", err)
			return old, nil
		}
	}
	return nil, refused(a.path, err)
}

func addresses(list []netip.AddrPort) string {
	s := ""
	for i, a := range list {
		if i > 0 {
			s += ", "
		}
		s += a.String()
	}
	return s
}

// banner tells the person at the terminal where everything is and what to try.
func (a *appliance) banner(w io.Writer) {
	cfg := a.cfg.Load()
	source := a.path
	if source == "" {
		source = "built-in defaults (deploy/schoolgate.example.toml says what can be set)"
	}
	fmt.Fprintf(w, "Schoolgate %s is answering.\n\n", version)
	fmt.Fprintf(w, "  DNS            %s, UDP and TCP\n", addresses(a.server.Bound()))
	if a.server.Encrypted != nil {
		overTLS, https, quic := a.server.Encrypted.Bound()
		for _, t := range []struct {
			name  string
			addrs []netip.AddrPort
		}{{"DNS over TLS  ", overTLS}, {"DNS over HTTPS", https}, {"DNS over QUIC ", quic}} {
			if len(t.addrs) > 0 {
				fmt.Fprintf(w, "  %s %s\n", t.name, addresses(t.addrs))
			}
		}
	}
	fmt.Fprintf(w, "  filter         %s; see schoolgate lists\n", a.filterWords())
	if a.pages != nil {
		fmt.Fprintf(w, "  health         http://%s/readyz\n  metrics        http://%[1]s/metrics\n", a.pages.Addr())
	}
	if bound := a.pageServer.Bound(); len(bound) > 0 {
		fmt.Fprintf(w, "  block page     %s\n", addresses(bound))
	}
	fmt.Fprintf(w, "  record         %s, kept for %v\n", cfg.Store.Path, cfg.Store.Retention)
	fmt.Fprintf(w, "  configuration  %s\n", source)
	d := a.server.Bound()[0]
	fmt.Fprintf(w, "\nTry in another terminal:\n\n")
	fmt.Fprintf(w, "  dig @%s -p %d roblox.com            blocked: gaming\n", d.Addr(), d.Port())
	fmt.Fprintf(w, "  dig @%s -p %d www.bbc.co.uk         allowed, when the upstream is reachable\n", d.Addr(), d.Port())
	self := os.Args[0]
	more := ""
	if a.path != "" && a.path != usualConfig {
		more = " --config " + a.path
	}
	fmt.Fprintf(w, "  %s explain%[2]s roblox.com\n  %[1]s log%[2]s\n  %[1]s report%[2]s --term autumn\n\n", self, more)
	fmt.Fprintf(w, "Stop with Ctrl-C.\n")
}
