package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"paperpath/test/harness"
)

// A test of the tests: programs that are built with a defect on purpose. Each
// of the sweeps named must find it.
type variant struct {
	name     string
	programs []string
	edits    []edit
	finds    []string // "kind: scenario" of the sweeps that must fail
}

// edit replaces text in a source file, for one build only.
type edit struct{ file, old, new string }

func variants() []variant {
	return []variant{
		{"an entry is not synced", []string{"mailsubmit"},
			[]edit{{"internal/spool/draft.go", "d.err = d.f.Sync()", "d.err = nil"}},
			[]string{"order: mailsubmit, stdin", "order: mailsubmit, SMTP", "cut ext4: mailsubmit, stdin"}},
		{"the directory is not synced", []string{"mailsubmit"},
			[]edit{{"internal/spool/draft.go", "err := b.new.Sync()", "err := error(nil)"}},
			[]string{"order: mailsubmit, stdin", "order: mailsubmit, SMTP"}},
		{"promotion is left out", []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver"},
			[]edit{{"internal/spool/complete.go", "	if !b.promotes() {\n		return nil", "	if b.promotes() {\n		return nil"}},
			[]string{"cut ext4: mailsubmit, SMTP", "kill: mailcheck, promotion"}},
		{"the cleaner removes a complete file", []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver"},
			[]edit{{"internal/spool/clean.go", "	err := s.promote(b, func(st unix.Stat_t) bool { return ripe(st, now) })", "	err := error(nil)"},
				{"internal/spool/clean.go", "ages, b.isComplete)", "ages, nil)"}},
			[]string{"cut ext4: mailsubmit, SMTP"}},
		{"a torn file is promoted", []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver"},
			[]edit{{"internal/spool/complete.go", "	if size != n.size {\n		return false\n	}\n	h, err", "	if true {\n		return true\n	}\n	h, err"}},
			[]string{"kill: mailsubmit, stdin, large"}},
		{"a child is promoted", []string{"mailroute", "maildeliver", "mailrelay"},
			[]edit{{"internal/spool/children.go", "	return d, d.child(e, c, buf)\n",
				"	if err := d.child(e, c, buf); err != nil {\n		return d, err\n	}\n	final := d.fileName().String()\n	if err := b.tmp.Rename(d.name, b.tmp, final); err != nil {\n		return d, err\n	}\n	d.name = final\n	return d, nil\n"},
				{"internal/spool/complete.go", " && !n.key.isChild()", ""},
				{"internal/spool/complete.go", "return b.name == InboxCheck || b.name == InboxRoute", "return true"}},
			[]string{"kill: mailroute, split with a remote child"}},
		{"a promotion is not synced", []string{"mailctl"},
			[]edit{{"internal/spool/complete.go", "	return errors.Join(err, b.new.Sync())", "	return err"}},
			[]string{"order: mailctl queue, promotion"}},
		{"yes is said before the rename", []string{"mailsubmit"},
			[]edit{{"internal/spool/draft.go", "	if err := d.inbox.tmp.Rename(d.name, d.inbox.new, name); err != nil {\n		return \"\", err\n	}\n	d.name = \"\"\n",
				"	old := d.name\n	late = append(late, func() { d.inbox.tmp.Rename(old, d.inbox.new, name) })\n	d.name = \"\"\n"},
				{"internal/spool/draft.go", "// draft is", "var late []func()\n\n// draft is"},
				{"internal/spool/spool.go", "	defer s.mu.Unlock()\n	for _, b", "	defer s.mu.Unlock()\n	for _, f := range late {\n		f()\n	}\n	for _, b"}},
			[]string{"order: mailsubmit, SMTP"}}, // a kill leaves a complete file, which is promoted
		{"unlink before delivering", []string{"maildeliver"},
			[]edit{{"internal/spool/deliver.go", "	n := e.copyName()\n	room, err", "	e.at.remove()\n	n := e.copyName()\n	room, err"}},
			[]string{"kill: maildeliver, two file systems"}},
		{"a program reads from a pipe", []string{"maildeliver"},
			[]edit{{"internal/callout/callout.go", "	message, err := copyOf(c.Input)\n",
				"	message, write, err := os.Pipe()\n	go func() {\n		io.Copy(write, io.NewSectionReader(c.Input, 0, c.Input.Size()))\n		write.Close()\n	}()\n"}},
			[]string{"kill: maildeliver, a large message to a program"}},
		{"a parent goes before its children are placed", []string{"mailroute"},
			[]edit{{"internal/spool/split.go", "	touched := map[*inbox]bool{}\n", "	touched := map[*inbox]bool{}\n	if len(drafts) > 0 {\n		e.at.remove()\n	}\n"}},
			[]string{"kill: mailroute, split"}},
		{"a failed sync of all children is passed over", []string{"mailroute"},
			[]edit{{"internal/spool/children.go", "		err = together.sync()\n", "		together.sync()\n"}},
			[]string{"error: mailroute, split synced together"}},
		{"children are not synced", []string{"mailroute"},
			[]edit{{"internal/spool/children.go", "		err = together.sync()\n", "		err = nil\n"}},
			[]string{"order: mailroute, split synced together", "cut ext4: mailroute, split synced together"}},
		{"children are placed under names of their own", []string{"mailroute", "maildeliver"},
			[]edit{{"internal/spool/key.go", "	h := sha256.New()\n", "	h := sha256.New()\n	fmt.Fprint(h, time.Now())\n"}},
			[]string{"kill: mailroute, split"}},
		{"a failed write is passed over", []string{"mailsubmit"},
			[]edit{{"internal/spool/draft.go", "	d.err = err\n	return n, err", "	d.err = nil\n	_ = err\n	return len(p), nil"}},
			[]string{"error: mailsubmit, stdin"}},
		{"a failed fsync is tried again", []string{"mailsubmit"},
			[]edit{{"internal/spool/draft.go", "d.err = d.f.Sync()", "if d.err = d.f.Sync(); d.err != nil {\n			d.err = d.f.Sync()\n		}"}},
			[]string{"error: mailsubmit, SMTP"}},
		{"a mark makes an entry young", []string{"mailrelay"},
			[]edit{{"internal/spool/entry.go", "e.Arrival = e.arrival(time.Unix(st.Mtim.Unix()))", "e.Arrival = time.Unix(st.Mtim.Unix())"}},
			[]string{"kill: mailrelay, given up after a mark"}},
		{"the removal of what was relayed is not synced", []string{"mailrelay"},
			[]edit{{"internal/spool/removal.go", "if err := d.Sync(); err != nil {", "if err := error(nil); err != nil {"}},
			[]string{"order: mailrelay, one host"}},
		{"a mailbox's deletions are not synced", []string{"pop3d"},
			[]edit{{"internal/pop3/update.go", "	if d.removed > 0 {\n		failed", "	if d.removed < 0 {\n		failed"}},
			[]string{"order: pop3d, QUIT with deletions"}},
	}
}

