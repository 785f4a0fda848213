package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// execHome is a home whose control/aliases names a program of these lines of sh.
func execHome(t *testing.T, script string) (*fixture, string) {
	t.Helper()
	f := settledFixture(t, map[string]string{"domains": "example.net\n"})
	program := filepath.Join(f.home, "table")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho started >>"+f.home+"/log\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write("aliases", "exec:"+program+" arg\n")
	f.touch("aliases", time.Minute)
	return f, program
}

func started(f *fixture) int {
	text, _ := os.ReadFile(filepath.Join(f.home, "log"))
	return strings.Count(string(text), "started")
}

// Answers: a row, none, a temporary error, and whatever is no answer.
func TestExecAnswers(t *testing.T) {
	t.Setenv("SECRET", "x")
	f, program := execHome(t, `set -- $# $(cut -d")" -f2 /proc/$$/stat) # 1, then what follows the name: state, parent, group, session
while read -r id key; do case $key in
session@example.net) [ "$5" = $$ ] && echo "$id found session@example.net: own@x.example" ;;
alice@example.net) echo "$id found Alice@example.net: bob@x.example" ;;
env@example.net) echo "$id found env@example.net: $TABLE@x.example, n$1@x.example, s$SECRET@x.example" ;;
later@example.net) echo "$id later the directory is away" ;;
other@example.net) echo "$id found alice@example.net: x@y.example" ;;
junk@example.net) echo "$id found junk" ;;
control@example.net) printf '%s found control@example.net: a\033b@x.example\n' $id ;;
*) echo "$id none" ;;
esac; done
`)
	from := " control/aliases:exec:" + program
	wantAlias(t, f.Control, "ALICE@example.net", "bob@x.example"+from)
	wantAlias(t, f.Control, "env@example.net", "aliases@x.example, n1@x.example, s@x.example"+from)
	wantAlias(t, f.Control, "session@example.net", "own@x.example"+from)
	wantAlias(t, f.Control, "nobody@example.net", "")
	for local, want := range map[string]string{"later": "it cannot answer now: \"the directory is away\"", "other": "the answer is about another name",
		"junk": "the answer is not a row", "control": "control/aliases"} {
		_, err := f.Alias(local + "@example.net")
		wantError(t, err, want)
		if status.Exit(err) != status.TempFail {
			t.Error(err)
		}
	}
	if n := started(f); n != 1 {
		t.Errorf("it was started %d times", n)
	}
	if r := f.Check(); len(r.Findings) > 0 && strings.Contains(fmt.Sprint(r.Findings), "aliases") {
		t.Error(r.Findings)
	}
}

// Many questions are under way at once, and answers come in any order.
func TestExecManyAtOnce(t *testing.T) {
	f, _ := execHome(t, `all=; n=0
while read -r id key; do
	all="$id found $key: t$key
$all"; n=$((n+1))
	[ $n -lt 40 ] || { printf %s "$all"; all=; n=0; }
done
`)
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			name := fmt.Sprintf("u%d@example.net", i)
			a, err := f.Alias(name)
			if err != nil || a == nil || a.Targets[0] != "t"+name {
				t.Errorf("%s: %v %v", name, a, err)
			}
		}()
	}
	wait.Wait()
	if n := started(f); n != 1 {
		t.Errorf("it was started %d times", n)
	}
}

// What is no answer ends the program, and nobody takes it for "no such user". One that keeps
// ending rests longer each time; one that answered before is started again at once.
func TestExecBreaks(t *testing.T) {
	for about, c := range map[string]struct{ script, want string }{
		"ends at once":      {"exit 3\n", "the program has ended: exit status 3"},
		"closes its output": {"read -r id key; exec >&-; sleep 100\n", "the program has ended"},
		"no number":         {"read -r id key; echo hello\n", `no number at the beginning of the answer "hello"`},
		"no word":           {"read -r id key; echo $id maybe\n", "is neither found, none nor later"},
		"none and more":     {"read -r id key; echo $id none of it\n", "is neither found, none nor later"},
		"nobody asked":      {"read -r id key; echo 77 none\n", "an answer to question 77, which nobody has asked"},
		"endless":           {"read -r id key; yes | tr -d '\\n'\n", "an answer has more than"},
		"silent":            {"sleep 100 & wait\n", "no answer within"},
		"silent daemon":     {"setsid sleep 40 & exit 3\n", ""}, // which keeps the output open
		"reads nothing":     {"exec <&-; sleep 100\n", ""},
	} {
		f, program := execHome(t, c.script)
		if _, err := f.AliasesNow(); err != nil {
			t.Fatal(err)
		}
		table := f.programs["aliases"]
		table.limit = 2 * time.Second
		if strings.Contains(about, "silent") || about == "reads nothing" {
			table.limit = 200 * time.Millisecond
		}
		_, err := f.Alias("alice@example.net")
		wantError(t, err, "control/aliases: "+program+": ")
		wantError(t, err, c.want)
		if status.Exit(err) != status.TempFail {
			t.Error(about, err)
		}
		for begin := time.Now(); ; time.Sleep(time.Millisecond) {
			table.mu.Lock()
			gone := table.running == nil
			table.mu.Unlock()
			if gone || time.Since(begin) > 20*time.Second {
				break
			}
		}
		if _, err = f.Alias("alice@example.net"); err == nil || !strings.Contains(err.Error(), "(not tried again for ") ||
			strings.Contains(err.Error(), " 0s)") {
			t.Errorf("%s: %v", about, err)
		}
	}
	f, _ := execHome(t, "read -r id key; echo \"$id found $key: x@y.example\"\n")
	for i := range 3 {
		if a, err := f.Alias(fmt.Sprintf("u%d@example.net", i)); a == nil || err != nil {
			t.Error(i, a, err)
		}
	}
	if n := started(f); n != 3 {
		t.Errorf("it was started %d times", n)
	}
	last := time.Duration(0)
	table := &execTable{}
	for range 12 {
		table.rest(errGone)
		rest := time.Until(table.rests).Round(time.Second)
		if rest < last || rest > execRest {
			t.Errorf("%v after %v", rest, last)
		}
		last = rest
	}
	if last != execRest {
		t.Error(last)
	}
}

