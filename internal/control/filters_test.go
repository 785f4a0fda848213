package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Rows are asked in the order of the file, and say what they leave out.
func TestFilters(t *testing.T) {
	c := newFixture(t, map[string]string{"filters": strings.Join([]string{
		"# the scanner",
		"scan: away=accept time=20s memory=100000000 for=outside program:/opt/scan -a 'b c' away=tag",
		"spam: milter:inet:127.0.0.1:11332 away=tag connect=2s end=4m connections=7 'junk=X-Spam: Yes'",
		"six: for=submitted milter:inet:[::1]:8891",
		"sign: milter:unix:/run/opendkim/opendkim.sock", ""}, "\n")})
	got, err := c.Filters()
	if err != nil {
		t.Fatal(err)
	}
	milter := MilterOptions{Connect: 10 * time.Second, End: 3 * time.Minute, Connections: 500}
	want := []Filter{
		{Name: "scan", Kind: FilterProgram, Path: "/opt/scan", Args: []string{"-a", "b c", "away=tag"}, Away: AwayAccept,
			For: ForOutside, Time: 20 * time.Second, Memory: 100000000, Where: "control/filters:2"},
		{Name: "spam", Kind: FilterMilter, Network: "tcp", Address: "127.0.0.1:11332", Away: AwayTag, For: ForAll,
			Time: time.Minute, Milter: MilterOptions{2 * time.Second, 4 * time.Minute, 7, "X-Spam", "Yes"}, Where: "control/filters:3"},
		{Name: "six", Kind: FilterMilter, Network: "tcp", Address: "[::1]:8891", Away: AwayTempfail, For: ForSubmitted,
			Time: time.Minute, Milter: milter, Where: "control/filters:4"},
		{Name: "sign", Kind: FilterMilter, Network: "unix", Address: "/run/opendkim/opendkim.sock", Away: AwayTempfail,
			For: ForAll, Time: time.Minute, Milter: milter, Where: "control/filters:5"},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// A filter that cannot be read cannot be passed by: mail waits until its row is mended,
// or for a day where not even its name can be read.
func TestBrokenFilter(t *testing.T) {
	for text, after := range map[string]bool{
		"scan: program:/bin/true\nspam: milter:\n": true,
		"scan: program:/bin/true\nspam milter\n":   false,
	} {
		c := newFixture(t, map[string]string{"filters": text})
		if _, err := c.Filters(); !IsBrokenRow(err) || !strings.Contains(err.Error(), "control/filters:2") {
			t.Errorf("%q: %v", text, err)
		}
		c.clock = c.clock.Add(25 * time.Hour)
		if list, err := c.Filters(); IsBrokenRow(err) != after || !after && len(list) != 1 {
			t.Errorf("%q a day later: %v %v", text, list, err)
		}
	}
}

// mailctl check says that a program or a socket is not there, also beside a broken row.
func TestCheckFilters(t *testing.T) {
	c := newFixture(t, map[string]string{"filters": "a: program:/bin/true\nb: away=tag milter:unix:/nowhere\nc: program:/nowhere/scan\nd\n"})
	var r Report
	c.checkFilters(&r)
	want := []string{"warning: control/filters:2: the milter b is away: there is no socket /nowhere (start it; until then away=tag holds)",
		"error: control/filters:3: stat /nowhere/scan: no such file or directory"}
	if d := cmp.Diff(want, said(r)); d != "" {
		t.Error(d)
	}
}

// A milter's own field makes a message junk.
func TestIsJunk(t *testing.T) {
	for _, c := range []struct {
		name, value, field, says string
		want                     bool
	}{
		{"X-Spam", "Yes", "x-spam", "YES, score=9", true},
		{"X-Spam", "Yes", "X-Spam", "  yes", true},
		{"X-Spam", "Yes", "X-Spam", "Ye", false},
		{"X-Spam", "Yes", "X-Spam", "No", false},
		{"X-Spam", "Yes", "X-Spam-Flag", "Yes", false},
		{"X-Spam-Level", "*****", "X-Spam-Level", "*******", true},
		{"X-Spam-Level", "*****", "X-Spam-Level", "****", false},
		{"X-Spam", "", "X-Spam", "anything", true},
		{"", "", "", "", false},
	} {
		m := MilterOptions{JunkName: c.name, JunkValue: c.value}
		if got := m.IsJunk(c.field, c.says); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
