package maillog

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Client is the peer of a session. Empty fields are left out of the line.
type Client struct {
	Addr  string // IP address, or "stdin", or "unix"
	Helo  string // as the client gave it
	Login string // authenticated user
	TLS   string // version and cipher, as TLS makes it
	UID   string // uid of a local submitter
}

// TLS returns version and cipher of a connection as logs and Received fields show
// them, "TLS1.3 TLS_AES_128_GCM_SHA256".
func TLS(s *tls.ConnectionState) string {
	return strings.ReplaceAll(tls.VersionName(s.Version), " ", "") + " " + tls.CipherSuiteName(s.CipherSuite)
}

func (c Client) attrs() []slog.Attr {
	a := appendIf(nil, "client", c.Addr)
	a = appendIf(a, "helo", c.Helo)
	a = appendIf(a, "login", c.Login)
	a = appendIf(a, "tls", c.TLS)
	return appendIf(a, "uid", c.UID)
}

func appendIf(a []slog.Attr, name, value string) []slog.Attr {
	if value == "" {
		return a
	}
	return append(a, slog.String(name, value))
}

// Message is a message that was accepted.
type Message struct {
	Key, Inbox, From string
	To               []string
	Size             int64  // octets as stored
	With             string // protocol
	ID               string // its Message-ID; may be empty
}

// Accepted: a message is durable in the inbox and was acknowledged.
func (l *Log) Accepted(m Message, c Client) {
	a := []slog.Attr{slog.String("inbox", m.Inbox), slog.String("from", m.From),
		slog.String("to", strings.Join(m.To, " ")), slog.Int64("size", m.Size), slog.String("with", m.With)}
	l.event("accepted", m.Key, append(appendIf(a, "msgid", m.ID), c.attrs()...)...)
}

// Refused: a message, a recipient or a command was refused. reply is what the peer got, and
// reason what it was not told, or "".
func (l *Log) Refused(from, to, reply, reason string, c Client) {
	a := []slog.Attr{slog.String("from", from), slog.String("to", to), slog.String("reply", reply)}
	l.event("refused", NoKey, append(appendIf(a, "reason", reason), c.attrs()...)...)
}

// Limited: a limit of control/limits, control/rates or control/concurrency refused
// something, or began to slow it down. limit is its name there.
func (l *Log) Limited(limit string, c Client) {
	l.event("limited", NoKey, append([]slog.Attr{slog.String("limit", limit)}, c.attrs()...)...)
}

// Login: a user proved who they are.
func (l *Log) Login(mechanism string, c Client) {
	l.event("login", NoKey, append([]slog.Attr{slog.String("mech", mechanism)}, c.attrs()...)...)
}

// LoginFailed: somebody tried to log in and failed. c.Login is the name given.
func (l *Log) LoginFailed(mechanism, why string, c Client) {
	a := []slog.Attr{slog.String("mech", mechanism), slog.String("why", why)}
	l.event("login-failed", NoKey, append(a, c.attrs()...)...)
}

// Disconnected: a session ended; messages counts what it accepted or fetched.
func (l *Log) Disconnected(why string, messages int, c Client) {
	a := []slog.Attr{slog.String("why", why), slog.Int("messages", messages)}
	l.event("disconnected", NoKey, append(a, c.attrs()...)...)
}

// Fetched: a POP3 session on a mailbox ended. complete says whether QUIT was carried out.
func (l *Log) Fetched(mailbox string, retrieved, deleted int, octets int64, complete bool, c Client) {
	a := []slog.Attr{slog.String("mailbox", mailbox), slog.Int("retrieved", retrieved),
		slog.Int("deleted", deleted), slog.Int64("octets", octets), slog.Bool("quit", complete)}
	l.event("fetched", NoKey, append(a, c.attrs()...)...)
}

// Expired: messages that POP3 clients had deleted were removed from the trash, after
// the time in control/undelete.
func (l *Log) Expired(mailbox string, messages int) {
	l.event("expired", NoKey, slog.String("mailbox", mailbox), slog.Int("messages", messages))
}

// Verdict is what the checks of a message found.
type Verdict struct {
	Action string // accept, tag, junk, hold, defer, refuse or discard
	Check  string // the check that decided; may be empty
	Reason string // may be empty
	From   string
	Checks []CheckResult
}

// CheckResult is what one check found.
type CheckResult struct {
	Name, Result string
	Action       string // that it wants; may be empty
	Reason       string // may be empty
	Took         time.Duration
}

// String is the result for people: `spf=fail tag 12.345ms (why)`.
func (r CheckResult) String() string {
	text := r.Name + "=" + r.Result
	if r.Action != "" {
		text += " " + r.Action
	}
	text += fmt.Sprintf(" %.3fms", float64(r.Took.Microseconds())/1000)
	if r.Reason != "" {
		text += " (" + visible.Shorten(r.Reason, maxCheckReason) + ")"
	}
	return text
}

// maxCheckReason bounds what one check may say in the event, in octets.
const maxCheckReason = 200