// Another line in the file is another program, and the one before it ends.
func TestExecReplaced(t *testing.T) {
	f, program := execHome(t, "while read -r id key; do echo \"$id found $key: $1@x.example\"; done; echo ended >>"+"$(dirname $0)/log\n")
	wantAlias(t, f.Control, "a@example.net", "arg@x.example control/aliases:exec:"+program)
	f.write("aliases", "exec:"+program+" other\n")
	f.touch("aliases", 30*time.Second)
	wantAlias(t, f.Control, "b@example.net", "other@x.example control/aliases:exec:"+program)
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(time.Millisecond) {
		if text, _ := os.ReadFile(filepath.Join(f.home, "log")); strings.Contains(string(text), "ended") {
			return
		}
	}
	t.Error("the first one has not ended")
}

// Every table that is asked by name takes a program; the example in contrib/ answers for each.
func TestExecInEveryTable(t *testing.T) {
	example, err := filepath.Abs("../../contrib/tables/lookup.sh")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"users": "a@x.example:{PLAIN}y:::::", "senders": "a@x.example: b@y.example c@y.example", "routes": "y.example: mx",
		"sender-routes": "a@x.example: hold", "destinations": "y.example: sessions=3", "source": "y.example: helo=mx.x.example",
		"tls-policy": "y.example: encrypt", "sizes": "a@x.example: 1000", "user-checks": "a@x.example: deny=*",
		"sender-bcc": "a@x.example: b@y.example", "recipient-bcc": "a@x.example: b@y.example", "rewrite": "sender a@x.example: b@y.example",
		"aliases": "team@x.example: a@x.example, b@y.example",
	}
	files := map[string]string{"domains": "x.example\n", "hostname": "mx.x.example\n"}
	f := settledFixture(t, files)
	for name, row := range rows {
		path := filepath.Join(f.home, name+".rows")
		if err := os.WriteFile(path, []byte("# rows\n"+row+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f.write(name, "exec:"+example+" "+path+"\n")
		f.touch(name, time.Minute)
	}
	a := addr.Address{Local: "a", Domain: "x.example"}
	for name, ask := range map[string]func() (any, error){
		"users":         func() (any, error) { u, err := f.User("A@x.example"); return u != nil, err },
		"aliases":       func() (any, error) { l, err := f.Alias("team@x.example"); return l != nil, err },
		"senders":       func() (any, error) { p, _, err := f.Senders("a@x.example"); return len(p) == 2, err },
		"routes":        func() (any, error) { r, err := f.Route("y.example"); return r != nil, err },
		"sender-routes": func() (any, error) { r, err := f.RouteFrom("a@x.example", "z.example"); return r != nil, err },
		"destinations":  func() (any, error) { d, err := f.Destination("y.example"); return d != nil, err },
		"source":        func() (any, error) { s, err := f.Source("a@x.example", "y.example"); return s != nil, err },
		"tls-policy":    func() (any, error) { p, err := f.TLSPolicy("y.example", "y.example"); return p != nil, err },
		"sizes":         func() (any, error) { l, err := f.SizeLimit("x.example", "a@x.example"); return l.Octets == 1000, err },
		"user-checks":   func() (any, error) { return f.HasUserChecks() },
		"sender-bcc":    func() (any, error) { l, err := f.Bcc(a, nil); return len(l) == 1, err },
		"recipient-bcc": func() (any, error) { l, err := f.Bcc(addr.Address{}, []addr.Address{a}); return len(l) == 1, err },
		"rewrite":       func() (any, error) { r, err := f.Rewrite(AsSender, a); return r != nil, err },
	} {
		if got, err := ask(); got != true || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, x := range f.Check().Findings {
		if rows[x.File] != "" && !x.Warning {
			t.Error(x)
		}
	}
	os.Remove(filepath.Join(f.home, "aliases.rows"))
	_, err = f.Alias("gone@x.example")
	wantError(t, err, "it cannot answer now: \"cannot read ")
	found := false
	for _, x := range f.Check().Findings {
		found = found || x.File == "aliases" && strings.Contains(x.What, "it cannot answer now")
	}
	if !found {
		t.Error("mailctl check says nothing")
	}
}

// Of local domains that a program knows, the hostname is the one for names without a domain.
func TestExecDomains(t *testing.T) {
	f, program := execHome(t, "while read -r id key; do case $key in *.example) echo \"$id found $key\" ;; *) echo $id none ;; esac; done\n")
	f.write("aliases", "")
	f.write("domains", "exec:"+program+"\n")
	f.touch("domains", time.Minute)
	for host, want := range map[string]string{"mx.far.example": "mx.far.example", "mx.elsewhere.test": ""} {
		f.write("hostname", host+"\n")
		f.touch("hostname", time.Minute)
		if d, err := f.reopened().FirstDomain(); d != want || err != nil {
			t.Errorf("%s: %q %v", host, d, err)
		}
	}
	if where, local, err := f.IsLocal("A.example"); !local || err != nil || !strings.Contains(where, "exec:") {
		t.Error(where, local, err)
	}
}
