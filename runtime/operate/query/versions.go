package query

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// versions reads the versions that a SQLite log keeps, by the numbers that its events have.
// An event without one has the version that is assumed.
func (db *DB) versions(ctx context.Context) (versions []namedVersion, err error) {
	rows, err := db.conn.QueryContext(ctx, `SELECT number, name, name, version, files FROM main.schemas
		UNION ALL
		SELECT 0, assumed_schemas.schema, name, version, files FROM main.assumed_schemas JOIN main.schemas USING (number)`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kept namedVersion
		var files []byte
		schema := eventlog.Schema{Files: &descriptorpb.FileDescriptorSet{}}
		if err := rows.Scan(&kept.number, &kept.schema, &schema.Name, &schema.Version, &files); err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(files, schema.Files); err != nil {
			kept.unreadable = fmt.Errorf("version %s of the schema of %s can't be read: %w", schema.Version, kept.schema, err)
		} else {
			kept.message, kept.unreadable = schema.Descriptor()
		}
		versions = append(versions, kept)
	}
	return versions, rows.Err()
}
