package check

import (
	"fmt"
	"testing"

	"paperpath/internal/dkim"
)

// identityZone has domains of every kind: their names say what they publish.
func identityZone(t testing.TB) string {
	record, err := dkim.Record(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	zone := `1.2.0.192.in-addr.arpa PTR mx.reject.example
mx.reject.example A 192.0.2.1
2.2.0.192.in-addr.arpa PTR mx.reject.example
reject.example TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.reject.example TXT "v=DMARC1; p=reject"
quarantine.example TXT "v=spf1 ip4:192.0.2.1 ~all"
_dmarc.quarantine.example TXT "v=DMARC1; p=quarantine"
hard.example TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.hard.example TXT "v=DMARC1; p=quarantine"
none.example TXT "v=spf1 ip4:192.0.2.1 ?all"
_dmarc.none.example TXT "v=DMARC1; p=none"
_dmarc.test.example TXT "v=DMARC1; p=reject; t=y"
plain.example TXT "v=spf1 ip4:192.0.2.1 -all"
bare.example TXT "v=spf1 -all"
away.example TXT !servfail
_dmarc.away.example TXT !servfail
k._domainkey.keyless.example TXT !servfail
_dmarc.keyless.example TXT "v=DMARC1; p=reject"
mx.plain.example A 192.0.2.1
mail.plain.example MX 10 mx.plain.example
null.example MX 0 .
_dmarc.null.example TXT "v=DMARC1; p=none"
unsure.example MX !servfail
both.example MX 0 .
both.example MX 10 mx.plain.example
`
	for _, domain := range []string{"reject", "quarantine", "hard", "none", "test", "plain", "bare", "other"} {
		zone += fmt.Sprintf("k._domainkey.%s.example TXT %q\n", domain, record)
	}
	return zone
}

// identityRow is a message of a stranger.
type identityRow struct {
	name   string
	client string // 192.0.2.1 may send for most, others for none
	helo   string // mx.plain.example
	from   string // the reverse path
	author string // fields, or an address
	signed string // the domain of a signature; with "!" it is broken
	rows   string // of control/checks
	trust  string // of control/trusted-forwarders
	want   string // action and reply
	has    string // results, with " ; " between them; each part must be there
}

func identityRows() []identityRow {
	const bad = "192.0.2.9"
	return []identityRow{
		{name: "nothing is published", from: "a@other.example", author: "a@other.example", want: "pass",
			has: "spf=none smtp.mailfrom=a@other.example ; dkim=none ; dmarc=none header.from=other.example"},
		{name: "proven by SPF", from: "a@reject.example", author: "a@reject.example", want: "pass",
			has: "iprev=pass policy.iprev=192.0.2.1 ; spf=pass smtp.mailfrom=a@reject.example ; spf=none smtp.helo=mx.plain.example ; " +
				"dmarc=pass header.from=reject.example policy.dmarc=reject"},
		{name: "forwarded, proven by DKIM", client: bad, from: "a@reject.example", author: "a@reject.example", signed: "reject.example",
			want: "pass", has: "iprev=permerror policy.iprev=192.0.2.9 ; spf=fail ; " +
				"dkim=pass header.d=reject.example header.i=@reject.example header.s=k header.b= header.a=ed25519-sha256 ; dmarc=pass"},
		{name: "refused by policy", client: bad, from: "a@other.example", author: "a@reject.example", want: "refuse 5.7.26 5xx",
			has: "dmarc=fail header.from=reject.example policy.dmarc=reject"},
		{name: "its signature is broken", client: bad, from: "a@other.example", author: "a@reject.example", signed: "reject.example!",
			want: "refuse 5.7.26 5xx", has: "dkim=fail header.d=reject.example ; dmarc=fail"},
		{name: "the signature of another", client: bad, from: "a@other.example", author: "a@reject.example", signed: "other.example",
			want: "refuse 5.7.26 5xx", has: "dkim=pass header.d=other.example ; dmarc=fail"},
		{name: "quarantined", client: bad, from: "a@other.example", author: "a@quarantine.example", want: "junk",
			has: "spf=none ; dmarc=fail header.from=quarantine.example policy.dmarc=quarantine"},
		{name: "quarantined, and SPF forbids it", client: bad, from: "a@hard.example", author: "a@hard.example", want: "refuse 5.7.23 5xx",
			has: "spf=fail ; dmarc=fail policy.dmarc=quarantine"},
		{name: "p=none changes nothing", client: bad, from: "a@none.example", author: "a@none.example", want: "pass",
			has: "spf=neutral ; dmarc=fail policy.dmarc=none"},
		{name: "a policy that is tested", client: bad, from: "a@other.example", author: "a@test.example", want: "junk",
			has: "dmarc=fail header.from=test.example policy.dmarc=quarantine"},
		{name: "SPF forbids it, no DMARC", client: bad, from: "a@plain.example", author: "a@plain.example", want: "refuse 5.7.23 5xx",
			has: "spf=fail ; dmarc=none"},
		{name: "SPF forbids it, the author is proven", client: bad, from: "a@plain.example", author: "a@reject.example",
			signed: "reject.example", want: "pass", has: "spf=fail ; dmarc=pass"},
		{name: "SPF only doubts", client: bad, from: "a@quarantine.example", author: "a@other.example", want: "pass", has: "spf=softfail"},
		{name: "a null MX", from: "a@null.example", author: "a@other.example", want: "refuse 5.7.27 5xx"},
		{name: "a null MX, and the file says tag", from: "a@Null.example", author: "a@other.example", rows: "null-mx: tag\n", want: "tag"},
		{name: "a null MX of the author alone", from: "a@other.example", author: "a@null.example", want: "pass"},
		{name: "a null MX beside others", from: "a@both.example", author: "a@other.example", want: "pass"},
		{name: "no answer about the MX", from: "a@unsure.example", author: "a@other.example", want: "pass"},
		{name: "no answer about the MX, and the file says defer", from: "a@unsure.example", author: "a@other.example",
			rows: "null-mx: refuse temporary=defer\n", want: "defer 4.7.27 4xx"},
		{name: "no mail at all", client: bad, from: "a@bare.example", author: "a@bare.example", want: "refuse 5.7.23 5xx"},
		{name: "the null path is that of HELO", client: bad, helo: "plain.example", author: "a@other.example", want: "refuse 5.7.23 5xx",
			has: "spf=fail smtp.helo=plain.example"},
		{name: "the null path, proven by HELO", helo: "reject.example", author: "a@reject.example", want: "pass",
			has: "spf=pass smtp.helo=reject.example ; dmarc=pass"},
		{name: "no answer about SPF", from: "a@away.example", author: "a@other.example", want: "pass", has: "spf=temperror ; dmarc=none"},
		{name: "no answer about SPF that could prove it", from: "a@away.reject.example", author: "a@reject.example",
			want: "refuse 5.7.26 5xx", has: "spf=none ; dmarc=fail"},
		{name: "no answer about DMARC", author: "a@away.example", want: "pass", has: "dmarc=temperror header.from=away.example"},
		{name: "no answer about the key", client: bad, author: "a@keyless.example", signed: "keyless.example", want: "pass",
			has: "dkim=temperror ; dmarc=temperror"},
		{name: "no answer, and the file says defer", from: "a@away.example", author: "a@other.example", rows: "spf: refuse temporary=defer\n",
			want: "defer 4.7.24 4xx"},
		{name: "two authors, one proven", from: "a@reject.example", author: "From: a@reject.example, b@quarantine.example\nSender: a@reject.example\n",
			want: "junk", has: "dmarc=fail header.from=quarantine.example"},
		{name: "two From fields, whoever allows them", from: "a@reject.example", author: "From: a@reject.example\nFrom: b@reject.example\n",
			rows: "from: accept\n", want: "pass", has: "dmarc=permerror"},
		{name: "SPF off: the policy is not applied", client: bad, author: "a@reject.example", rows: "spf: off\n", want: "pass", has: "dmarc=temperror"},
		{name: "DKIM off: the policy is not applied", client: bad, author: "a@reject.example", rows: "dkim: off\n", want: "pass", has: "dmarc=temperror"},
		{name: "DKIM off: SPF proves as before", from: "a@reject.example", author: "a@reject.example", rows: "dkim: off\n", want: "pass", has: "dmarc=pass"},
		{name: "DMARC off: SPF decides", client: bad, from: "a@plain.example", author: "a@plain.example", signed: "plain.example", rows: "dmarc: off\n",
			want: "refuse 5.7.23 5xx"},
		{name: "SPF accepted", client: bad, from: "a@plain.example", author: "a@plain.example", rows: "spf: accept\n", want: "pass", has: "spf=fail"},
		{name: "DMARC tagged", client: bad, from: "a@other.example", author: "a@reject.example", rows: "dmarc: tag\n", want: "tag", has: "dmarc=fail"},
		{name: "a trusted forwarder", client: bad, from: "a@hard.example", author: "a@reject.example", trust: "192.0.2.9\n", want: "pass",
			has: "spf=fail ; dmarc=fail policy.dmarc=reject"},
		{name: "DMARC off: a trusted forwarder", client: bad, from: "a@plain.example", author: "a@plain.example", rows: "dmarc: off\n",
			trust: "192.0.2.9\n", want: "pass", has: "spf=fail"},
		{name: "a trusted list", client: bad, from: "a@plain.example", author: "a@reject.example", signed: "other.example",
			trust: "other.example\n", want: "pass", has: "dmarc=fail"},
		{name: "a list that nothing proves", client: bad, from: "a@plain.example", author: "a@reject.example", signed: "other.example!",
			trust: "other.example\n", want: "refuse 5.7.26 5xx", has: "dmarc=fail"},
		{name: "forwarders cannot be read", client: bad, from: "a@plain.example", author: "a@reject.example", trust: "192.0.2.0/24 x\n",
			want: "defer 4.3.5 4xx"},
		{name: "forwarders cannot be read, SPF forbids it", client: bad, from: "a@plain.example", author: "a@plain.example",
			trust: "192.0.2.0/24 x\n", want: "defer 4.3.5 4xx"},
		{name: "forwarders cannot be read, junk is no loss", client: bad, from: "a@other.example", author: "a@quarantine.example",
			trust: "192.0.2.0/24 x\n", want: "junk", has: "dmarc=fail"},
		{name: "forwarders cannot be read, it passes", from: "a@reject.example", author: "a@reject.example",
			trust: "192.0.2.0/24 x\n", want: "pass", has: "dmarc=pass"},
		{name: "DKIM is asked for", author: "a@other.example", signed: "other.example!", rows: "dkim: refuse\n", want: "refuse 5.7.20 5xx"},
		{name: "DKIM is asked for, none is there", author: "a@other.example", rows: "dkim: refuse\n", want: "pass", has: "dkim=none"},
		{name: "a name that leads back is asked for", client: "192.0.2.2", author: "a@other.example", rows: "iprev: refuse\n", want: "refuse 5.7.25 5xx"},
		{name: "a name is asked for", client: bad, author: "a@other.example", rows: "iprev: refuse\n", want: "refuse 5.7.25 5xx"},
		{name: "a name is there", author: "a@other.example", rows: "iprev: refuse\n", want: "pass"},
		{name: "a wrong HELO", helo: "nothing.example", author: "a@other.example", want: "pass"},
		{name: "a wrong HELO is refused", helo: "nothing.example", author: "a@other.example", rows: "helo: refuse\n", want: "refuse 5.7.1 5xx"},
	}
}
