package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// untilStride is how far the column until of a schema runs ahead of its events. To store
// the position of the last one would be a change of that row with each transaction; so it
// is one with so many events.
const untilStride = 4096

// insertSchema is the statement that keeps a schema.
const insertSchema = "INSERT INTO schemas (name, version, files, assumed, until) VALUES (?, ?, ?, ?, 0)"

// schemaValues returns the values of insertSchema.
func schemaValues(schema eventlog.Schema) ([]driver.Value, error) {
	files, err := proto.MarshalOptions{Deterministic: true}.Marshal(schema.Files)
	if err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", schema.Name, err)
	}
	return []driver.Value{schema.Name, schema.Version, files, schema.Assumed}, nil
}

// keptVersion is a version of a schema as the file has it.
type keptVersion struct {
	number driver.Value      // an int64
	until  eventlog.Position // no event after it has the version
}

// keepSchemas sets the numbers of the schemas in rows that are about to be inserted, and
// first keeps those that the file does not have.
func (w *writer) keepSchemas(rows []*entry) (err error) {
	for i, entry := range rows {
		entry.kept = nil
		if entry.version == "" {
			entry.row[versionColumn] = int64(0)
			continue
		}
		if i > 0 && entry.version == rows[i-1].version { // as a rule
			entry.kept = rows[i-1].kept
		} else if entry.kept = w.versions[entry.version]; entry.kept == nil {
			if entry.kept, err = w.keepSchema(entry.version); err != nil {
				return err
			}
			w.versions[entry.version] = entry.kept
		}
		entry.row[versionColumn] = entry.kept.number
	}
	return nil
}

// keepSchema finds a version in the file, and adds it if it is not there.
func (w *writer) keepSchema(version string) (*keptVersion, error) {
	row, err := w.first(w.findSchema, version)
	if err != nil {
		return nil, err
	}
	if row != nil {
		return &keptVersion{row[0], eventlog.Position(row[1].(int64))}, nil
	}
	schema, found := eventlog.FindSchema(version)
	if !found {
		return nil, fmt.Errorf("version %s of a schema is not known any longer", version)
	}
	values, err := schemaValues(schema)
	if err != nil {
		return nil, err
	}
	result, err := w.addSchema.ExecContext(context.Background(), arguments(values))
	if err != nil {
		return nil, err
	}
	number, err := result.LastInsertId()
	return &keptVersion{number: number}, err
}

// extendSchemas records that the schemas of rows have events up to the positions of these.
func (w *writer) extendSchemas(rows []*entry) error {
	for _, entry := range rows {
		if kept := entry.kept; kept != nil && entry.position > kept.until {
			kept.until = entry.position + untilStride
			if err := w.exec(w.extendSchema, int64(kept.until), kept.number); err != nil {
				return err
			}
		}
	}
	return nil
}

