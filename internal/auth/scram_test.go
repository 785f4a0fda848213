package auth

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"paperpath/internal/certs"
	"paperpath/internal/control"
)

// talk runs an exchange with a client, which is a function from a challenge to a
// response.
func talk(t *testing.T, mechanism string, p Peer, c *control.Control, client func(string) (string, error)) (*Users, error) {
	t.Helper()
	users := &Users{Control: c}
	x, err := Start(mechanism, p, users)
	if err != nil {
		return users, err
	}
	response := []byte(nil)
	for range 10 {
		challenge, done, err := x.Next(context.Background(), response)
		if err != nil || done {
			return users, err
		}
		said, err := client(string(challenge))
		if err != nil {
			return users, fmt.Errorf("client: %w", err)
		}
		response = []byte(said)
	}
	t.Fatal("the exchange has no end")
	return nil, nil
}

// scramClient is another author's implementation of a client.
func scramClient(t *testing.T, login, password, authzid string, cb *scram.ChannelBinding) func(string) (string, error) {
	t.Helper()
	c, err := scram.SHA256.NewClient(login, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	var conv *scram.ClientConversation
	if cb != nil {
		conv = c.NewConversationWithChannelBinding(*cb)
	} else {
		conv = c.NewConversation()
	}
	return conv.Step
}

func TestScram(t *testing.T) {
	stored, err := Hash(Scram, "pen,=cil\u00aa")
	if err != nil {
		t.Fatal(err)
	}
	c := settings(t, "alice@b.example:"+stored, "bob@b.example:{PLAIN}pencil", "carol@b.example:{SSHA256}drM+3cqVtSdA/BAoLMZPDQAK6mEuzMpdgQQ5kgkdpTFzYWx0U0FMVA==",
		"dave@b.example:!"+stored, `a=c@b.example:{PLAIN}x`)
	private := Peer{Private: true, Policy: Policy{Scram: true}}
	for _, tt := range []struct {
		login, password, authzid string
		ok                       bool
	}{
		{"alice@b.example", "pen,=cil\u00aa", "", true},
		{"Alice@B.example", "pen,=cila", "", true}, // SASLprep makes them equal
		{"alice@b.example", "pencil", "", false},
		{"alice@b.example", "pen,=cila", "alice@b.example", true},
		{"alice@b.example", "pen,=cila", "bob@b.example", false},
		{"bob@b.example", "pencil", "", true},
		{"bob@b.example", "pencils", "", false},
		{"a=c@b.example", "x", "", true},
		{"carol@b.example", "correct horse", "", false},
		{"dave@b.example", "pen,=cila", "", false},
		{"nobody@b.example", "x", "", false},
	} {
		users, err := talk(t, Scram, private, c, scramClient(t, tt.login, tt.password, tt.authzid, nil))
		if tt.ok && (err != nil || users.User() == nil) || !tt.ok && !IsWrong(err) {
			t.Errorf("%q %q %q: %v", tt.login, tt.password, tt.authzid, err)
		}
	}
	// PLAIN works with the same row.
	if _, err := Check(c, "alice@b.example", "pen,=cil\u00aa"); err != nil {
		t.Error(err)
	}
	wantRefused(t, c, "alice@b.example", "pencil")
}

// Keys that other programs stored are read: the vector is from RFC 7677 3.
func TestScramVector(t *testing.T) {
	const field = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	c := settings(t, "user@b.example:"+field)
	if _, err := Check(c, "user@b.example", "pencil"); err != nil {
		t.Error(err)
	}
	if _, err := talk(t, Scram, Peer{Private: true, Policy: Policy{Scram: true}}, c, scramClient(t, "user@b.example", "pencil", "", nil)); err != nil {
		t.Error(err)
	}
}

// A login that does not exist, one with another scheme and a barred one look alike.
// Each always has the same salt, and no two have the same.
func TestScramTellsNobody(t *testing.T) {
	stored, _ := Hash(Scram, "x")
	rows := []string{"alice@b.example:" + stored, "carol@b.example:{SSHA256}drM+3cqVtSdA/BAoLMZPDQAK6mEuzMpdgQQ5kgkdpTFzYWx0U0FMVA==", "dave@b.example:!x"}
	c := settings(t, rows...)
	first := func(c *control.Control, login string) (salt, iterations string) {
		x, err := Start(Scram, Peer{Private: true, Policy: Policy{Scram: true}}, &Users{Control: c})
		if err != nil {
			t.Fatal(err)
		}
		challenge, done, err := x.Next(context.Background(), []byte("n,,n="+login+",r=abc"))
		part := strings.Split(string(challenge), ",")
		if err != nil || done || len(part) != 3 {
			t.Fatalf("%s: %q, %v, %v", login, challenge, done, err)
		}
		return part[1], part[2]
	}
	for _, withRun := range []bool{false, true} {
		if withRun {
			if err := os.Mkdir(filepath.Join(c.Home(), "run"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, real := first(c, "alice@b.example")
		var salts []string
		for _, login := range []string{"alice@b.example", "carol@b.example", "dave@b.example", "nobody@b.example", "x"} {
			salt, iterations := first(c, login)
			again, _ := first(control.Open(c.Home(), time.Now), strings.ToUpper(login)) // another process
			if salt != again || iterations != real || len(salt) != 26 || slices.Contains(salts, salt) {
				t.Errorf("%s: %s, %s, %s", login, salt, again, iterations)
			}
			salts = append(salts, salt)
		}
	}
}

func TestScramMalformed(t *testing.T) {
	c := settings(t, "bob@b.example:{PLAIN}pencil")
	x := func() *Exchange {
		x, err := Start(Scram, Peer{Private: true, Policy: Policy{Scram: true}}, &Users{Control: c})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, first := range []string{"", "n", "n,,", "n,,n=bob", "x,,n=bob,r=x", "n,b=x,n=bob,r=x", "n,a=,n=bob,r=x", "n,,n=,r=x",
		"n,,n=b=ob,r=x", "n,,n=b=2cob,r=x", "n,,m=x,n=bob,r=x", "n,,n=bob,r=", "n,,n=bob,r=a\x00b", "n,,r=x,n=bob", "p=tls-unique,,n=bob,r=x", "p=,,n=bob,r=x"} {
		if _, _, err := x().Next(context.Background(), []byte(first)); err != errScram {
			t.Errorf("first %q: %v", first, err)
		}
	}
	for _, final := range []string{"", "c=biws", "c=biws,p=AAAA", "c=!,r=x,p=AAAA", "c=biws,r=x,p=!", "r=x,c=biws,p=AAAA", ",,,p="} {
		x := x()
		x.Next(context.Background(), []byte("n,,n=bob@b.example,r=abc"))
		if _, _, err := x.Next(context.Background(), []byte(final)); err != errScram {
			t.Errorf("final %q: %v", final, err)
		}
	}
	for _, proof := range []string{"", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		x := x()
		challenge, _, _ := x.Next(context.Background(), []byte("n,,n=bob@b.example,r=abc"))
		nonce, _, _ := strings.Cut(string(challenge), ",")
		if _, _, err := x.Next(context.Background(), []byte("c=biws,"+nonce+",p="+proof)); !IsWrong(err) {
			t.Errorf("proof %q: %v", proof, err)
		}
	}
}

// inTLS returns both ends of a connection.
func inTLS(t *testing.T, policy Policy, version uint16, mine ...tls.Certificate) (server Peer, client tls.ConnectionState) {
	t.Helper()
	dir := t.TempDir()
	if err := certs.SelfSigned(dir, "mx.example.net", nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	config, leaf := policy.ServerTLS(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }})
	there := tls.Client(b, &tls.Config{InsecureSkipVerify: true, MaxVersion: version, Certificates: mine})
	failed := make(chan error, 1)
	go func() { failed <- there.Handshake() }()
	here := tls.Server(a, config)
	if err := here.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	state := here.ConnectionState()
	return Peer{Policy: policy, TLS: &state, Leaf: leaf()}, there.ConnectionState()
}

func TestScramPlus(t *testing.T) {
	c := settings(t, "bob@b.example:{PLAIN}pencil")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := inTLS(t, Policy{Scram: true}, version)
		other, _ := inTLS(t, Policy{Scram: true}, version)
		exporter, err := scram.NewTLSExporterBinding(&client)
		if err != nil {
			t.Fatal(err)
		}
		endPoint, err := scram.NewTLSServerEndpointBinding(&client)
		if err != nil {
			t.Fatal(err)
		}
		bindings := []scram.ChannelBinding{exporter, endPoint}
		if version == tls.VersionTLS12 {
			bindings = append(bindings, scram.NewTLSUniqueBinding(client.TLSUnique))
		}
		for _, cb := range bindings {
			if _, err := talk(t, ScramPlus, server, c, scramClient(t, "bob@b.example", "pencil", "", &cb)); err != nil {
				t.Errorf("%x %s: %v", version, cb.Type, err)
			}
			if _, err := talk(t, ScramPlus, server, c, scramClient(t, "bob@b.example", "pencils", "", &cb)); !IsWrong(err) {
				t.Errorf("%x %s: wrong password: %v", version, cb.Type, err)
			}
			// A man in the middle has two connections.
			if _, err := talk(t, ScramPlus, other, c, scramClient(t, "bob@b.example", "pencil", "", &cb)); !IsWrong(err) {
				t.Errorf("%x %s: another connection: %v", version, cb.Type, err)
			}
		}
		unknown := scram.ChannelBinding{Type: "tls-none", Data: []byte("x")}
		if _, err := talk(t, ScramPlus, server, c, scramClient(t, "bob@b.example", "pencil", "", &unknown)); err == nil || IsWrong(err) {
			t.Errorf("%x: an unknown binding: %v", version, err)
		}
		if _, err := talk(t, ScramPlus, server, c, scramClient(t, "bob@b.example", "pencil", "", nil)); err != errScram {
			t.Errorf("-PLUS without a binding: %v", err)
		}
		if _, err := talk(t, Scram, server, c, scramClient(t, "bob@b.example", "pencil", "", nil)); err != nil {
			t.Errorf("without -PLUS: %v", err)
		}
	}
}

// If a client supports channel binding and heard that we do not, somebody has tampered
// with our list.
func TestScramDowngrade(t *testing.T) {
	server, _ := inTLS(t, Policy{Scram: true}, tls.VersionTLS13)
	for _, tt := range []struct {
		p  Peer
		ok bool
	}{{server, false}, {Peer{Private: true}, true}} {
		x := &Exchange{mechanism: Scram, peer: tt.p}
		if _, ok, err := x.channel("y"); ok != tt.ok || err != nil {
			t.Errorf("TLS %v: %v, %v", tt.p.TLS != nil, ok, err)
		}
	}
}

func TestMechanisms(t *testing.T) {
	server, _ := inTLS(t, Policy{Scram: true}, tls.VersionTLS13)
	plain := server
	plain.Scram = false
	only := server
	only.Only = []string{"SCRAM-SHA-256-PLUS"}
	for _, tt := range []struct {
		name string
		p    Peer
		want string
	}{
		{"a public address in clear", Peer{Policy: Policy{Scram: true}}, ""},
		{"loopback", Peer{Private: true}, "PLAIN LOGIN"},
		{"loopback with keys", Peer{Private: true, Policy: Policy{Scram: true}}, "PLAIN LOGIN SCRAM-SHA-256"},
		{"TLS", plain, "PLAIN LOGIN"},
		{"TLS with keys", server, "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS"},
		{"only", only, "SCRAM-SHA-256-PLUS"},
	} {
		if got := strings.Join(Mechanisms(tt.p), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		for _, m := range []string{Plain, Login, Scram, ScramPlus, External, "CRAM-MD5", ""} {
			_, err := Start(m, tt.p, nil)
			if (err == nil) != slices.Contains(strings.Fields(tt.want), m) {
				t.Errorf("%s: Start %q: %v", tt.name, m, err)
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	stored, _ := Hash(Scram, "x")
	for _, tt := range []struct {
		rows  []string
		scram bool
	}{
		{nil, false},
		{[]string{"a@b.example:" + stored}, true},
		{[]string{"a@b.example:" + stored, "b@b.example:{plain.b64}eA==", "c@b.example:*", "d@b.example:!$6$x"}, true},
		{[]string{"a@b.example:" + stored, "b@b.example:$6$saltsalt$x"}, false},
	} {
		p, err := PolicyOf(settings(t, tt.rows...))
		if err != nil || p.Scram != tt.scram || p.Only != nil || p.ClientCA != nil {
			t.Errorf("%q: %+v, %v", tt.rows, p, err)
		}
	}
	c := settings(t, "b@b.example:$6$saltsalt$x")
	os.WriteFile(filepath.Join(c.Home(), "control", "mechanisms"), []byte("scram-sha-256\nPLAIN\n"), 0o600)
	if p, err := PolicyOf(c); err != nil || !p.Scram || !slices.Equal(p.Only, []string{Scram, Plain}) {
		t.Errorf("%+v, %v", p, err)
	}
}
