package home

import (
	"errors"
	"fmt"

	"paperpath/internal/sandbox"
)

// Confine puts the program behind its walls, once it has opened what it must open before. Where
// that cannot be, file permissions alone confine it, and an event of those that stay says so.
func (h *Home) Confine(stays bool) error {
	walls, ok := sandbox.Of(h.Name)
	if !ok {
		return nil
	}
	wanted, err := h.Control.Landlock()
	if err != nil {
		return err
	}
	if !wanted {
		return nil
	}
	programs := h.Control.NamesPrograms()
	if programs { // whatever they need
		walls.Connects, walls.Binds, walls.Executes = true, true, true
	}
	dir := walls.Beside(h.Dir)
	switch {
	case h.Control.UsersProgram():
		err = errors.New("control/users names a program, which may need a set-user-ID program")
	case programs && dir != "":
		err = fmt.Errorf("the settings name a program, which may need files that are made in %s later", dir)
	default:
		err = sandbox.Raise(walls, h.Dir)
	}
	if err != nil && stays {
		h.Log.Unconfined(err.Error())
	}
	return nil
}
