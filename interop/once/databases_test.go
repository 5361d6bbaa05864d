package once_test

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// database is a server of a database, which this test program has started.
type database struct {
	// create makes an empty database, and returns what connects to it: as the user who
	// may do everything.
	create func(testing.TB) driver.Connector
	// url makes an empty database, and returns where it is, as open takes it.
	url func(testing.TB) string
}

var created atomic.Int64

// program returns the path of a program, or skips the test. In CI it fails.
func program(t testing.TB, name string, folders ...string) string {
	t.Helper()
	for _, pattern := range folders {
		found, _ := filepath.Glob(filepath.Join(pattern, name))
		if len(found) > 0 {
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// startPostgreSQL starts a server with a folder of its own, at a socket in it.
func startPostgreSQL(t testing.TB) database {
	t.Helper()
	dir := folder(t, "postgres")
	bin := filepath.Dir(program(t, "initdb", "/usr/lib/postgresql/*/bin"))
	run(t, "postgres", filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "--no-sync")
	serve(t, "postgres", syscall.SIGINT, filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	source := func(name string) string { return fmt.Sprintf("host=%s user=postgres dbname=%s", dir, name) }
	connector := func(name string) driver.Connector {
		config, err := pgx.ParseConfig(source(name))
		if err != nil {
			t.Fatal(err)
		}
		return stdlib.GetConnector(*config)
	}
	ready(t, connector("postgres"))
	create := func(t testing.TB) string {
		name := fmt.Sprint("once", created.Add(1))
		execute(t, connector("postgres"), "CREATE DATABASE "+name)
		return name
	}
	return database{
		create: func(t testing.TB) driver.Connector { return connector(create(t)) },
		url:    func(t testing.TB) string { return "pgx " + source(create(t)) },
	}
}

// startMariaDB starts a server with a folder of its own, at a socket in it.
func startMariaDB(t testing.TB) database {
	t.Helper()
	server := program(t, "mariadbd", "/usr/sbin")
	install := program(t, "mariadb-install-db", "/usr/bin")
	dir := folder(t, "mysql")
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	run(t, "mysql", install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	serve(t, "mysql", syscall.SIGTERM, server, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=2", "--innodb-lock-wait-timeout=20")
	config := func(name string) *mysql.Config {
		config := mysql.NewConfig()
		config.User, config.Net, config.Addr, config.DBName = "root", "unix", socket, name
		return config
	}
	connector := func(name string) driver.Connector {
		config := config(name)
		config.Logger = &mysql.NopLogger{}
		connector, err := mysql.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		return connector
	}
	ready(t, connector(""))
	create := func(t testing.TB) string {
		name := fmt.Sprint("once", created.Add(1))
		execute(t, connector(""), "CREATE DATABASE "+name)
		return name
	}
	return database{
		create: func(t testing.TB) driver.Connector { return connector(create(t)) },
		url:    func(t testing.TB) string { return "mysql " + config(create(t)).FormatDSN() },
	}
}

// folder makes a folder for a server. Its path is short, because that of a socket is
// bounded, and it belongs to the user who runs the server.
func folder(t testing.TB, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "once")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if account := credential(owner); account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// credential returns who runs a server if this is root, whom PostgreSQL does not serve.
func credential(owner string) *syscall.Credential {
	account, err := user.Lookup(owner)
	if os.Getuid() != 0 || err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func command(t testing.TB, owner, name string, args ...string) *exec.Cmd {
	command := exec.Command(name, args...)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: credential(owner)}
	return command
}

func run(t testing.TB, owner, name string, args ...string) {
	t.Helper()
	if out, err := command(t, owner, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// serve runs a server until the test ends.
func serve(t testing.TB, owner string, stop syscall.Signal, name string, args ...string) {
	t.Helper()
	server := command(t, owner, name, args...)
	var out bytes.Buffer
	server.Stdout, server.Stderr = &out, &out
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(stop)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, out.String())
		}
	})
}

// ready waits until a server answers.
func ready(t testing.TB, connector driver.Connector) {
	t.Helper()
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := db.PingContext(t.Context())
		if err == nil {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Fatal(err)
		}
	}
}

func execute(t testing.TB, connector driver.Connector, statement string) {
	t.Helper()
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
