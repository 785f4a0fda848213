package oracle

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	moxmessage "github.com/mjl-/mox/message"
	"pgregory.net/rapid"

	"paperpath/internal/authres"
	"paperpath/test/harness"
)

// text is what strangers may put into an address, a name or a reason.
func text(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a@example.org", "bounce+a=b.example@example.org", `"a; dkim=pass"@example.org`,
		"@example.org", "mail.example.org", "2001:db8::7", "192.0.2.7", "ab/+cd==", "(x) y; z=w", `a\b"c`, "j\u00f6rg@b\u00fccher.example"}),
		rapid.StringMatching(`[!-~]{1,30}`), rapid.StringMatching(`[ -~]{0,60}`), rapid.StringN(0, 30, 90)).Draw(t, name)
}

func drawResults(t *rapid.T) (list []authres.Method) {
	for range rapid.IntRange(1, 8).Draw(t, "methods") {
		m := authres.Method{Name: rapid.SampledFrom([]string{"spf", "dkim", "dmarc", "iprev", "x-paperpath"}).Draw(t, "method"),
			Result: rapid.SampledFrom([]string{"pass", "fail", "none", "temperror"}).Draw(t, "result"), Comment: text(t, "comment"),
			Properties: []authres.Property{authres.Mailbox("smtp.mailfrom", text(t, "path")), authres.Domain("smtp.helo", text(t, "helo")),
				{Name: "header.b", Value: text(t, "b")}, {Name: "policy.iprev", Value: text(t, "ip")}}}
		if rapid.Bool().Draw(t, "reasoned") {
			m.Reason = text(t, "reason")
		}
		list = append(list, m)
	}
	return list
}

// lines are the facts in results, one a line, in an order of their own.
func lines(host string, methods []authres.Method, bare bool) []string {
	list := []string{host}
	for _, m := range methods {
		list = append(list, "  "+m.Name+"="+m.Result, "  reason="+m.Reason)
		var facts []string
		for _, p := range m.Properties {
			facts = append(facts, "    "+p.Name+"="+p.Value)
		}
		slices.Sort(facts)
		list = append(list, facts...)
	}
	if bare { // some leave quoted pairs as they are
		for i := range list {
			list[i] = strings.NewReplacer(`\`, "", `"`, "").Replace(list[i])
		}
	}
	return list
}

// TestResultsAreReadByMox: another parser finds in our fields what we wrote, and no more.
func TestResultsAreReadByMox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := authres.Format("mx.example.net", drawResults(t))
		_, value, _ := strings.Cut(field, ":")
		own, err := authres.Parse(value)
		if err != nil {
			t.Fatalf("%v\n%s", err, field)
		}
		theirs, err := moxmessage.ParseAuthResults(value)
		if err != nil {
			t.Fatalf("mox: %v\n%s", err, field)
		}
		var methods []authres.Method
		for _, m := range theirs.Methods {
			got := authres.Method{Name: m.Method, Result: m.Result, Reason: m.Reason}
			for _, p := range m.Props {
				got.Properties = append(got.Properties, authres.Property{Name: p.Type + "." + p.Property, Value: p.Value})
			}
			methods = append(methods, got)
		}
		if a, b := lines(own.Host, own.Methods, false), lines(theirs.Hostname, methods, false); !slices.Equal(a, b) {
			t.Fatalf("ours %q\nmox  %q\n%s", a, b, field)
		}
	})
}

// readByPython reads fields with Debian's python3-authres.
const readByPython = `
import authres, json, sys
context = authres.all_features()
for field in json.load(sys.stdin):
    h = context.parse(field)
    print(json.dumps([h.authserv_id, [[r.method, r.result, r.reason or "",
        [[p.type + "." + p.name, p.value] for p in r.properties]] for r in h.results]]))
`

// TestResultsAreReadByPython: and so does a library that mail filters use.
func TestResultsAreReadByPython(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's packages are for it alone
	if exec.Command(python, "-c", "import authres").Run() != nil {
		if harness.Missing("python3-authres") {
			t.Fatal("python3-authres is missing")
		}
		t.Skip("no python3-authres")
	}
	var fields []string
	gen := rapid.Custom(drawResults)
	for i := range 2000 {
		fields = append(fields, strings.TrimSuffix(authres.Format("mx.example.net", gen.Example(i)), "\n"))
	}
	in, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", readByPython)
	cmd.Stdin = bytes.NewReader(in)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(fields) {
		t.Fatalf("%d answers", len(answers))
	}
	for i, answer := range answers {
		comparePython(t, fields[i], answer)
	}
}

func comparePython(t *testing.T, field, answer string) {
	t.Helper()
	var host string
	var results [][]json.RawMessage
	if err := json.Unmarshal([]byte(answer), &[]any{&host, &results}); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	var methods []authres.Method
	for _, r := range results {
		var m authres.Method
		var properties [][2]string
		for i, to := range []any{&m.Name, &m.Result, &m.Reason, &properties} {
			if err := json.Unmarshal(r[i], to); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
		}
		for _, p := range properties {
			m.Properties = append(m.Properties, authres.Property{Name: p[0], Value: p[1]})
		}
		methods = append(methods, m)
	}
	_, value, _ := strings.Cut(field, ":")
	own, err := authres.Parse(value)
	if err != nil {
		t.Fatalf("%v\n%s", err, field)
	}
	// It loses a quoted value that another property follows. It must find nothing else than
	// what we wrote, and all that is not quoted.
	a, b := lines(own.Host, own.Methods, true), lines(host, methods, true)
	for _, line := range b {
		i := slices.Index(a, line)
		if i < 0 {
			t.Errorf("authres finds %q\n%s", line, field)
			continue
		}
		a = slices.Delete(a, i, i+1)
	}
	for _, line := range a {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if !strings.HasPrefix(line, "    ") || !strings.Contains(field, name+`="`) {
			t.Errorf("authres does not find %q\n%s", line, field)
		}
	}
}