// Checked: a message was checked. It has a key where it was accepted.
func (l *Log) Checked(key string, v Verdict, c Client) {
	if key == "" {
		key = NoKey
	}
	a := appendIf([]slog.Attr{slog.String("verdict", v.Action)}, "check", v.Check)
	a = appendIf(a, "reason", v.Reason)
	a = append(a, slog.String("from", v.From))
	var checks []string
	for _, r := range v.Checks {
		checks = append(checks, r.String())
	}
	a = append(a, slog.String("checks", strings.Join(checks, "; ")))
	l.event("checked", key, append(a, c.attrs()...)...)
}

// FilterAway: a filter of control/filters gave no answer. does is what its row says of
// that: tempfail, accept or tag.
func (l *Log) FilterAway(key, filter, does, why string) {
	l.event("filter-away", key, slog.String("filter", filter), slog.String("does", does), slog.String("why", why))
}

// FilterChanged: a filter changed a message.
func (l *Log) FilterChanged(key, filter, what string) {
	l.event("filter-changed", key, slog.String("filter", filter), slog.String("what", what))
}

// FilterIgnored: a filter wanted a change that was not made.
func (l *Log) FilterIgnored(key, filter, what string) {
	l.event("filter-ignored", key, slog.String("filter", filter), slog.String("what", what))
}

// Routed: an entry was handed on to another inbox unchanged.
func (l *Log) Routed(key, inbox string, to []string) {
	l.event("routed", key, slog.String("inbox", inbox), slog.String("to", strings.Join(to, " ")))
}

// Split: an entry made a child for some of its recipients, in another inbox.
func (l *Log) Split(key, child, inbox string, to []string) {
	l.event("split", key, slog.String("child", child), slog.String("inbox", inbox),
		slog.String("to", strings.Join(to, " ")))
}

// NotRewritten: forwarded mail keeps its reverse path, though control/srs-secrets would give
// it one of ours.
func (l *Log) NotRewritten(key, from, why string) {
	l.event("not-rewritten", key, slog.String("from", from), slog.String("why", why))
}

// Delivered: the message is in a mailbox. how is rename or copy.
func (l *Log) Delivered(key, to, mailbox, how string) {
	l.soon("delivered", key, slog.String("to", to), slog.String("mailbox", mailbox), slog.String("how", how))
}

// Program: a program that the rules of a recipient name, or an alias, has ended. result is its
// exit status, or why it was ended; output is the beginning of what it wrote.
func (l *Log) Program(key, to, command, result, output string) {
	a := []slog.Attr{slog.String("to", to), slog.String("command", visible.Shorten(command, 200)), slog.String("result", result)}
	l.event("program", key, appendIf(a, "output", output)...)
}

// Repeated: an entry left by a crash was dropped, since its work was already done.
func (l *Log) Repeated(key, where string) {
	l.event("repeated", key, slog.String("where", where))
}

// Promoted: a complete message that a crash left in tmp/ of the inbox became an entry.
func (l *Log) Promoted(key, inbox string) { l.event("promoted", key, slog.String("inbox", inbox)) }

// Rekeyed: a message in a mailbox had the key of an earlier one and got the key fresh.
func (l *Log) Rekeyed(key, fresh, mailbox string) {
	l.event("rekeyed", key, slog.String("fresh", fresh), slog.String("mailbox", mailbox))
}

// Remote is a host that mail went to. Empty fields are left out of the line.
type Remote struct {
	Host, Addr string
	TLS        string // version and cipher, as TLS makes it
	Verified   string // whether the certificate proves the host's name: "yes" or "no"
	Rule       string // the TLS rule of the session, and where it comes from
	Signed     string // the domain and the selectors that signed the message
}

// attrs is how a session with the host is protected.
func (r Remote) attrs() []slog.Attr {
	a := []slog.Attr{slog.String("host", r.Host), slog.String("addr", r.Addr)}
	a = appendIf(a, "tls", r.TLS)
	a = appendIf(a, "verified", r.Verified)
	return appendIf(a, "rule", r.Rule)
}

// Relayed: a remote host took responsibility for a recipient. reply is its whole
// reply.
func (l *Log) Relayed(key, to string, r Remote, reply string) {
	a := append([]slog.Attr{slog.String("to", to)}, r.attrs()...)
	a = appendIf(a, "signed", r.Signed)
	l.event("relayed", key, append(a, slog.String("reply", reply))...)
}

// RelayLogin: a session logged in at a host.
func (l *Log) RelayLogin(key string, r Remote, user, mechanism string) {
	a := []slog.Attr{slog.String("host", r.Host), slog.String("addr", r.Addr)}
	a = appendIf(appendIf(a, "tls", r.TLS), "user", user)
	l.event("relay-login", key, append(a, slog.String("mech", mechanism))...)
}

// RelayLoginFailed: a session could not log in at a host, for which mail now waits. why
// has the host's words; mechanism is empty if none was begun.
func (l *Log) RelayLoginFailed(key string, r Remote, user, mechanism, why string) {
	a := []slog.Attr{slog.String("host", r.Host), slog.String("addr", r.Addr)}
	a = appendIf(appendIf(appendIf(a, "tls", r.TLS), "user", user), "mech", mechanism)
	l.event("relay-login-failed", key, append(a, slog.String("why", why))...)
}

