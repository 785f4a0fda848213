package submit

import (
	"fmt"
	"path/filepath"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// delivered adds the rate of delivery to the figures of n messages, of which the last one came
// then.
func delivered(res *bench.Result, n int, x bench.Spawned, last time.Time) {
	res.Awaited = n
	res.Value, res.Figures = x.Figures()
	res.Figures["messages"] = float64(n)
	res.Figures["delivered/s"] = float64(n) / last.Sub(x.Began).Seconds()
}

// local measures a server that delivers to Maildirs.
func (c *comparison) local(m *mta.MTA, s bench.Spawner, command string, n int) (res bench.Result, err error) {
	s.Messages = filepath.Join(c.dir, fmt.Sprintf("messages%d", c.sent))
	ids, err := c.messages(s, n, func(i int) string { return fmt.Sprintf("u%d@%s", i%users, mta.Domain) })
	if err != nil {
		return res, err
	}
	arrivals, err := m.Boxes.Watch()
	if err != nil {
		return res, err
	}
	defer arrivals.Close()
	err = s.Run(c.spawner, []string{command}, func(x bench.Spawned) error {
		c.complain(m.Name, x)
		delivered(&res, n, x, arrivals.Await(n-x.Failed, patience))
		return nil
	})
	if err != nil {
		return res, err
	}
	return res, m.Boxes.Count(&res, ids, size)
}
