package check

import (
	"context"
	"fmt"
	"strings"

	"paperpath/internal/message"
	"paperpath/internal/visible"
)

// messageIDCheck wants a Message-ID by which a message can be told from others: one in
// angle brackets with an @, without blanks (RFC 5322 3.6.4; what stands at the sides of
// the @ is no concern, mail systems write too many things there).
type messageIDCheck struct{}

// Name implements Check.
func (messageIDCheck) Name() string { return "message-id" }

// Ask implements Check.
func (messageIDCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	id, ok := m.Header.First("Message-ID")
	if !ok {
		return Finding{Result: "none"}
	}
	said := visible.ASCII(id[:min(len(id), 100)])
	q.Trail.Add("Message-ID", said, "")
	if !isMessageID(strings.Trim(message.WithoutComments(id), " \t")) {
		return Finding{Fails: true, Reason: fmt.Sprintf("%q is no Message-ID", said)}
	}
	return Finding{}
}

// longestID is what a line leaves for it (RFC 5322 2.1.1).
const longestID = 998 - len("Message-ID: ")

func isMessageID(id string) bool {
	inside, ok := strings.CutPrefix(id, "<")
	inside, ended := strings.CutSuffix(inside, ">")
	left, right, at := strings.Cut(inside, "@")
	return ok && ended && at && left != "" && right != "" && len(id) <= longestID &&
		!strings.ContainsFunc(inside, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '<' || r == '>' })
}
