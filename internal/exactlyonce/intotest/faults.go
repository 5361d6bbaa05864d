package intotest

import (
	"context"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// errFault is the error of what fails on purpose.
var errFault = errors.New("the connection was lost")

// losing connects to a database whose commits fail now and then, before they are done or
// after.
type losing struct {
	driver.Connector
	mu     sync.Mutex
	random *rand.Rand
}

func (l *losing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := l.Connector.Connect(ctx)
	return &losingConn{conn, l}, err
}

type losingConn struct {
	driver.Conn
	*losing
}

func (c *losingConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
	return &losingTx{tx, c.losing}, err
}

type losingTx struct {
	driver.Tx
	*losing
}

func (t *losingTx) Commit() error {
	t.mu.Lock()
	fault := t.random.IntN(6)
	t.mu.Unlock()
	switch fault {
	case 0:
		return errors.Join(errFault, t.Rollback())
	case 1:
		return errors.Join(errFault, t.Tx.Commit())
	}
	return t.Tx.Commit()
}

// refusing connects to a database, unless it refuses to.
type refusing struct {
	driver.Connector
	refuses atomic.Bool
	refused atomic.Int64
}

func (r *refusing) Connect(ctx context.Context) (driver.Conn, error) {
	if r.refuses.Load() {
		r.refused.Add(1)
		return nil, errFault
	}
	return r.Connector.Connect(ctx)
}
