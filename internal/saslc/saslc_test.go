package saslc

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// start begins a mechanism that is the only one offered.
func start(t *testing.T, name string, c Credentials, ch Channel) *Exchange {
	t.Helper()
	x, err := Begin([]string{name}, c, ch)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return x
}

func TestChoice(t *testing.T) {
	all := "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 EXTERNAL XOAUTH2 OAUTHBEARER GSSAPI NTLM"
	password := Credentials{User: "u", Secret: "hunter2"}
	token := Credentials{User: "u", Secret: "hunter2", Token: true}
	for _, c := range []struct {
		offered string
		have    Credentials
		safe    bool
		want    string
	}{
		{all, password, true, Scram},
		{all, password, false, Scram},
		{"SCRAM-SHA-256-PLUS " + all, password, true, Scram}, // nothing to bind to
		{"SCRAM-SHA-256-PLUS", password, true, "the connection has no channel binding"},
		{"plain Login", password, true, Plain},
		{"LOGIN", password, true, Login},
		{"LOGIN CRAM-MD5 PLAIN", password, true, CramMD5},
		{"LOGIN CRAM-MD5 PLAIN", password, false, CramMD5},
		{"PLAIN LOGIN", password, false, "it offers PLAIN LOGIN alone, and the connection is not safe for a password"},
		{all, token, true, OAuthBearer},
		{"XOAUTH2 PLAIN", token, true, XOAuth2},
		{"XOAUTH2 PLAIN", token, false, "it offers XOAUTH2 alone, and"},
		{"PLAIN LOGIN", token, true, "it offers PLAIN LOGIN, which is none of OAUTHBEARER XOAUTH2"},
		{"GSSAPI", password, true, "it offers GSSAPI, which is none of SCRAM-SHA-256-PLUS"},
		{"", password, true, "it offers nothing, which"},
		{all, Credentials{Certificate: true}, true, External},
		{"PLAIN", Credentials{Certificate: true}, true, "it offers PLAIN, which is none of EXTERNAL"},
		{"PLAIN", Credentials{Certificate: true, User: "u", Secret: "hunter2"}, true, Plain},
		{all, Credentials{Certificate: true, User: "u", Secret: "hunter2"}, true, External},
		{all, Credentials{User: "u", Secret: "hunter2", Only: []string{Login, Plain}}, true, Plain},
		{all, Credentials{User: "u", Secret: "hunter2", Only: []string{Login}}, true, Login},
		{"PLAIN", Credentials{User: "u", Secret: "hunter2", Only: []string{Login}}, true, "it offers PLAIN, which is none of LOGIN"},
		{all, Credentials{User: "u", Secret: "hun\x07ter2"}, true, "characters that SCRAM cannot have"},
	} {
		x, err := Begin(strings.Fields(c.offered), c.have, Channel{Safe: c.safe})
		got := fmt.Sprint(err)
		if err == nil {
			got = x.Mechanism
		}
		if err == nil && got != c.want || err != nil && !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s, %+v, safe %v: %s, want %s", c.offered, c.have, c.safe, got, c.want)
		}
	}
}

