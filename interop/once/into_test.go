package once_test

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into/intotest"
)

func TestIntoPostgreSQL(t *testing.T) { intotest.Run(t, startPostgreSQL(t).create) }

func TestIntoMariaDB(t *testing.T) { intotest.Run(t, startMariaDB(t).create) }
