package study

import "strings"

// The engines that a study may name.
const (
	EngineLocal = "local" // this process
	EngineRay   = "ray"   // a Ray cluster
)

// Trainer says what trains the study's models and serves them to its evaluations. Of its fields only engine and dtype are identity: what one cluster has trained
// serves another.
type Trainer struct {
	Engine   string   `yaml:"engine"`                    // EngineLocal or EngineRay
	Address  string   `yaml:"address,omitempty"`         // of the cluster's dashboard; that of the environment where empty
	Storage  string   `yaml:"storage,omitempty"`         // URI or path that this machine and the cluster reach
	Workers  int      `yaml:"workers,omitempty"`         // processes that train a model together; 1 where 0
	GPUs     float64  `yaml:"gpus_per_worker,omitempty"` // of each, and of a served model
	CPUs     float64  `yaml:"cpus_per_worker,omitempty"` // of each; 1 where 0
	Strategy string   `yaml:"strategy,omitempty"`        // ddp or fsdp; ddp where empty
	DType    string   `yaml:"dtype,omitempty"`           // float32 or bfloat16 while training; float32 where empty
	Micro    int      `yaml:"micro_batch,omitempty"`     // rows that a worker takes at once; 8 where 0
	Retries  *int     `yaml:"retries,omitempty"`         // times that a job goes on after a worker or node was lost; 3 where nil
	Wait     bool     `yaml:"wait,omitempty"`            // for nodes that the cluster does not have yet
	Python   string   `yaml:"python,omitempty"`          // command of the interpreter on the cluster
	Pip      []string `yaml:"pip,omitempty,flow"`        // packages that Ray is to install for each job
	Env      []string `yaml:"env,omitempty,flow"`        // names of variables to pass on to jobs
	Reward   string   `yaml:"reward,omitempty"`          // URL under which workers reach this machine, for stages of RL
}

func (f *File) checkTrainer() error {
	t := f.Train
	if t == nil {
		return nil
	}
	for _, c := range []struct {
		key, value string
		choices    []string
	}{{"engine", t.Engine, []string{EngineLocal, EngineRay}}, {"strategy", t.Strategy, []string{"", "ddp", "fsdp"}}, {"dtype", t.DType, []string{"", "float32", "bfloat16"}}} {
		known := false
		for _, x := range c.choices {
			known = known || x == c.value
		}
		if !known {
			return f.bad("train."+c.key, "use "+strings.TrimPrefix(strings.Join(c.choices, " or "), " or "), "%q is unknown", c.value)
		}
	}
	switch {
	case t.Workers < 0, t.GPUs < 0, t.CPUs < 0, t.Micro < 0, t.Retries != nil && *t.Retries < 0:
		return f.bad("train", "", "a number is negative")
	case t.Engine == EngineLocal && (t.Address != "" || t.Storage != "" || t.Workers != 0 || t.GPUs != 0 || t.Reward != ""):
		return f.bad("train.engine", "use engine: ray, or leave address, storage, workers, gpus_per_worker and reward out", "this process has no cluster")
	case t.Engine == EngineRay && t.Storage == "":
		return f.bad("train.storage", "give a URI or a folder that this machine and the cluster reach: storage: s3://bucket/because", "missing")
	}
	return nil
}