// assumeSchemas keeps, for events that were stored before schemas were, what this program
// knows of their messages: once for each message, by the first program that knows it.
func assumeSchemas(ctx context.Context, conn *sql.Conn) error {
	until := map[string]int64{}
	rows, err := conn.QueryContext(ctx, "SELECT schema, until FROM assumed_schemas WHERE number IS NULL")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var last int64
		if err := rows.Scan(&name, &last); err != nil {
			return err
		}
		until[name] = last
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for name, last := range until {
		kind, found := eventlog.FindMessage(name)
		if !found {
			continue
		}
		schema := eventlog.SchemaOf(kind.Descriptor())
		values, err := schemaValues(schema)
		if err != nil {
			return err
		}
		for _, change := range []struct {
			statement string
			values    []any
		}{
			{insertSchema + " ON CONFLICT DO NOTHING", []any{values[0], values[1], values[2], values[3]}},
			{"UPDATE schemas SET assumed = 1, until = max(until, ?) WHERE version = ?", []any{last, schema.Version}},
			{"UPDATE assumed_schemas SET number = (SELECT number FROM schemas WHERE version = ?) WHERE schema = ?", []any{schema.Version, name}},
		} {
			if _, err := conn.ExecContext(ctx, change.statement, change.values...); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptSchemas are the schemas of a file as readers have read them, which is when they meet
// one that they don't know.
type keptSchemas struct {
	mu       sync.RWMutex
	isRead   bool
	versions map[string]string        // by their numbers
	assumed  map[string]assumedSchema // by the names of messages
}

// assumedSchema is the version that events have which were stored without one.
type assumedSchema struct {
	version string
	until   eventlog.Position // the last of them
}

// findVersion sets the version of an event that was read, which has the number of it.
func (r *reader) findVersion(ctx context.Context, record *eventlog.Record) error {
	if r.schemas.setVersion(record) {
		return nil
	}
	if err := r.readSchemas(ctx); err != nil {
		return err
	}
	record.Version = r.schemas.orMissing(record.Version, record)
	return nil
}

// setVersion does what findVersion does, if the schemas with that number are known.
func (s *keptSchemas) setVersion(record *eventlog.Record) (known bool) {
	if record.Erased {
		record.Version = ""
		return true
	}
	version, known := s.version(record.Version, record)
	if known {
		record.Version = version
	}
	return known
}

// orMissing returns what version does, after all schemas were read. If there is none with
// the number, that is not looked for again.
func (s *keptSchemas) orMissing(number string, record *eventlog.Record) string {
	version, known := s.version(number, record)
	if !known {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.versions[number] = ""
	}
	return version
}

// version returns the version with a number, or the one that is assumed if that is 0.
func (s *keptSchemas) version(number string, record *eventlog.Record) (version string, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if number != "0" {
		version, known = s.versions[number]
		return version, known
	}
	if assumed := s.assumed[record.Schema]; record.Position <= assumed.until {
		version = assumed.version
	}
	return version, s.isRead
}

// readSchemas reads all schemas of the file.
func (r *reader) readSchemas(ctx context.Context) error {
	versions, assumed := map[string]string{}, map[string]assumedSchema{}
	err := r.eachSchema(ctx, "true", func(number int64, schema eventlog.Schema) {
		eventlog.RegisterSchema(schema)
		versions[strconv.FormatInt(number, 10)] = schema.Version
	})
	if err != nil {
		return err
	}
	rows, err := r.QueryContext(ctx, "SELECT schema, until, number FROM assumed_schemas WHERE number IS NOT NULL")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, number string
		var until eventlog.Position
		if err := rows.Scan(&name, &until, &number); err != nil {
			return err
		}
		assumed[name] = assumedSchema{versions[number], until}
	}
	r.schemas.mu.Lock()
	defer r.schemas.mu.Unlock()
	r.schemas.versions, r.schemas.assumed, r.schemas.isRead = versions, assumed, true
	return rows.Err()
}

// eachSchema calls do with the schemas for which a condition is true, in their order.
func (r *reader) eachSchema(ctx context.Context, condition string, do func(number int64, schema eventlog.Schema)) error {
	rows, err := r.QueryContext(ctx, "SELECT number, name, version, files, assumed FROM schemas WHERE "+condition+" ORDER BY name, number")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var files []byte
		schema := eventlog.Schema{Files: &descriptorpb.FileDescriptorSet{}}
		if err := rows.Scan(&number, &schema.Name, &schema.Version, &files, &schema.Assumed); err != nil {
			return err
		}
		if err := proto.Unmarshal(files, schema.Files); err != nil {
			return fmt.Errorf("version %s of the schema of %s: %w", schema.Version, schema.Name, err)
		}
		do(number, schema)
	}
	return rows.Err()
}

// Schemas implements [eventlog.SchemaLog].
func (l *fileLog) Schemas(ctx context.Context) (schemas []eventlog.Schema, err error) {
	err = l.use(ctx, func(r *reader) error {
		schemas = nil
		return r.eachSchema(ctx, `until >= (SELECT min(position) FROM events)
			OR number IN (SELECT version FROM dead_letters)
			OR number IN (SELECT number FROM assumed_schemas JOIN dead_letters USING (schema) WHERE version = 0)`,
			func(_ int64, schema eventlog.Schema) { schemas = append(schemas, schema) })
	})
	return schemas, err
}
