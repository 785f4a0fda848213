package relay

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// explainNear returns what becomes of mail for a target that is no host. The error says
// that the socket or the program cannot be used now.
func (r *Relay) explainNear(d destination, to control.RouteTarget) (outcome string, err error) {
	switch to.Kind {
	case control.ToHold:
		return "hold (" + d.route.Where + ")", nil
	case control.ToLocal:
		return "local (" + d.route.Where + "): mailroute delivers it", nil
	case control.ToError:
		return "", d.route.Refusal()
	}
	info, err := os.Stat(to.Path)
	switch {
	case err != nil:
	case to.Kind == control.ToLMTP && info.Mode().Type() != os.ModeSocket:
		err = errors.New("is not a socket")
	case to.Kind == control.ToProgram && !info.Mode().IsRegular():
		err = errors.New("is not a program")
	case to.Kind == control.ToProgram:
		err = unix.Access(to.Path, unix.X_OK)
	}
	if err != nil {
		var of *os.PathError
		if errors.As(err, &of) {
			err = of.Err
		}
		return "", status.Ours("4.3.5", "", fmt.Sprintf("%s: %s: %v", d.route.Where, to.Path, err), err)
	}
	return "relay to " + to.String(), nil
}
