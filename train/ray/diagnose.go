package ray

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrStopped marks a job that was stopped on somebody's request.
var ErrStopped = errors.New("the job was stopped")

// JobError is a job that did not reach its end: what the engine said of it, else what can be made out from Ray's words and the log.
type JobError struct {
	ID      string
	Kind    string // one of the kinds of errors in events.go
	Message string
	Row     int      // for data: from 1
	Column  string   // for data
	Log     []string // the last lines that say something, where the engine said nothing
	stopped bool
}

func (e *JobError) Error() string {
	var b strings.Builder
	if e.Kind == ErrorData && e.Row > 0 {
		fmt.Fprintf(&b, "row %d", e.Row)
		if e.Column != "" {
			fmt.Fprintf(&b, ", column %s", e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if len(e.Log) > 0 {
		b.WriteString("; the log ends with:\n  " + strings.Join(e.Log, "\n  "))
	}
	return b.String()
}

// Is finds ErrStopped.
func (e *JobError) Is(target error) bool { return target == ErrStopped && e.stopped }

var jobHints = map[string]string{
	ErrorJob:       "the engine that was sent and this program are of one version; if you changed the engine, look there",
	ErrorData:      "put the row right; rows count from 1",
	ErrorModel:     "the nodes must reach the model: a repository of the hub that they may read, or a URI of storage that all of them see",
	ErrorStorage:   "because doctor --ray looks at the storage from the cluster's side",
	ErrorMemory:    "take fewer rows at once (micro_batch), recompute activations, use bfloat16, LoRA or fsdp, or nodes with more memory",
	ErrorReward:    "the workers must reach the reward's URL, and its token must be the right one",
	ErrorResources: "ask for fewer or smaller workers, add nodes, or wait for them (--wait), as on a cluster that grows by itself",
	ErrorPackage:   "install it on all nodes, or name it among the packages that Ray installs for the job",
	ErrorTrain:     "the whole log is in Ray's dashboard; once the cause is gone, the same command goes on from the last checkpoint",
}

// diagnose says why a job came to nothing.
func diagnose(d Details, failed *Event, t tail) *JobError {
	if d.Status == Stopped {
		return &JobError{ID: d.ID, Kind: ErrorTrain, Message: ErrStopped.Error(), stopped: true}
	}
	if failed != nil {
		return &JobError{ID: d.ID, Kind: firstOf(failed.Error, ErrorTrain), Message: firstOf(failed.Message, "the engine named no cause"), Row: failed.Row, Column: failed.Column}
	}
	// Ray's message holds the end of the log again; what it says itself stands on the first line.
	own, _, _ := strings.Cut(d.Message, ", last available logs")
	text := strings.Join(t.lines, "\n") + "\n" + d.Message
	e := &JobError{ID: d.ID, Kind: ErrorTrain, Message: cause(own), Log: useful(t.lines)}
	switch {
	case d.ErrorType == "RUNTIME_ENV_SETUP_FAILURE":
		e.Kind, e.Message, e.Log = ErrorPackage, "Ray could not set up the job's environment", useful(append(t.lines, strings.Split(d.Message, "\n")...))
	case d.ErrorType == "JOB_SUPERVISOR_ACTOR_START_TIMEOUT" || d.ErrorType == "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE":
		e.Kind = ErrorResources
	case gpuMemory.MatchString(text):
		e.Kind, e.Message = ErrorMemory, "a GPU's memory was not enough"
	case hostMemory.MatchString(text) || d.ExitCode != nil && (*d.ExitCode == -9 || *d.ExitCode == 137):
		e.Kind, e.Message = ErrorMemory, "a process was killed, as when a node runs out of memory"
	case noPackage.MatchString(text):
		e.Kind, e.Message = ErrorPackage, noPackage.FindString(text)
	case d.ErrorType == "JOB_SUPERVISOR_ACTOR_DIED":
		e.Message = "the node that ran the job was lost, or the process that watched it: " + e.Message
	}
	if n := len(e.Log); e.Kind == ErrorTrain && n > 0 && exception.MatchString(e.Log[n-1]) {
		e.Message = e.Log[n-1] // says more than an exit code
	}
	if e.Message == "" {
		e.Message = "the job failed"
	}
	return e
}

var exception = regexp.MustCompile(`^[A-Za-z_.]+(Error|Exception|Interrupt|Exit)\b`)

var (
	gpuMemory  = regexp.MustCompile(`CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED`)
	hostMemory = regexp.MustCompile(`ray\.exceptions\.OutOfMemoryError|killed due to memory pressure|due to the node running low on memory|(?m)^MemoryError|exit code (-9|137)\b|signal 9\b|SIGKILL`)
	noPackage  = regexp.MustCompile(`ModuleNotFoundError: [^\n]+|No module named [^\n]+|can't open file [^\n]+|[^\n]*python[0-9.]*: (command )?not found`)
)

// noise is what Ray writes on its own account.
var noise = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\s+(INFO|WARNING)\s|^Runtime env is setting up|^Running entrypoint for job|\(raylet\)|^\[Ray|^View detailed results|` +
	`FutureWarning|UserWarning|DeprecationWarning|^\s*warnings\.warn|\d+%\|[^|]*\||^\(pid=|^\s*[\^~]+\s*$|^\s*$|^During handling of the above|^The above exception was|^NCCL |\[repeated \d+x across`)

// usefulLines is how many lines an error shows of a log.
const usefulLines = 12

// useful picks the last lines that say something: without Ray's own, and with the middle of tracebacks left out.
func useful(lines []string) []string {
	var kept []string
	frames := 0 // of a traceback under way, first line included; 0 outside one
	for _, line := range lines {
		if i := strings.LastIndexByte(line, '\r'); i >= 0 {
			line = line[i+1:]
		}
		bare := strings.TrimRight(prefix.ReplaceAllString(line, ""), " ")
		switch {
		case strings.HasPrefix(bare, "Traceback (most recent call last)"):
			frames = 1
		case frames > 0 && strings.HasPrefix(bare, " "):
			if strings.HasPrefix(bare, "  File ") {
				if frames > 1 {
					kept = kept[:len(kept)-1] // the frame before is of the middle
				}
				kept = append(kept, strings.TrimSpace(unpacked.ReplaceAllString(bare, "")))
				frames++
			}
		case noise.MatchString(line):
			frames = 0
		default:
			frames = 0
			kept = append(kept, clip(bare, 300))
		}
	}
	if n := len(kept); n > usefulLines {
		kept = kept[n-usefulLines:]
	}
	return kept
}

// unpacked is where Ray puts a job's package.
var unpacked = regexp.MustCompile(`/[^" ]*/_ray_pkg_[0-9a-f]+/`)

// prefix is what Ray puts before lines of processes other than the driver, with its colours.
var prefix = regexp.MustCompile(`^(\x1b\[[0-9;]*m)*\([A-Za-z_:. ]*pid=\d+(, ip=[^)]*)?\)(\x1b\[[0-9;]*m)* ?|\x1b\[[0-9;]*m`)
