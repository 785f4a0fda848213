package oracle

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	moxdkim "github.com/mjl-/mox/dkim"
	mox "github.com/mjl-/mox/dmarc"
	moxdns "github.com/mjl-/mox/dns"
	moxspf "github.com/mjl-/mox/spf"
	"pgregory.net/rapid"

	"paperpath/internal/dmarc"
)

// dmarcDomains are in two organizations, by the list of public suffixes that mox uses and
// by the records that each organization publishes.
var dmarcDomains = []string{"example.org", "a.example.org", "b.a.example.org", "c.example.org", "example.net", "d.example.net"}

// dmarcRecord draws a record of RFC 7489, which both read.
func dmarcRecord(t *rapid.T) string {
	pick := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, "tag") }
	var tags []string
	for _, options := range [][]string{
		{"sp=none", "sp=quarantine", "sp=reject", "SP=reject"}, {"adkim=s", "adkim=r", "adkim=S"}, {"aspf=s", "aspf=r"},
		{"rua=mailto:d@example.org", "rua=mailto:d@example.org!10m, mailto:e@example.org"}, {"ruf=mailto:f@example.org"},
		{"fo=1", "fo=0:d:s", "fo=d"}, {"pct=0", "pct=100", "pct=50"}, {"ri=3600"}, {"rf=afrf"}, {"x=y", "zz=a b"},
	} {
		if rapid.IntRange(0, 2).Draw(t, "there") == 0 {
			tags = append(tags, pick(options...))
		}
	}
	if len(tags) > 1 {
		tags = rapid.Permutation(tags).Draw(t, "order")
	}
	p := pick("p=none", "p=quarantine", "p=reject", "p=REJECT", "p = reject")
	return pick("v=DMARC1;", "v=DMARC1; ", "v = DMARC1 ; ") + strings.Join(append([]string{p}, tags...), pick(";", "; ", " ;\t")) + pick("", ";", "; ")
}

func dmarcZone(t *rapid.T) zone {
	z := zone{txt: map[string][]string{}, fail: map[string]bool{}}
	for i, name := range dmarcDomains {
		top := i == 0 || name == "example.net"
		switch n := rapid.IntRange(0, 9).Draw(t, "record"); {
		case top && n < 7, n < 3:
			z.txt["_dmarc."+name] = []string{dmarcRecord(t)}
		case n == 7:
			z.txt["_dmarc."+name] = []string{"other", dmarcRecord(t), "v=spf1 -all"}
		case n == 8:
			z.txt["_dmarc."+name] = []string{dmarcRecord(t), dmarcRecord(t)}
		}
	}
	if rapid.IntRange(0, 7).Draw(t, "broken") == 0 {
		z.fail["txt _dmarc."+rapid.SampledFrom(dmarcDomains).Draw(t, "name")] = true
	}
	return z
}

// Mail of random authors under random records of RFC 7489 has the same result by both, as
// far as a list of public suffixes and a tree walk can agree; see knownDMARCDifference.
func TestDMARC(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	saw, known := map[dmarc.Status]int{}, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		z := dmarcZone(t)
		author := rapid.SampledFrom(dmarcDomains).Draw(t, "author")
		var list []dmarc.Identity
		var signatures []moxdkim.Result
		for range rapid.IntRange(0, 2).Draw(t, "signatures") {
			d := rapid.SampledFrom(dmarcDomains).Draw(t, "d")
			pass := rapid.Bool().Draw(t, "valid")
			list = append(list, dmarc.Identity{Method: dmarc.DKIM, Domain: d, Pass: pass})
			status := moxdkim.StatusFail
			if pass {
				status = moxdkim.StatusPass
			}
			signatures = append(signatures, moxdkim.Result{Status: status, Sig: &moxdkim.Sig{Domain: moxdns.Domain{ASCII: d}}})
		}
		status, from := moxspf.StatusFail, moxdns.Domain{ASCII: rapid.SampledFrom(dmarcDomains).Draw(t, "path")}
		if rapid.Bool().Draw(t, "spf") {
			status = moxspf.StatusPass
		}
		list = append(list, dmarc.Identity{Method: dmarc.SPF, Domain: from.ASCII, Pass: status == moxspf.StatusPass})
		got := dmarc.Domain(context.Background(), z, author, list)
		_, theirs := mox.Verify(context.Background(), log, z.mox(), moxdns.Domain{ASCII: author}, signatures, status, &from, false)
		saw[got.Status]++
		refuse := got.Apply == dmarc.Quarantine || got.Apply == dmarc.Reject
		if string(got.Status) == string(theirs.Status) && refuse == theirs.Reject {
			return
		}
		reason := knownDMARCDifference(z, got, author, list)
		if reason == "" {
			t.Fatalf("ours: %s %s (%s), mox: %s %v (%v); %s by %v in %q, broken %v", got.Status, got.Apply, got.Reason,
				theirs.Status, theirs.Reject, theirs.Err, author, list, z.txt, z.fail)
		}
		known[reason]++
	})
	for _, s := range []dmarc.Status{dmarc.Pass, dmarc.Fail, dmarc.Unstated, dmarc.TempError} {
		if saw[s] == 0 {
			t.Errorf("no case of %s", s)
		}
	}
	t.Log(saw, known)
}

// What a record says, both read alike.
func TestDMARCRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := dmarcRecord(t)
		got, err := dmarc.Parse(text)
		theirs, is, merr := mox.ParseRecord(text)
		if err != nil || merr != nil || !is {
			t.Fatalf("%q: ours %v, mox %v", text, err, merr)
		}
		var rua []string
		for _, u := range theirs.AggregateReportAddresses {
			rua = append(rua, u.Address)
		}
		if string(got.P) != string(theirs.Policy) || string(got.SP) != string(theirs.SubdomainPolicy) ||
			got.ADKIM != (theirs.ADKIM == "s") || got.ASPF != (theirs.ASPF == "s") ||
			!strings.EqualFold(strings.Join(got.RUA, " "), strings.Join(rua, " ")) {
			t.Errorf("%q: ours %+v, mox %+v", text, got, theirs)
		}
	})
}
