package once_test

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce/intotest"
)

func TestIntoPostgreSQL(t *testing.T) { intotest.Run(t, startPostgreSQL(t).create) }

func TestIntoMariaDB(t *testing.T) { intotest.Run(t, startMariaDB(t).create) }