// The examples of RFC 2195 2, RFC 4954 4.3, RFC 4616 4 and RFC 7628 4.
func TestExamples(t *testing.T) {
	tim := Credentials{User: "tim", Secret: "tanstaaftanstaaf"}
	x := start(t, CramMD5, tim, Channel{})
	got, err := x.Next([]byte("<1896.697170952@postoffice.reston.mci.net>"))
	if want := "tim b913a602c7eda7a495b4e6e7334d3890"; string(got) != want || err != nil || x.Initial != nil {
		t.Errorf("%q, %v", got, err)
	}
	if x = start(t, Plain, tim, Channel{Safe: true}); string(x.Initial) != "\x00tim\x00tanstaaftanstaaf" {
		t.Errorf("%q", x.Initial)
	}
	bearer := Credentials{User: "user@example.com", Token: true, Host: "server.example.com", Port: 587,
		Secret: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="}
	x = start(t, OAuthBearer, bearer, Channel{Safe: true})
	want := "n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer " + bearer.Secret + "\x01\x01"
	if string(x.Initial) != want {
		t.Errorf("%q", x.Initial)
	}
	challenge, _ := base64.StdEncoding.DecodeString("eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NoZW1lcyI6ImJlYXJlciBtYWMiLCJzY29wZSI6Imh0dHBzOi8vbWFpbC5leGFtcGxlLmNvbS8ifQ==")
	if got, err = x.Next(challenge); string(got) != "\x01" || err != nil ||
		x.Words() != "status invalid_token, schemes bearer mac, scope https://mail.example.com/" {
		t.Errorf("%q, %v, %s", got, err, x.Words())
	}
	x = start(t, XOAuth2, bearer, Channel{Safe: true})
	if want := "user=user@example.com\x01auth=Bearer " + bearer.Secret + "\x01\x01"; string(x.Initial) != want {
		t.Errorf("%q", x.Initial)
	}
	got, err = x.Next([]byte(`{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`))
	if got == nil || len(got) > 0 || err != nil || !strings.HasPrefix(x.Words(), "status 400, ") {
		t.Errorf("%q, %v, %s", got, err, x.Words())
	}
}

// What a host says instead of JSON is shown harmless and short.
func TestTokenWords(t *testing.T) {
	for said, want := range map[string]string{
		"": "", "not JSON \x1b[2J": `not JSON \x1b[2J`, `{"status":7}`: `{"status":7}`, `{"a":1}`: `{"a":1}`,
		`{"status":"a\nb"}`: "status a b",
	} {
		if got := tokenWords([]byte(said)); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
	if n := len(tokenWords([]byte(strings.Repeat("x", 5000)))); n > 210 {
		t.Errorf("%d octets", n)
	}
}

// Each mechanism ends: a host that goes on asking gets no more answers.
func TestNoMechanismIsEndless(t *testing.T) {
	for _, name := range []string{ScramPlus, Scram, CramMD5, Plain, Login, External, OAuthBearer, XOAuth2} {
		c := Credentials{User: "u", Secret: "s", Token: reveals(name) && name != Plain && name != Login,
			Certificate: name == External}
		if name == ScramPlus {
			continue // as Scram
		}
		x := start(t, name, c, Channel{Safe: true})
		n := 0
		for ; n < 10; n++ {
			if _, err := x.Next([]byte("r=1,s=MQ==,i=4096")); err != nil {
				break
			}
		}
		if n > 2 {
			t.Errorf("%s answered %d times", name, n)
		}
	}
}

// EXTERNAL and PLAIN with go-sasl's servers; PLAIN once more with one that asks first.
func TestSpeakFirst(t *testing.T) {
	x := start(t, External, Credentials{User: "u@example.org", Certificate: true}, Channel{})
	if string(x.Initial) != "u@example.org" {
		t.Errorf("%q", x.Initial)
	}
	x = start(t, Plain, Credentials{User: "u", Secret: "s"}, Channel{Safe: true})
	var got string
	server := sasl.NewPlainServer(func(_, user, secret string) error {
		got = user + "/" + secret
		return nil
	})
	challenge, _, _ := server.Next(nil)
	answer, err := x.Next(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := server.Next(answer); !done || err != nil || got != "u/s" {
		t.Errorf("%v, %v, %s", done, err, got)
	}
	if again, err := x.Next(nil); again != nil || err == nil {
		t.Error("the password is sent twice")
	}
}

// scramServer is a server that knows the password of one user.
func scramServer(t *testing.T, user, password string, iterations int) *scram.Server {
	t.Helper()
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "12345678", Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) {
		if name != user {
			return scram.StoredCredentials{}, errors.New("no such user")
		}
		return keys, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func TestScram(t *testing.T) {
	odd := start(t, Scram, Credentials{User: "a=b,c", Secret: "x"}, Channel{})
	if !strings.HasPrefix(string(odd.Initial), "n,,n=a=3Db=2Cc,r=") {
		t.Errorf("%q", odd.Initial)
	}
	c := Credentials{User: "u", Secret: "pass\u00a0word"}
	x := start(t, Scram, c, Channel{})
	run := scramServer(t, c.User, "pass word", 4096).NewConversation() // SASLprep
	said := string(x.Initial)
	for !run.Done() {
		challenge, err := run.Step(said)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := x.Next([]byte(challenge))
		if err != nil {
			t.Fatal(err)
		}
		said = string(answer)
	}
	if !run.Valid() || x.Finish() != nil {
		t.Errorf("valid %v, %v", run.Valid(), x.Finish())
	}
}

// A server that has not proved that it knows the password is not the one meant.
func TestScramProvesTheServer(t *testing.T) {
	c := Credentials{User: "u", Secret: "s"}
	if err := start(t, Scram, c, Channel{}).Finish(); err == nil {
		t.Error("235 at once is believed")
	}
	x := start(t, Scram, c, Channel{})
	run := scramServer(t, "u", "s", 4096).NewConversation()
	first, err := run.Step(string(x.Initial))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Next([]byte(first)); err != nil {
		t.Fatal(err)
	}
	if err := x.Finish(); err == nil {
		t.Error("235 after the proof is believed")
	}
	if _, err := x.Next([]byte("v=MTIzNA==")); err == nil || x.Finish() == nil {
		t.Error("a wrong signature is believed")
	}
}

// A server cannot make us work for long, nor for little, and its words are kept.
func TestScramBounds(t *testing.T) {
	for challenge, want := range map[string]string{
		"i=2000000001": "more than 2000000 iterations", "i=99999999999999999999": "more than", "i=x": "more than",
		"i=1": "too few iterations", "e=other-error": "",
	} {
		x := start(t, Scram, Credentials{User: "u", Secret: "s"}, Channel{})
		nonce := x.Initial[strings.Index(string(x.Initial), "r="):]
		if strings.HasPrefix(challenge, "i=") {
			challenge = string(nonce) + "1,s=MTIzNA==," + challenge
		}
		_, err := x.Next([]byte(challenge))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", challenge, err)
		}
		if want == "" && x.Words() != "other-error" {
			t.Errorf("%q", x.Words())
		}
	}
}

// FuzzNext: whatever a host says, the answers end and nothing panics.
func FuzzNext(f *testing.F) {
	f.Add(byte(0), []byte("r=1,s=MQ==,i=4096"), []byte("v=x"))
	f.Add(byte(3), []byte(`{"status":"invalid_token"}`), []byte("e=x"))
	f.Fuzz(func(t *testing.T, which byte, first, second []byte) {
		names := []string{Scram, CramMD5, Plain, OAuthBearer, XOAuth2, Login}
		name := names[int(which)%len(names)]
		x, err := Begin([]string{name}, Credentials{User: "u", Secret: "hunter2", Token: strings.Contains(name, "OAUTH"),
			Host: "h"}, Channel{Safe: true, TLS: &tls.ConnectionState{}})
		if err != nil {
			t.Fatal(err)
		}
		for _, challenge := range [][]byte{first, second, first} {
			if _, err := x.Next(challenge); err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		}
		if len(x.Words()) > 210 || strings.ContainsAny(x.Words(), "\r\n\x1b") {
			t.Errorf("%q", x.Words())
		}
	})
}
