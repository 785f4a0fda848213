package control

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"time"
)

// secretTime is how long the command of a login may take: it may have to ask for a token
// over the network.
const secretTime = 30 * time.Second

// Secret returns the password or token: what the file says, or the first line that the
// command prints. No error quotes the command's output.
func (l *RelayLogin) Secret(ctx context.Context) (Secret, error) {
	if l.Command == nil {
		return l.Password, nil
	}
	how := running{limit: secretTime}
	if me, err := user.Current(); err == nil {
		how.env = []string{"HOME=" + me.HomeDir, "USER=" + me.Username, "LOGNAME=" + me.Username}
	}
	out, exit, err := l.Command.run(ctx, how, nil)
	line, _, _ := strings.Cut(string(out), "\n")
	line = strings.TrimSuffix(line, "\r")
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%s: stopped", l.Command[0])
	case err == nil && exit != 0:
		err = fmt.Errorf("%s ended with exit status %d", l.Command[0], exit)
	case err == nil && line == "":
		err = fmt.Errorf("%s printed nothing in its first line", l.Command[0])
	case err == nil && strings.ContainsFunc(line, isControl):
		err = fmt.Errorf("the first line that %s printed has control characters", l.Command[0])
	}
	if err != nil {
		return "", broken(fmt.Errorf("%s: command: %w", l.Where, err))
	}
	return Secret(line), nil
}
