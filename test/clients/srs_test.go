package clients

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/srs"
	"paperpath/test/harness"
)

// perlSRS answers a question a line with Mail::SRS: `f SENDER DOMAIN` or `r ADDRESS`.
const perlSRS = `
use Mail::SRS qw(:all); $| = 1;
my $srs = Mail::SRS->new(Secret => ["oracle secret"], MaxAge => 21, HashLength => 4, HashMin => 4, Separator => "=");
while (<STDIN>) {
	chomp; my ($what, $x, $y) = split / /;
	my $r = eval { $what eq "f" ? $srs->forward($x, $y) : $srs->reverse($x) };
	print defined $r ? "$r\n" : "!\n";
}`

// TestSRS: what we make, Debian's Mail::SRS makes and believes, and the other way round.
func TestSRS(t *testing.T) {
	if exec.Command("perl", "-MMail::SRS", "-e", "1").Run() != nil {
		if harness.Missing("Mail::SRS (Debian's libmail-srs-perl)") {
			t.Fatal("no Mail::SRS")
		}
		t.Skip("no Mail::SRS")
	}
	cmd := exec.Command("perl", "-e", perlSRS)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	lines := bufio.NewScanner(out)
	ask := func(format string, args ...any) string {
		fmt.Fprintf(in, format+"\n", args...)
		if !lines.Scan() {
			t.Fatal("Mail::SRS is gone")
		}
		return lines.Text()
	}
	s := srs.Scheme{Secrets: []string{"oracle secret"}, Now: time.Now()}
	for _, sender := range []string{"alice@example.org", "Bob+x@Example.ORG", "a=b=c@example.org", "x-y@a-b.example",
		"SRS0=AbCd=XY=orig.example=who@first.example", "SRS0+AbCd-XY=orig.example=who@first.example",
		"srs0-abcd=xy=orig.example=who@first.example", "SRS1=AbCd=first.example==zzzz=XY=o.example=who@second.example",
		"SRS1-AbCd=first.example=+zzzz=XY=o.example=who@second.example"} {
		a, err := addr.Parse(sender)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := s.Forward(a, "fwd.example")
		theirs := ask("f %s fwd.example", sender)
		if err != nil || ours.String() != theirs {
			t.Errorf("%s: ours %s (%v), theirs %s", sender, ours, err, theirs)
		}
		back, err := s.Back(ours)
		if is := ask("r %s", ours); err != nil || is != back.String() {
			t.Errorf("%s back: ours %s (%v), theirs %s", ours, back, err, is)
		}
		wrong := "a"
		if strings.EqualFold(ours.Local[5:6], wrong) {
			wrong = "b"
		}
		broken := ours.Local[:5] + wrong + ours.Local[6:] + "@fwd.example"
		if a, err := addr.Parse(broken); err == nil {
			_, err = s.Back(a)
			if is := ask("r %s", broken); err == nil || is != "!" {
				t.Errorf("%s was believed: %v, %s", broken, err, is)
			}
		}
	}
}
