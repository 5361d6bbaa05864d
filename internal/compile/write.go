package compile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/types/pluginpb"
)

// write puts files below root. One that stands there with the same content is
// not touched; any other is replaced in one step, so that nobody ever sees half
// of it.
func write(root string, files []*pluginpb.CodeGeneratorResponse_File) error {
	for _, file := range files {
		if !filepath.IsLocal(filepath.FromSlash(file.GetName())) {
			return fmt.Errorf("%s lies outside of %s: nothing was written", file.GetName(), root)
		}
	}
	for _, file := range files {
		if err := replace(filepath.Join(root, filepath.FromSlash(file.GetName())), []byte(file.GetContent())); err != nil {
			return err
		}
	}
	return nil
}

func replace(at string, content []byte) error {
	if stands, err := os.ReadFile(at); err == nil && bytes.Equal(stands, content) {
		return nil
	}
	if target, err := filepath.EvalSymlinks(at); err == nil {
		at = target
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(at), "."+filepath.Base(at)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails once it is renamed, as it should
	_, err = temporary.Write(content)
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(temporary.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), at)
}
