package store

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountEnv tells a test that it runs in a mount namespace of its own.
const mountEnv = "BECAUSE_TEST_MOUNTS"

// withMounts runs the calling test again in a process whose mounts are its own, as root of a user namespace, so that
// it can mount small and read-only file systems. It reports whether this already is that process.
func withMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mountEnv) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mountEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		t.Skipf("no user namespaces here: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("no mounts here:\n%s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("in its namespace: %v\n%s", err, out)
	}
	return false
}

// mountTmpfs mounts an empty file system of the given size in KiB.
func mountTmpfs(t *testing.T, kib int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// However much space is left, storing succeeds or fails with the disk named as the cause, and what was there stays.
func TestFullDisk(t *testing.T) {
	if !withMounts(t) {
		return
	}
	failures := 0
	for kib := 32; kib <= 160; kib += 4 {
		root := filepath.Join(mountTmpfs(t, kib), "store")
		s, err := Open(root, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.TryLock(); err != nil {
			wantFault(t, err, root, "no space left")
			failures++
			continue
		}
		kept := map[string]string{} // key -> artifact
		for n := range 8 {
			key, payload, err := s.Key(n)
			if err != nil {
				t.Fatal(err)
			}
			id, err := s.Put(t.Context(), writeTree(map[string]string{"a": strings.Repeat(fmt.Sprint(n), 6000), "d/b": fmt.Sprint(n), "c": "same"}))
			if err == nil {
				err = s.Record(key, payload, id, nil)
			}
			if err != nil {
				wantFault(t, err, root, "no space left")
				failures++
				break
			}
			kept[key] = id
		}
		for key, id := range kept {
			if got, ok, err := s.Lookup(t.Context(), key, true); got != id || !ok || err != nil {
				t.Errorf("%d KiB: a finished entry is now %q, %v, %v", kib, got, ok, err)
			}
		}
		wantEmptyTmp(t, s)
		if err := s.Unlock(); err != nil {
			t.Error(err)
		}
	}
	if failures < 10 {
		t.Errorf("the disk was full %d times only", failures)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	if !withMounts(t) {
		return
	}
	dir := mountTmpfs(t, 256)
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.TryLock(); err != nil {
		t.Fatal(err)
	}
	key, id := record(t, s, 1, map[string]string{"x": "y"}, nil)

	readOnly(t, s.tmpDir())
	_, err = s.Put(t.Context(), func(string) error { return nil })
	wantFault(t, err, dir, "read-only file system")
	wantFault(t, s.SetIndex("study", nil), dir, "read-only file system")
	if err := s.Unlock(); err != nil {
		t.Fatal(err)
	}

	readOnly(t, dir)
	if got, ok, err := s.Lookup(t.Context(), key, true); got != id || !ok || err != nil {
		t.Errorf("reading gave %q, %v, %v", got, ok, err)
	}
	wantFault(t, s.TryLock(), dir, "read-only file system")
}

// readOnly makes what lies under dir read-only until the test ends.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}
