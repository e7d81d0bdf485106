package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// withMounts runs the calling test again in a process whose mounts are its own, as root of a user namespace. It reports
// whether this already is that process.
func withMounts(t *testing.T) bool {
	t.Helper()
	const inside = "BECAUSE_TEST_MOUNTS"
	if os.Getenv(inside) != "" {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
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

// mountTmpfs mounts an empty file system of a size such as "500k".
func mountTmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// remount changes the options of a mounted file system.
func remount(t *testing.T, dir, options string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk fills the disk in the middle of a study. With more space the study goes on.
func TestFullDisk(t *testing.T) {
	if !withMounts(t) {
		return
	}
	small := smallStudy(t)
	file := filepath.Join(small, "small.yaml")
	if o := runBecause(t, small, "study", file); o.code != exitFine {
		t.Fatalf("the reference run ended with code %d:\n%s", o.code, o.errors)
	}
	want := readResults(t, small)

	disk := mountTmpfs(t, "300k")
	for _, size := range []string{"300k", "700k"} {
		remount(t, disk, "size="+size, 0)
		o := runBecause(t, disk, "study", file)
		if o.code != exitFailed || !strings.Contains(o.errors, "no space left on device") || !strings.Contains(o.errors, "\nhint: ") {
			t.Errorf("%s: exit code %d, want %d, and the reason with a hint:\n%s", size, o.code, exitFailed, o.errors)
		}
		if _, err := os.Stat(filepath.Join(disk, "runs", "tiny", "results.json")); err == nil {
			t.Errorf("%s: there are results", size)
		}
	}
	remount(t, disk, "size=100m", 0)
	if o := runBecause(t, disk, "study", file); o.code != exitFine {
		t.Fatalf("with space again the study ended with code %d:\n%s", o.code, o.errors)
	}
	compareResults(t, disk, want)
}

// TestReadOnlyDisk refuses to run a study where nothing can be written, and explains and chats there all the same.
func TestReadOnlyDisk(t *testing.T) {
	if !withMounts(t) {
		return
	}
	finished, err := finishedStudy()
	if err != nil {
		t.Fatal(err)
	}
	disk := mountTmpfs(t, "100m")
	remount(t, disk, "", unix.MS_RDONLY)
	o := runBecause(t, disk, "study", filepath.Join(finished, "tiny.yaml"))
	if o.code != exitFailed || !strings.Contains(o.errors, "read-only file system") || !strings.Contains(o.errors, "\nhint: make the folder writable") {
		t.Errorf("exit code %d, want %d, and the reason with a hint:\n%s", o.code, exitFailed, o.errors)
	}

	remount(t, disk, "", 0)
	if err := os.CopyFS(disk, os.DirFS(finished)); err != nil {
		t.Fatal(err)
	}
	remount(t, disk, "", unix.MS_RDONLY)
	o = runBecause(t, disk, "study", "tiny.yaml")
	if o.code != exitFailed || !strings.Contains(o.errors, "read-only file system") {
		t.Errorf("a finished study: exit code %d, want %d, and the reason:\n%s", o.code, exitFailed, o.errors)
	}
	for _, args := range [][]string{
		{"study", "plan", "tiny.yaml"},
		{"why", "advice"},
		{"chat", "--model", "runs/tiny/checkpoints/linked/advice/seed-1", "--prompt", "help me to raise the profit ."},
	} {
		if o := runBecause(t, disk, args...); o.code != exitFine {
			t.Errorf("%v: exit code %d:\n%s", args, o.code, o.errors)
		}
	}
	if o := runBecause(t, disk, "doctor"); o.code != exitFailed || !strings.Contains(o.errors, "check disk") {
		t.Errorf("doctor: exit code %d, want %d, and the reason:\n%s", o.code, exitFailed, o.errors)
	}
}
