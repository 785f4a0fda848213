package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// wrapper makes a program that calls one of contrib/transports with these variables in its
// environment.
func wrapper(t *testing.T, dir, transport, environment string) string {
	t.Helper()
	script, err := filepath.Abs("../../contrib/transports/" + transport)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wrapper")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+environment+"\nexec "+script+` "$@"`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// odd is an address that a shell must not read.
const odd = `"b $(touch oops); c"@away.example`

// leaves sends a letter from alice to recipients at away.example by a row, and returns
// what the spool has then.
func leaves(t *testing.T, row string, to ...string) *harness.Home {
	t.Helper()
	h := newHome(t)
	set(t, h, "routes", "away.example: "+row)
	for _, step := range [][]string{append([]string{"mailsubmit", "-i", "-f", alice, "--"}, to...), {"mailcheck", "run"},
		{"mailroute", "run"}, {"mailrelay", "run"}} {
		in := strings.NewReader("")
		if step[0] == "mailsubmit" {
			in = strings.NewReader(string(letter("away", "\n.\nlast\n")))
		}
		if _, err := programs.Must(h.Dir, in, step[0], step[1:]...); err != nil {
			t.Fatal(err, h.Describe())
		}
	}
	return h
}

// NNCP takes a message for several recipients, and the other end gets each address as one
// argument.
func TestNNCP(t *testing.T) {
	nncp, dir := filepath.Join(unpacked(t, "nncp"), "usr/bin"), t.TempDir()
	environment := "export PATH=" + nncp + ":$PATH NNCPCFG=" + dir + "/cfg"
	run := func(command string) string {
		t.Helper()
		out, err := exec.Command("/bin/sh", "-c", environment+"\n"+command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	config := run("nncp-cfgnew -nocomments 2>/dev/null")
	config = strings.NewReplacer("/var/spool/nncp", dir+"/spool", "/usr/sbin/sendmail", dir+"/far").Replace(config)
	far := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + dir + "/args\ncat >" + dir + "/text\n"
	for name, text := range map[string]string{"cfg": config, "far": far} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := leaves(t, "recipients=50 program:"+wrapper(t, dir, "nncp", environment)+" self", "a@away.example", odd)
	if left := h.Queued(); len(left) > 0 {
		t.Fatal(left, h.Describe())
	}
	// What is sent to this node itself arrives by moving it.
	run("cd " + dir + "/spool/*/ && [ -d self ] || mkdir -p rx && find tx -maxdepth 1 -type f -exec mv {} rx/ ';' && nncp-toss -quiet")
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	text, _ := os.ReadFile(filepath.Join(dir, "text"))
	if string(args) != "-f\n"+alice+"\n--\na@away.example\n"+odd+"\n" {
		t.Errorf("arguments: %s", args)
	}
	if !strings.HasPrefix(string(text), "Received: by mx.example.net\n") || !strings.HasSuffix(string(text), "\n.\nlast\n") {
		t.Errorf("text: %s", text)
	}
}

// UUCP queues an rmail for the neighbour. An address that does not fit into its command
// line fails alone.
func TestUUCP(t *testing.T) {
	uucp, dir := unpacked(t, "uucp"), reachableDir(t)
	if out, err := exec.Command("cp", filepath.Join(uucp, "usr/bin/uux"), dir+"/real").CombinedOutput(); err != nil { // not set-id
		t.Fatalf("%v: %s", err, out)
	}
	config := "nodename here\nspool " + dir + "/spool\npubdir " + dir + "/pub\nlogfile " + dir + "/spool/log\nstatfile " + dir + "/spool/stats\n" +
		"debugfile " + dir + "/spool/debug\nlockdir " + dir + "/spool\nsysfile " + dir + "/sys\n"
	for name, text := range map[string]string{"config": config, "sys": "system away\ntime any\n",
		"uux": "#!/bin/sh\nexec " + dir + "/real -I " + dir + "/config -r \"$@\"\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "spool"), 0o777); err != nil { // uux becomes the user uucp
		t.Fatal(err)
	}
	h := leaves(t, "program:"+wrapper(t, dir, "uucp", "export PATH="+dir+":$PATH")+" away here", "a@away.example", odd)
	read := func(pattern string) string {
		list, _ := filepath.Glob(filepath.Join(dir, "spool/away", pattern))
		if len(list) != 1 {
			t.Fatalf("%s: %q: %s", pattern, list, h.Describe())
		}
		data, err := os.ReadFile(list[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if command := read("C./C.*"); !strings.Contains(command, " rmail a@away.example\n") {
		t.Error(command)
	}
	if text := read("D./D.*"); !regexp.MustCompile(`^From alice@example\.net \S+ \S+ +\d+ [\d:]+ \d+ remote from here\nReceived: by mx\.example\.net\n`).MatchString(text) ||
		!strings.HasSuffix(text, "\n.\nlast\n") {
		t.Error(text)
	}
	if failed := h.Events("event=failed", "exit status 65: an address does not fit into a command line"); len(failed) != 1 {
		t.Errorf("%q: %s", failed, h.Describe())
	}
}

// ssh sends one command line, which a shell reads at the other end: each address is one
// argument there.
func TestSSHQuotes(t *testing.T) {
	dir := t.TempDir()
	// The last argument is what the shell of the other host gets.
	ssh := "#!/bin/sh\nfor last; do :; done\ncd " + dir + " && exec sh -c \"$last\"\n"
	far := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>" + dir + "/args\ncat >>" + dir + "/text\n"
	for name, text := range map[string]string{"ssh": ssh, "far": far} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile("../../contrib/transports/ssh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "transport")
	text := strings.Replace(string(script), "/usr/sbin/sendmail", dir+"/far", 1)
	text = strings.Replace(text, "\nset -eu\n", fmt.Sprintf("\nset -eu\nPATH=%s:$PATH\n", dir), 1)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	const quote = `it's@away.example`
	h := leaves(t, "recipients=10 program:"+path+" mail@host.example", "a@away.example", odd, quote)
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	if string(args) != "-i\n-f\n"+alice+"\n--\na@away.example\n"+odd+"\n"+quote+"\n" || len(h.Queued()) > 0 {
		t.Errorf("%s: %s", args, h.Describe())
	}
	if _, err := os.Stat(filepath.Join(dir, "oops")); err == nil {
		t.Error("a shell has read an address")
	}
}
