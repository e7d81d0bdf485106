package ray

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/reward"
)

// Rewards offers the rewards of running jobs to their workers. All jobs share one address, each with a path of its own, which is the same each time, so that a
// study that is started again answers the jobs that it left running.
type Rewards struct {
	url    string
	token  string
	server *http.Server

	mu  sync.Mutex
	now map[string]http.Handler // by path
}

// RewardToken is the variable with which a job's workers identify themselves to the reward.
const RewardToken = "BECAUSE_REWARD_TOKEN"

// OfferRewards listens on an address of this machine, such as :8090. The URL is that under which the workers reach it. Without a token only a loopback
// address will do; a token must be the same each time, since jobs keep theirs.
func OfferRewards(ctx context.Context, listen, url, token string) (*Rewards, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, because.E("offer rewards", listen, err, "choose another address: train: {reward: http://HOST:PORT}")
	}
	if at, ok := l.Addr().(*net.TCPAddr); token == "" && !(ok && at.IP.IsLoopback()) {
		err := because.E("offer rewards", listen, errors.New("other machines can reach this address, and there is no token"), "export "+RewardToken+" with a secret of your own")
		return nil, errors.Join(err, l.Close())
	}
	r := &Rewards{url: strings.TrimSuffix(url, "/"), token: token, now: map[string]http.Handler{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go r.server.Serve(l) //nolint:errcheck // it ends with Close
	return r, nil
}

// Close ends the server.
func (r *Rewards) Close() error { return r.server.Close() }

// ServeHTTP answers for the job of the path.
func (r *Rewards) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	h := r.now[q.URL.Path]
	r.mu.Unlock()
	if h == nil {
		http.Error(w, `{"error": "no job of this path is followed here now"}`, http.StatusServiceUnavailable)
		return
	}
	h.ServeHTTP(w, q)
}

// offer offers a reward for a job, and tells the job where.
func (r *Rewards) offer(f train.Reward, j *Job) (done func(), err error) {
	j.GRPO.Reward = r.url
	path := "/" + Key(*j)[:16]
	j.GRPO.Reward += path
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now[path] != nil {
		return nil, because.E("offer rewards", path, errors.New("the same job is followed here already"), "")
	}
	r.now[path] = reward.Handler(reward.Of(f), r.token)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.now, path)
	}, nil
}