// variantRows builds each variant with only in its name and runs the sweeps that must fail on it.
func variantRows(t *table, p *pool, kinds []kind, all []scenario, only string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	for _, v := range variants() {
		if !strings.Contains(v.name, only) {
			continue
		}
		r := &row{name: "variant: " + v.name}
		bin, err := v.build(root, string(p.programs))
		if err != nil {
			r.fail("build", err)
			t.row(r)
			continue
		}
		defective := p.with(harness.Programs(bin))
		defective.one = true
		v.run(t, r, defective, kinds, all)
		os.RemoveAll(filepath.Dir(bin))
		t.row(r)
	}
	return nil
}

func (v variant) run(t *table, r *row, p *pool, kinds []kind, all []scenario) {
	for _, name := range v.finds {
		kindName, scenarioName, _ := strings.Cut(name, ": ")
		ran := false
		for _, k := range kinds {
			for i := range all {
				if k.name != kindName || all[i].name != scenarioName {
					continue
				}
				ran = true
				f := finding{}
				found := k.run(p, &all[i])
				if found.failed == 0 { // which thread makes a call differs, and errors are counted by thread
					found = k.run(p, &all[i])
				}
				if found.failed == 0 {
					f = finding{wrong, "nothing was found in " + fmt.Sprint(found.points()) + " points"}
				}
				r.add(f, false, name)
			}
		}
		if !ran {
			t.skip(name+" on "+v.name, "no such sweep here")
		}
	}
}

// with returns the pool with other programs. The templates stay.
func (p *pool) with(programs harness.Programs) *pool {
	q := *p
	q.programs = programs
	q.workers = make(chan *worker, len(p.all))
	for _, w := range p.all {
		own := *w
		own.pool = &q
		q.workers <- &own
	}
	return &q
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// build builds the variant's programs beside links to the good ones.
func (v variant) build(root, good string) (bin string, err error) {
	dir, err := os.MkdirTemp("", "paperpath-variant-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	overlay, err := v.overlay(root, dir)
	if err != nil {
		return "", err
	}
	bin = filepath.Join(dir, "bin")
	args := []string{"build", "-overlay", overlay, "-trimpath", "-buildvcs=false", "-tags", "urfave_cli_no_docs", "-o", bin + "/"}
	for _, name := range v.programs {
		args = append(args, "./cmd/"+name)
	}
	if err := os.Mkdir(bin, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	names, err := filepath.Glob(good + "/*")
	for _, name := range names {
		os.Symlink(name, filepath.Join(bin, filepath.Base(name))) // what was built stays
	}
	return bin, err
}

// overlay writes the edited files and the map that go build reads. Text that is no
// longer in its file is an error: the variant would have no defect.
func (v variant) overlay(root, dir string) (string, error) {
	replace := map[string]string{}
	for i, e := range v.edits {
		source := filepath.Join(root, e.file)
		from := source
		if replace[source] != "" {
			from = replace[source]
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if strings.Count(string(text), e.old) != 1 {
			return "", fmt.Errorf("%s does not hold %q once", e.file, e.old)
		}
		replace[source] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[source], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o644)
}
