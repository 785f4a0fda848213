package oracle

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	ours "paperpath/internal/dkim"
)

// record draws a key record, around the right key or not, without what mox alone does not
// take: blanks before a semicolon, and s=*.
func record(t *rapid.T, p string) string {
	tags := []string{"p=" + rapid.SampledFrom([]string{p, p, p, p, "", "AAAA", "%"}).Draw(t, "p")}
	for _, options := range [][]string{
		{"k=rsa", "k=rsa", "k=rsa", "k=RSA", "k=ed25519", "k=dsa"},
		{"h=sha256", "h=sha1", "h=sha1: sha256", "h=sha256:x"},
		{"s=email", "s=web", "s=web:email"},
		{"t=s", "t=x", "t=x:s"},
		{"n=a note", "n=", "x=y", "g=*", "zz=a:b"},
	} {
		if rapid.IntRange(0, 2).Draw(t, "tag") == 0 {
			tags = append(tags, rapid.SampledFrom(options).Draw(t, "option"))
		}
	}
	tags = rapid.Permutation(tags).Draw(t, "order")
	if rapid.Bool().Draw(t, "version") {
		v := rapid.SampledFrom([]string{"v=DKIM1", "v=DKIM1", "v=DKIM1", "v=DKIM2", "v=dkim1", "v = DKIM1"}).Draw(t, "v")
		tags = append([]string{v}, tags...)
		if rapid.IntRange(0, 9).Draw(t, "late") == 0 {
			tags[0], tags[len(tags)-1] = tags[len(tags)-1], tags[0]
		}
	}
	return strings.Join(tags, rapid.SampledFrom([]string{";", "; ", ";\t"}).Draw(t, "separator")) +
		rapid.SampledFrom([]string{"", "", ";", ";;"}).Draw(t, "end")
}

// What a key's record says, all take alike.
func TestRecords(t *testing.T) {
	k := newKeys(t)
	key := k.list[:1]
	name := ours.Name("r", domain)
	_, p, _ := strings.Cut(k.zone[name][0], "p=")
	const text = "From: a@example.org\r\n\r\nHello\r\n"
	s, err := ours.Sign(strings.NewReader(text), key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	rapid.Check(t, func(t *rapid.T) {
		with := keys{list: key, zone: map[string][]string{name: {record(t, p)}}}
		got := with.byOurs(t, s.Fields+text)
		if got == "yes" {
			good++
		}
		other, err := with.byMox(s.Fields + text)
		if err != nil || other != got {
			t.Errorf("mox: %s, %v; ours: %s; %q", other, err, got, with.zone[name][0])
		}
	})
	if good == 0 {
		t.Error("no record was good")
	}
}
