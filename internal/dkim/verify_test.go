package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/dns"
)

// zone is a DNS: what a name is missing from does not exist.
type zone map[string][]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	switch list, ok := z[name]; {
	case !ok:
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
	case len(list) == 1 && list[0] == "away":
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "TXT"}
	case len(list) == 1 && list[0] == "panic":
		panic("resolver")
	default:
		return list, nil
	}
}

var testTime = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func verifier(z zone) Verifier { return Verifier{DNS: z, Now: func() time.Time { return testTime }} }

// crlf gives a text the line ends of the wire.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// testRSA and testEd are keys for tests.
var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var testEd = sync.OnceValue(func() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

// pair returns keys of both kinds, and the zone that publishes them.
func pair(t testing.TB) ([]Key, zone) {
	keys := []Key{{"example.org", "r", testRSA()}, {"example.org", "e", testEd()}}
	z := zone{}
	for _, k := range keys {
		text, err := Record(k.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		z[Name(k.Selector, k.Domain)] = []string{text}
	}
	return keys, z
}

// summaryOf is what a table compares.
func summaryOf(results []Result) string {
	var list []string
	for _, r := range results {
		list = append(list, fmt.Sprintf("%s %s %s %s %d", r.Status, r.Domain, r.Selector, r.Algorithm, r.KeyBits))
	}
	return strings.Join(list, "; ")
}

// The examples of RFC 6376 A.2 and RFC 8463 A.3, with LF and with CRLF.
func TestExamples(t *testing.T) {
	z := zone{
		"brisbane._domainkey.example.com": {"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" +
			"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" +
			"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"},
		"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"test._domainkey.football.example.com": {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3id" +
			"Y6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj" +
			"+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
	}
	for file, want := range map[string]string{
		"testdata/rfc6376.eml": "pass example.com brisbane rsa-sha256 1024",
		"testdata/rfc8463.eml": "pass football.example.com brisbane ed25519-sha256 256; pass football.example.com test rsa-sha256 1024",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range []string{string(text), crlf(string(text))} {
			got, err := verifier(z).Verify(context.Background(), strings.NewReader(in))
			if s := summaryOf(got); err != nil || s != want {
				t.Errorf("%s: %s %+v, %v", file, s, got, err)
			}
			got, err = verifier(z).Verify(context.Background(), strings.NewReader(in+"more\n"))
			if s := summaryOf(got); err != nil || s != strings.ReplaceAll(want, "pass", "fail") {
				t.Errorf("%s with another line: %s, %v", file, s, err)
			}
		}
	}
}

const testBody = "Hello,\n\n \tworld \nend\n\n\n"
const testHeader = "From: A <a@example.org>\nTo: b@example.net\nSubject: x\n  y\n"

// made signs a message as the tags say, with the key for tests.
func made(t *testing.T, extra string, change func(tags string) string) string {
	t.Helper()
	b := newBody(relaxed)
	b.Write([]byte(testBody))
	sum, size := b.sum()
	tags := "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=r; h=From:To:Subject; bh=" +
		base64.StdEncoding.EncodeToString(sum) + "; " + strings.ReplaceAll(extra, "SIZE", fmt.Sprint(size)) + "b="
	if change != nil {
		tags = change(tags)
	}
	text := relaxed.field(nil, "From", []byte("From: A <a@example.org>"))
	text = append(text, "\r\nto:b@example.net\r\nsubject:x y\r\n"...)
	text = relaxed.field(text, signatureField, []byte(signatureField+":"+tags))
	sig := signText(t, tags, text)
	return signatureField + ":" + tags + base64.StdEncoding.EncodeToString(sig) + "\n" + testHeader + "\n" + testBody
}

func signText(t *testing.T, tags string, text []byte) (sig []byte) {
	t.Helper()
	var err error
	hash := crypto.SHA256.New()
	hash.Write(text)
	switch {
	case strings.Contains(tags, "a=ed25519"):
		sig = ed25519.Sign(testEd(), hash.Sum(nil))
	case strings.Contains(tags, "sha1"):
		sum := sha1.Sum(text)
		sig, err = rsa.SignPKCS1v15(rand.Reader, testRSA(), crypto.SHA1, sum[:])
	default:
		sig, err = rsa.SignPKCS1v15(rand.Reader, testRSA(), crypto.SHA256, hash.Sum(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// What a signature says decides, beside whether it is right.
func TestSignatures(t *testing.T) {
	replace := func(old, text string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Errorf("%q is not in %q", old, s)
			}
			return strings.Replace(s, old, text, 1)
		}
	}
	_, z := pair(t)
	for _, c := range []struct {
		name   string
		extra  string
		change func(string) string
		want   Status
		reason string
	}{
		{"plain", "", nil, Pass, ""},
		{"with a tag that nobody knows", "foo=bar; ", nil, Pass, ""},
		{"with tags of all letters", "a9_z=1; A0=2; ", nil, Pass, ""},
		{"with a tag that begins with a digit", "9a=1; ", nil, Neutral, ""},
		{"folded", "", replace("h=From:To", "h=From :\r\n To"), Pass, ""},
		{"Ed25519", "", func(s string) string {
			return strings.Replace(strings.Replace(s, "rsa-", "ed25519-", 1), "s=r", "s=e", 1)
		}, Pass, ""},
		{"d= in capitals", "", replace("d=example.org", "d=EXAMPLE.org"), Pass, ""},
		{"l= of the whole body", "l=SIZE; ", nil, Pass, ""},
		{"l= of a part", "l=6; ", nil, Policy, "l=6 covers only a part of the body, which has 23 octets"},
		{"l=0", "l=0; ", nil, Policy, "l=0 covers only"},
		{"l= of more", "l=99999; ", nil, Fail, "the body was cut"},
		{"l= of nothing", "l=; ", nil, Neutral, "l= is not a number"},
		{"l= beyond numbers", "l=9999999999999999999999; ", nil, Neutral, "l= is not a number"},
		{"x= to come", "t=1795867000; x=1795870000; ", nil, Pass, ""},
		{"x= past", "t=1495867000; x=1495870000; ", nil, PermError, "the signature expired at 2017-05-27T07:26:40Z"},
		{"x= before t=", "t=1795870000; x=1795867000; ", nil, Neutral, "x= is not after t="},
		{"i= below", "i=joe@lists.example.org; ", nil, Pass, ""},
		{"i= elsewhere", "i=@example.net; ", nil, Neutral, "the domain of i= is neither d= nor below it"},
		{"i= that only ends alike", "i=@badexample.org; ", nil, Neutral, "neither d= nor below"},
		{"i= without @", "i=example.org; ", nil, Neutral, "i= is not an address"},
		{"z= with b= in it", "z=Subject:=20b=3Dc|X:b=; ", nil, Pass, ""},
		{"rsa-sha1", "", replace("rsa-sha256", "rsa-sha1"), PermError, "rsa-sha1 proves nothing any more"},
		{"unknown algorithm", "", replace("rsa-sha256", "dsa-sha256"), Neutral, "the algorithm is unknown"},
		{"another algorithm than the key's", "", replace("rsa-", "ed25519-"), PermError, "the key is for rsa-sha256"},
		{"v=2", "", replace("v=1", "v=2"), Neutral, "v= is not 1"},
		{"no v=", "", replace("v=1; ", ""), Neutral, "v= is not 1"},
		{"a tag twice", "s=r; ", nil, Neutral, "s= is there twice"},
		{"no From in h=", "", replace("h=From:", "h="), Neutral, "h= does not name From"},
		{"q= with dns/txt", "q=foo:dns/txt; ", nil, Pass, ""},
		{"q= without", "q=http; ", nil, Neutral, "q= has no way to the key but unknown ones"},
		{"c= unknown", "", replace("relaxed/relaxed", "relaxed/nofws"), Neutral, "c= names a form"},
		{"d= missing", "", replace("d=example.org; ", ""), Neutral, "d= is not a domain"},
		{"d= of a path", "", replace("d=example.org", "d=../etc"), Neutral, "d= is not a domain"},
		{"s= of blanks", "", replace("s=r", "s=a b"), Neutral, "s= is not a selector"},
		{"s= unknown", "", replace("s=r", "s=nobody"), PermError, "there is no key: DNS TXT nobody._domainkey.example.org"},
		{"s= away", "", replace("s=r", "s=away"), TempError, "DNS TXT away._domainkey.example.org"},
		{"s= panic", "", replace("s=r", "s=panic"), TempError, "temporary problem"},
		{"bh= of another body", "", replace("bh=", "bh=AAAA"), Neutral, "bh= is no"},
		{"control characters", "foo=\x01; ", nil, Neutral, "the value of foo= has characters"},
		{"not a list", "", func(string) string { return "hello" }, Neutral, `"hello`},
	} {
		z["away._domainkey.example.org"], z["panic._domainkey.example.org"] = []string{"away"}, []string{"panic"}
		got, err := verifier(z).Verify(context.Background(), strings.NewReader(made(t, c.extra, c.change)))
		if err != nil || len(got) != 1 || got[0].Status != c.want || !strings.Contains(got[0].Reason, c.reason) ||
			(got[0].Reason == "") != (c.want == Pass) || (got[0].Err != nil) != (c.want == TempError) {
			t.Errorf("%s: %+v, %v, want %s because %q", c.name, got, err, c.want, c.reason)
		}
	}
}

// What the key's record says decides, too.
func TestRecords(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := Record(testRSA().Public())
	if err != nil {
		t.Fatal(err)
	}
	smallText, err := Record(small.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := strings.TrimPrefix(good, "v=DKIM1; k=rsa; ")
	for _, c := range []struct {
		name    string
		records []string
		want    Status
		reason  string
	}{
		{"plain", []string{good}, Pass, ""},
		{"p= alone", []string{p}, Pass, ""},
		{"folded", []string{strings.Replace(good, "p=MIIB", "p=MI IB\r\n\t", 1)}, Pass, ""},
		{"beside another text", []string{"v=spf1 -all", good, "hello"}, Pass, ""},
		{"all allowed", []string{"v=DKIM1; h=sha1:sha256; s=email:web; t=x; n=note; g=*; " + p}, Pass, ""},
		{"two keys", []string{good, good}, PermError, "there are two keys"},
		{"revoked", []string{"v=DKIM1; p="}, PermError, "revoked"},
		{"no record", []string{}, PermError, "there is no key"},
		{"not a key", []string{"v=spf1 -all"}, PermError, "the key is not usable"},
		{"v= not first", []string{"k=rsa; v=DKIM1; " + p}, PermError, "does not begin with v=DKIM1"},
		{"v=DKIM2", []string{"v=DKIM2; " + p}, PermError, "does not begin with v=DKIM1"},
		{"sha1 alone", []string{"v=DKIM1; h=sha1; " + p}, PermError, "h= does not allow sha256"},
		{"not for mail", []string{"v=DKIM1; s=web; " + p}, PermError, "s= does not allow email"},
		{"another kind", []string{"v=DKIM1; k=dsa; " + p}, PermError, `k="dsa" is no kind`},
		{"not base64", []string{"v=DKIM1; p=%"}, PermError, "p= is not base64"},
		{"not a key in base64", []string{"v=DKIM1; p=AAAA"}, PermError, "p= is not an RSA key"},
		{"a short Ed25519 key", []string{"v=DKIM1; k=ed25519; p=AAAA"}, PermError, "p= is not an Ed25519 key"},
		{"another key of 1024 bits", []string{smallText}, Fail, "the header was changed, or another key signed it"},
		{"being tested", []string{"v=DKIM1; t=s:y; " + p}, Neutral, "t=y"},
		{"too much", []string{good, strings.Repeat("x", maxRecord)}, PermError, "more than 16384 octets"},
	} {
		z := zone{"r._domainkey.example.org": c.records}
		got, err := verifier(z).Verify(context.Background(), strings.NewReader(made(t, "", nil)))
		if err != nil || len(got) != 1 || got[0].Status != c.want || !strings.Contains(got[0].Reason, c.reason) {
			t.Errorf("%s: %+v, %v, want %s because %q", c.name, got, err, c.want, c.reason)
		}
	}
	// t=s forbids an i= below d=.
	z := zone{"r._domainkey.example.org": {"v=DKIM1; t=s; " + p}}
	for extra, want := range map[string]Status{"i=@a.example.org; ": PermError, "i=x@example.org; ": Pass} {
		got, err := verifier(z).Verify(context.Background(), strings.NewReader(made(t, extra, nil)))
		if err != nil || got[0].Status != want {
			t.Errorf("t=s with %s: %+v, %v", extra, got, err)
		}
	}
}

// A key that is too small proves nothing, even if the signature is right: openssl made
// this one, since crypto/rsa makes no such key.
func TestSmallKey(t *testing.T) {
	text, err := os.ReadFile("testdata/rsa768.eml")
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile("testdata/rsa768.txt")
	if err != nil {
		t.Fatal(err)
	}
	z := zone{"small._domainkey.example.org": {strings.TrimSpace(string(record))}}
	got, err := verifier(z).Verify(context.Background(), strings.NewReader(string(text)))
	if s := summaryOf(got); err != nil || s != "policy example.org small rsa-sha256 768" ||
		!strings.Contains(got[0].Reason, "an RSA key of 768 bits") {
		t.Errorf("%s, %+v, %v", s, got, err)
	}
}

// An eleventh signature is not looked at, and equal names are asked for once.
func TestManySignatures(t *testing.T) {
	_, z := pair(t)
	var asked int
	var mu sync.Mutex
	counting := resolverFunc(func(ctx context.Context, name string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return z.TXT(ctx, name)
	})
	message := made(t, "", nil)
	field, _, _ := strings.Cut(message, "\nFrom:")
	message = strings.Repeat(field+"\n", 14) + message
	v := Verifier{DNS: counting, Now: func() time.Time { return testTime }}
	got, err := v.Verify(context.Background(), strings.NewReader(message))
	if err != nil || len(got) != MaxSignatures || asked != 1 {
		t.Fatalf("%d results, %v, asked %d times", len(got), err, asked)
	}
	for _, r := range got {
		if r.Status != Pass {
			t.Errorf("%+v", r)
		}
	}
}

type resolverFunc func(context.Context, string) ([]string, error)

func (f resolverFunc) TXT(ctx context.Context, name string) ([]string, error) { return f(ctx, name) }

// Headers beyond the limits are errors, as is a message that cannot be read.
func TestLimits(t *testing.T) {
	broken := errors.New("broken")
	for name, in := range map[string]string{
		"octets": "X: " + strings.Repeat("x", maxHeader) + "\n",
		"fields": strings.Repeat("X: y\n", maxFields+1) + "\n",
	} {
		if got, err := verifier(nil).Verify(context.Background(), strings.NewReader(in)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, z := pair(t)
	whole := made(t, "", nil)
	for _, n := range []int{10, len(whole) - 3} {
		if got, err := verifier(z).Verify(context.Background(), &cut{whole[:n], broken}); !errors.Is(err, broken) {
			t.Errorf("cut at %d: %+v, %v", n, got, err)
		}
	}
	huge := made(t, "foo="+strings.Repeat("x", maxSignature)+"; ", nil)
	if got, err := verifier(z).Verify(context.Background(), strings.NewReader(huge)); err != nil || got[0].Status != Neutral {
		t.Errorf("%.200v, %v", got, err)
	}
}

// cut is a reader that fails at its end.
type cut struct {
	text string
	err  error
}

func (c *cut) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, c.err
	}
	n := copy(p, c.text)
	c.text = c.text[n:]
	return n, nil
}

// The body is read once for signatures of both forms, and each is held against its own.
func TestBothBodyForms(t *testing.T) {
	_, z := pair(t)
	asSimple := func(tags string) string {
		sums := map[canonical]string{}
		for _, form := range []canonical{simple, relaxed} {
			b := newBody(form)
			b.Write([]byte(testBody))
			sum, _ := b.sum()
			sums[form] = base64.StdEncoding.EncodeToString(sum)
		}
		return strings.ReplaceAll(strings.Replace(tags, "c=relaxed/relaxed", "c=relaxed/simple", 1), sums[relaxed], sums[simple])
	}
	first, _, _ := strings.Cut(made(t, "", nil), "\n")
	second, _, _ := strings.Cut(made(t, "", asSimple), "\n")
	for body, want := range map[string]string{
		testBody: "pass pass",
		strings.Replace(testBody, "Hello,", "Hello, ", 1): "pass fail", // blanks at a line's end: RFC 6376 3.4.4
		testBody + "more\n": "fail fail",
	} {
		for _, order := range []string{first + "\n" + second + "\n", second + "\n" + first + "\n"} {
			text := crlf(order + testHeader + "\n" + body)
			got, err := verifier(z).Verify(t.Context(), strings.NewReader(text))
			if err != nil || len(got) != 2 {
				t.Fatal(got, err)
			}
			if strings.HasPrefix(order, second) {
				got[0], got[1] = got[1], got[0]
			}
			if s := fmt.Sprint(got[0].Status, " ", got[1].Status); s != want {
				t.Errorf("%q: %s, want %s", body, s, want)
			}
		}
	}
}
