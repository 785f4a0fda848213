package accept

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"time"

	"paperpath/internal/dkim"
)

// The client: its sender, and what it is where it is a host outside.
const (
	sender  = "bob@x.bench.example"
	host    = "mail.x.bench.example"
	outside = "192.0.2.7"
	hello   = "EHLO " + host
)

// signer signs the messages of a host outside.
type signer struct {
	key  dkim.Key
	zone string // in which the host and its messages are in order
}

func newSigner() (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	record, err := dkim.Record(key.Public())
	if err != nil {
		return nil, err
	}
	zone := []string{
		`x.bench.example. TXT "v=spf1 ip4:192.0.2.0/24 -all"`,
		`_dmarc.x.bench.example. TXT "v=DMARC1; p=reject"`,
		host + `. A ` + outside,
		host + `. TXT "v=spf1 a -all"`,
		`7.2.0.192.in-addr.arpa. PTR ` + host + `.`,
		`s._domainkey.x.bench.example. TXT "` + record[:200] + `" "` + record[200:] + `"`,
	}
	return &signer{dkim.Key{Domain: "x.bench.example", Selector: "s", Signer: key}, strings.Join(zone, "\n")}, nil
}

// sign returns the fields of a signature.
func (s *signer) sign(head, body string) (string, error) {
	text := strings.ReplaceAll(head+"\n"+body, "\n", "\r\n")
	signed, err := dkim.Sign(strings.NewReader(text), []dkim.Key{s.key}, time.Now())
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(signed.Fields, "\r\n", "\n"), nil
}
