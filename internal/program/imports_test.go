package program

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors has every package of the programs. A package may import only packages on
// lower floors; a new one gets its floor here.
var floors = [][]string{
	{"internal/addr", "internal/callout", "internal/control/machinetest", "internal/dns/dnstest", "internal/inorder", "internal/options", "internal/sandbox", "internal/status", "internal/userns", "internal/visible"},
	{"internal/authres", "internal/cdb", "internal/dir", "internal/dns", "internal/input", "internal/message", "internal/saslc", "internal/srs", "internal/wire"},
	{"internal/clock", "internal/compose", "internal/control", "internal/dkim", "internal/dmarc", "internal/explain", "internal/iprev", "internal/maillog", "internal/milter", "internal/milter/miltertest", "internal/params", "internal/parts", "internal/ratelimit", "internal/rights", "internal/sevenbit", "internal/spf", "maildir"},
	{"internal/certs", "internal/dnsbl", "internal/dsn", "internal/full", "internal/listen", "internal/rules", "internal/sendmail", "internal/spool", "internal/tlsrule"},
	{"internal/auth", "internal/backup", "internal/mailq", "internal/settle", "internal/trace"},
	{"internal/home", "internal/pop3", "internal/route", "internal/smtpc", "internal/smtpd"},
	{"internal/check", "internal/deliver", "internal/launch", "internal/relay"}, // the decisions of one program each, as route
	{"internal/deliverserve", "internal/mailctl", "internal/pop3serve", "internal/program", "internal/record", "internal/submit"},
	{"cmd/mailcheck", "cmd/mailctl", "cmd/maildeliver", "cmd/mailrelay", "cmd/mailroute", "cmd/mailsubmit", "cmd/pop3d", "cmd/sendmail"},
}

// commandLine is the library that parses the command line: for cmd/ and the frame.
const commandLine = "github.com/urfave/cli"

// Imports point one way, and no package below cmd/ and the frame deals with a command
// line.
func TestImportsPointOneWay(t *testing.T) {
	floor := map[string]int{}
	for i, list := range floors {
		for _, name := range list {
			floor[name] = i
		}
	}
	imports := packages(t)
	for name, list := range imports {
		at, listed := floor[name]
		if !listed {
			t.Errorf("%s has no floor in this test", name)
		}
		for _, imported := range list {
			if strings.HasPrefix(imported, commandLine) && name != "internal/program" && !strings.HasPrefix(name, "cmd/") {
				t.Errorf("%s imports %s", name, imported)
			}
			ours, ok := strings.CutPrefix(imported, "paperpath/")
			if to, known := floor[ours]; ok && (!known || to >= at) {
				t.Errorf("%s (floor %d) imports %s (floor %d)", name, at, ours, to)
			}
		}
	}
	for name := range floor {
		if imports[name] == nil {
			t.Errorf("%s has a floor and no code", name)
		}
	}
}

// One file packs and unpacks the messages of the DNS, so that another library would change
// one file; the servers of the tests are others.
func TestOneFileKnowsTheDNSLibrary(t *testing.T) {
	const root, library = "../..", `"github.com/miekg/dns"`
	var files []string
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(name, "/dnstest/") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			if spec.Path.Value == library {
				files = append(files, strings.TrimPrefix(name, root+"/"))
			}
		}
		return nil
	})
	if got := strings.Join(files, " "); err != nil || got != "internal/dns/wire.go" {
		t.Errorf("%s, %v", got, err)
	}
}

// packages returns the imports of each package of the programs, without tests.
func packages(t *testing.T) map[string][]string {
	const root = "../.."
	imports := map[string][]string{}
	for _, top := range []string{"cmd", "internal", "maildir"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			in := strings.TrimPrefix(path.Dir(name), root+"/")
			imports[in] = append(imports[in], "") // a package may have no imports
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				imports[in] = append(imports[in], imported)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return imports
}

// go.mod separates the modules of the programs from those that only tests import.
func TestModulesOfTests(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	imported := map[string]bool{}
	for _, list := range packages(t) {
		for _, name := range list {
			imported[name] = true
		}
	}
	used := func(module string) bool {
		for name := range imported {
			if name == module || strings.HasPrefix(name, module+"/") {
				return true
			}
		}
		return false
	}
	programs, rest, _ := strings.Cut(string(text), "// Tests alone import these.\n")
	tests, _, found := strings.Cut(rest, "\n)")
	if !found {
		t.Fatal("go.mod has no block of what tests alone import")
	}
	for block, want := range map[string]bool{programs: true, tests: false} {
		for line := range strings.Lines(block) {
			if module, _, ok := strings.Cut(strings.TrimSpace(line), " v"); ok && used(module) != want {
				t.Errorf("%s: imported by the programs is %v", module, !want)
			}
		}
	}
}
