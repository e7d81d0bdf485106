// Package rayengine holds the Python package that trains and serves on a Ray cluster (because_ray), which is sent with each job.
package rayengine

import "embed"

// Files is the package with its pyproject.toml, tests apart.
//
//go:embed because_ray/*.py because_ray/job.schema.json pyproject.toml
var Files embed.FS
