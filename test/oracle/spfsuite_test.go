package oracle

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"paperpath/internal/addr"
	"paperpath/internal/spf"
)

// suite is a document of the published test suite of SPF.
type suite struct {
	Description string
	Tests       map[string]struct {
		Helo, Host, MailFrom string
		Result               many
	}
	ZoneData map[string][]any `yaml:"zonedata"`
}

// many is one string or a list of them.
type many []string

func (m *many) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(m))
	}
	*m = many{n.Value}
	return nil
}

// suites reads a file from the testdata of the SPF library, as go list finds it.
func suites(t *testing.T, file string) (list []suite) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := yaml.NewDecoder(f); ; {
		var s suite
		switch err := in.Decode(&s); {
		case err == io.EOF:
			return list
		case err != nil:
			t.Fatal(err)
		}
		list = append(list, s)
	}
}

// texts returns the values of a record in the suite's notation.
func texts(v any) (list []string) {
	if many, ok := v.([]any); ok {
		for _, x := range many {
			list = append(list, fmt.Sprint(x))
		}
		return list
	}
	return []string{fmt.Sprint(v)}
}

// zoneLines returns the zone of a suite as lines of dnstest. What is given as type SPF counts
// as TXT where there is no TXT, as the suite says. TIMEOUT means the types that a name has
// no records of.
func zoneLines(zone map[string][]any) (list []string) {
	for name, records := range zone {
		owner := presented(strings.TrimSuffix(name, ".")) + "."
		has, answers := map[string]bool{}, map[string]bool{}
		broken := false
		for _, r := range records {
			m, ok := r.(map[string]any)
			for kind := range m {
				has[kind] = true
				broken = broken || kind == "TIMEOUT" || kind == "SERVFAIL" || kind == "CNAMELOOP"
			}
			broken = broken || !ok
		}
		for _, r := range records {
			m, _ := r.(map[string]any)
			for kind, v := range m {
				for _, value := range values(kind, texts(v), has) {
					answers[strings.Fields(value)[0]] = true
					list = append(list, owner+" "+value)
				}
			}
		}
		for _, kind := range []string{"TXT", "A", "AAAA", "MX", "PTR"} {
			if broken && !answers[kind] {
				list = append(list, owner+" "+kind+" !servfail")
			}
		}
	}
	return list
}

// values returns the records of one kind: type and data.
func values(kind string, v []string, has map[string]bool) (list []string) {
	switch kind {
	case "SPF":
		if !has["TXT"] {
			return []string{"TXT " + quoted(v)}
		}
	case "TXT":
		if v[0] != "NONE" {
			return []string{"TXT " + quoted(v)}
		}
	case "MX":
		if len(v) == 2 {
			return []string{"MX " + v[0] + " " + presented(strings.TrimSuffix(v[1], ".")) + "."}
		}
	case "A", "AAAA":
		for _, ip := range v {
			list = append(list, kind+" "+ip)
		}
	case "PTR", "CNAME":
		for _, name := range v {
			list = append(list, kind+" "+presented(strings.TrimSuffix(name, "."))+".")
		}
	}
	return list
}

// presented writes a name as zone files do (RFC 1035 5.1).
func presented(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c <= ' ' || c > '~' || strings.IndexByte(`;"()\\@$!`, c) >= 0:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// quoted writes strings as zone files do, cut at 255 octets.
func quoted(list []string) string {
	if len(list) == 0 {
		return `""`
	}
	var out []string
	for _, s := range list {
		for first := true; first || s != ""; first = false {
			part := s[:min(len(s), 255)]
			s = s[len(part):]
			var b strings.Builder
			for i := 0; i < len(part); i++ {
				switch c := part[i]; {
				case c < ' ' || c > '~' || c == '"' || c == '\\':
					fmt.Fprintf(&b, `\%03d`, c)
				default:
					b.WriteByte(c)
				}
			}
			out = append(out, `"`+b.String()+`"`)
		}
	}
	return strings.Join(out, " ")
}

// The published suite, through a real name server and our resolver. knownSPF has what
// differs, with the reason.
func TestSPFSuite(t *testing.T) {
	ran, used := 0, map[string]bool{}
	for _, file := range []string{"rfc7208-tests.yml", "rfc4408-tests.yml", "pyspf-tests.yml"} {
		for _, s := range suites(t, file) {
			resolver := serve(t, zoneLines(s.ZoneData))
			for name, x := range s.Tests {
				from := addr.Address{}
				if i := strings.LastIndexByte(x.MailFrom, '@'); x.MailFrom != "" {
					from = addr.Address{Local: x.MailFrom[:max(i, 0)], Domain: x.MailFrom[i+1:]}
				}
				ip, err := netip.ParseAddr(x.Host)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				got := spf.CheckMailFrom(context.Background(), resolver, ip, x.Helo, from)
				ran++
				key := strings.TrimSuffix(file, "-tests.yml") + "/" + name
				if slices.Contains(x.Result, string(got.Status)) {
					continue
				}
				used[key] = true
				if knownSPF[key] == "" {
					t.Errorf("%s: %s (%s), want %v; %s %s %+v", key, got.Status, got.Reason, x.Result, x.MailFrom, got.Record, got.Queries)
				}
			}
		}
	}
	for key := range knownSPF {
		if !used[key] {
			t.Errorf("%s is listed as different, and is not", key)
		}
	}
	t.Logf("%d tests, %d of them differ", ran, len(used))
	if ran < 300 {
		t.Errorf("only %d tests", ran)
	}
}
