package certs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/control"
)

func TestCheck(t *testing.T) {
	h := home(t, "a.example", "b.example", "lacks.example", "mixed.example")
	tls := filepath.Join(h, "control", "tls")
	for _, move := range [][2]string{
		{"lacks.example/privkey.pem", ".gone"},
		{"b.example/fullchain.pem", "mixed.example/fullchain.pem"}, // another key's
		{"a.example", "c.example"},                                 // for another name now
	} {
		if err := os.Rename(filepath.Join(tls, move[0]), filepath.Join(tls, move[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(tls, "MX.Example"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mx.pem", "clientca.pem", ".hidden"} {
		if err := os.WriteFile(filepath.Join(tls, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for dir := filepath.Join(tls, "c.example"); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(tls, "c.example", keyName)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	found, inForce := Check(h, time.Now())
	want := []string{
		"false control/tls/MX.Example: no client can ask for this name (a host name in lower case)",
		"false control/tls/b.example: fullchain.pem: no such file or directory (it is not served without a readable, matching pair)",
		`true control/tls/c.example/fullchain.pem: the certificate is for other names: ["a.example" "localhost"] (it is served anyway: replace both files)`,
		"true control/tls/c.example/privkey.pem: every user of this machine can read it (chmod o-r " + key + ")",
		"false control/tls/lacks.example: privkey.pem: no such file or directory (it is not served without a readable, matching pair)",
		"false control/tls/mixed.example: tls: private key does not match public key (it is not served without a readable, matching pair)",
		"false control/tls/mx.pem: unknown setting (a directory for each host has fullchain.pem and privkey.pem)",
	}
	if d := cmp.Diff(want, lines(found)); d != "" {
		t.Error(d)
	}
	if len(inForce) != 1 || inForce[0].Key != "c.example" || !strings.HasPrefix(inForce[0].Text, "a.example localhost, until 20") {
		t.Errorf("in force: %+v", inForce)
	}
}

// The end of a certificate is said before it comes, and the clock asked is the
// caller's.
func TestCheckOfTimes(t *testing.T) {
	h := home(t, "a.example")
	end := time.Now().Add(selfSignedLife)
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{end.Add(-15 * 24 * time.Hour), ""},
		{end.Add(-10*24*time.Hour - time.Hour), "the certificate expires in 10 days, on "},
		{end.Add(time.Hour), "the certificate expired on "},
		{time.Now().Add(-48 * time.Hour), "the certificate is not valid before "},
	} {
		found, inForce := Check(h, tt.now)
		got := strings.Join(lines(found), "\n")
		if len(inForce) != 1 || (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) || strings.HasPrefix(got, "false") {
			t.Errorf("%v: %q, want %q; in force %v", tt.now, got, tt.want, inForce)
		}
	}
}

func TestCheckWithoutTLS(t *testing.T) {
	found, inForce := Check(t.TempDir(), time.Now())
	if d := cmp.Diff([]control.Value{{Setting: "tls", Text: "no TLS", From: "default"}}, inForce); d != "" || len(found) > 0 {
		t.Error(d, found)
	}
}

// lines are findings, each with whether it is a warning.
func lines(found []control.Finding) (out []string) {
	for _, f := range found {
		kind := "false "
		if f.Warning {
			kind = "true "
		}
		out = append(out, kind+f.String())
	}
	return out
}