// Untrusted: a host was not used, since it does not meet the TLS rule.
func (l *Log) Untrusted(key string, r Remote, reason string) {
	l.event("untrusted", key, append(r.attrs(), slog.String("reason", reason))...)
}

// Forgot: a host is not held to the TLS that it had any more.
func (l *Log) Forgot(host, reason string) {
	l.event("forgot", NoKey, slog.String("host", host), slog.String("reason", reason))
}

// Deferred: the next attempt for the entry is due at due.
func (l *Log) Deferred(key, inbox string, due time.Time, reason string) {
	l.event("deferred", key, slog.String("inbox", inbox),
		slog.String("due", due.UTC().Format(time.RFC3339)), slog.String("reason", reason))
}

// Failed: a recipient failed for good.
func (l *Log) Failed(key, to, status, reason string) {
	l.event("failed", key, slog.String("to", to), slog.String("status", status), slog.String("reason", reason))
}

// Bounced: a report of failure about an entry was sent to its sender, as a new entry.
func (l *Log) Bounced(key, bounce, to string) {
	l.event("bounced", key, slog.String("bounce", bounce), slog.String("to", to))
}

// Reported: a report that the sender of an entry had asked for was sent as a new entry.
// what says whether recipients were delivered, relayed or delayed.
func (l *Log) Reported(key, report, what, to string) {
	l.event("reported", key, slog.String("report", report), slog.String("what", what), slog.String("to", to))
}

// Held: the entry is in hold/ until somebody decides about it.
func (l *Log) Held(key, inbox, reason string) {
	l.event("held", key, slog.String("inbox", inbox), slog.String("reason", reason))
}

// Digest: a list of the held entries was sent to the postmaster, as a new entry.
func (l *Log) Digest(key, to string, held int) {
	l.event("digest", key, slog.String("to", to), slog.Int("held", held))
}

// Cut: octets of the text of a held entry were removed, since hold/ was full.
func (l *Log) Cut(key, inbox string, octets int64, why string) {
	l.event("cut", key, slog.String("inbox", inbox), slog.Int64("octets", octets), slog.String("why", why))
}

// Dropped: the entry left the spool, and no other event says where to.
func (l *Log) Dropped(key, inbox, why string) {
	l.event("dropped", key, slog.String("inbox", inbox), slog.String("why", why))
}

// Ran: a run over an inbox ended.
func (l *Log) Ran(inbox string, done, deferred int) {
	l.event("ran", NoKey, slog.String("inbox", inbox), slog.Int("done", done), slog.Int("deferred", deferred))
}

// Busy: another runner works on the inbox, so this one ended at once.
func (l *Log) Busy(inbox string) {
	l.event("busy", NoKey, slog.String("inbox", inbox))
}

// Watching: a runner watches its inbox.
func (l *Log) Watching(inbox string) {
	l.event("watching", NoKey, slog.String("inbox", inbox))
}

// Listening: a server accepts connections.
func (l *Log) Listening(addr string) {
	l.event("listening", NoKey, slog.String("addr", addr))
}

// Unconfined: Landlock does not confine a program.
func (l *Log) Unconfined(reason string) { l.event("unconfined", NoKey, slog.String("reason", reason)) }

// Reloaded: a long-running program read its start-up settings again.
func (l *Log) Reloaded() { l.event("reloaded", NoKey) }

// Started: mailctl start runs a service.
func (l *Log) Started(service string, pid int) {
	l.event("started", NoKey, slog.String("service", service), slog.Int("pid", pid))
}

// Exited: a service of mailctl start ended. how is its exit status or signal.
func (l *Log) Exited(service string, pid int, how string) {
	l.event("exited", NoKey, slog.String("service", service), slog.Int("pid", pid), slog.String("how", how))
}

// ClockMoved: since the last look the wall clock gained ahead over the boot clock;
// nothing is removed because of its age during wait.
func (l *Log) ClockMoved(ahead, wait time.Duration) {
	l.event("clock-moved", NoKey, slog.Duration("ahead", ahead), slog.Duration("wait", wait))
}

// ListUseless: the answers of a list of addresses in the DNS mean nothing, so it is not
// asked for its opinion.
func (l *Log) ListUseless(zone, why string) {
	l.event("list-useless", NoKey, slog.String("zone", zone), slog.String("why", why))
}

// Trouble: something of our own failed, and what depended on it will be tried again. For
// a panic the event has the stack.
func (l *Log) Trouble(key, op string, err error) {
	a := []slog.Attr{slog.String("op", op), slog.String("error", err.Error())}
	l.event("trouble", key, appendIf(a, "stack", status.Stack(err))...)
}

// lostLine is the event lost: that many events could not be written before the one that
// follows.
func (l *Log) lostLine(events int64) []byte {
	return l.line("lost", NoKey, slog.Int64("events", events))
}
