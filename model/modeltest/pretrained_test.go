package modeltest_test

import (
	"path/filepath"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/modeltest"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/model/pretrained/tinychat"
)

// A checkpoint in this process answers what its weights say, keeps its limits, and refuses what it can't promise.
func TestPretrainedPasses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := tinychat.Save(dir, 5); err != nil {
		t.Fatal(err)
	}
	m, err := pretrained.Open(dir, pretrained.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	modeltest.Run(t, func(*testing.T, *modeltest.Script) because.Chat { return m },
		modeltest.Scripted, modeltest.HTTP, modeltest.Choice, modeltest.Format, modeltest.Personas)
}
