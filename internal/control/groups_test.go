package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/control/machinetest"
)

// The machine says which groups a process of a user has, whatever was asked for.
func TestGroups(t *testing.T) {
	machinetest.Users(t, somebody, "staff:x:50:bob\nroot:x:0:bob\nbob:x:1001:\nproject:x:2000:bob,carol\nshadow:x:42:\n")
	g := newFixture(t, nil).Groups()
	for _, tt := range []struct {
		uid, gid int
		account  string
		want     string
	}{
		{1001, 1001, "bob", "[1001 50 2000]"}, {1001, 2000, "bob", "[2000 50]"},
		{1001, 1001, "", "[1001]"}, {1001, 50, "", "[50]"}, {7777, 7777, "", "[7777]"},
		{1001, 42, "bob", "account bob is not in group 42"}, {1001, 42, "", "account bob is not in group 42"},
		{7777, 42, "", "uid 7777 has no account, so it is not in group 42"},
		{1003, 1003, "bob", "account bob has uid 1001, not 1003"}, {1001, 1001, "nosuch", "getent knows no account nosuch"},
		{1001, 1001, "-s", "no name of an account"}, {1001, 1001, "1001", "no name of an account"},
	} {
		for range 2 {
			groups, err := g.Of(tt.uid, tt.gid, tt.account)
			if err == nil && fmt.Sprint(groups) != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %v %v", tt, groups, err)
			}
		}
	}
}

// A row of control/users with the group of the account needs no more than that: the name may be
// one that nobody can ask for, as those of a domain are.
func TestGroupsOfAnOddName(t *testing.T) {
	machinetest.Users(t, "DOM\\bob:x:1001:1001::/home/bob:\n", "staff:x:50:\n")
	g := newFixture(t, nil).Groups()
	if groups, err := g.Of(1001, 1001, ""); err != nil || fmt.Sprint(groups) != "[1001]" {
		t.Errorf("%v %v", groups, err)
	}
	if groups, err := g.Of(1001, 50, ""); err == nil {
		t.Error(groups)
	}
}

// The answer is remembered for a while, a failure never, and nothing runs with fewer groups
// because a directory is away. The getent of musl has no initgroups.
func TestGroupsInTrouble(t *testing.T) {
	f := newFixture(t, nil)
	f.getent = filepath.Join(f.home, "getent")
	script := func(initgroups string) {
		text := "#!/bin/sh\necho asked >>" + f.home + "/log\ncase $1 in\npasswd) echo bob:x:1001:1001::/home/bob: ;;\n" +
			"group) echo 'staff:x:50:alice,bob'; echo 'other:x:51:bobby' ;;\ninitgroups) " + initgroups + " ;;\nesac\n"
		if err := os.WriteFile(f.getent, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for answer, want := range map[string]string{
		"exit 2": "exit status 2", "exit 3": "exit status 3", "kill -9 $$": "killed", "echo alice 5": "somebody else",
		"echo bob x": "gid", "true": "somebody else", "echo bob 60 61": "[1001 60 61]", "echo bob": "[1001]", "exit 1": "[1001 50]",
	} {
		script(answer)
		groups, err := f.Groups().Of(1001, 1001, "bob")
		if err == nil && fmt.Sprint(groups) != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", answer, groups, err)
		}
	}
	asked := func() int {
		text, _ := os.ReadFile(filepath.Join(f.home, "log"))
		return strings.Count(string(text), "asked")
	}
	g := f.Groups()
	script("exit 3")
	if _, err := g.Of(1001, 1001, "bob"); err == nil {
		t.Error("a failure was taken for an answer")
	}
	script("echo bob 60")
	if groups, err := g.Of(1001, 1001, "bob"); err != nil || len(groups) != 2 {
		t.Error(groups, err)
	}
	before := asked()
	for range 100 {
		if groups, err := g.Of(1001, 1001, "bob"); err != nil || len(groups) != 2 {
			t.Fatal(groups, err)
		}
	}
	if asked() != before {
		t.Error("it is asked for every message")
	}
}
