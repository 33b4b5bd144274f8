#!/usr/bin/env bash
# Train on several GPUs: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# On several machines, on each of them: NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 tools/dist_train.sh ...
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The environment of `make setup`, where there is one.
python=$root/.venv/bin/python
[ -x "$python" ] || python=python

PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-$python}" -m torch.distributed.run \
    --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}" \
    --nproc_per_node "$gpus" \
    "$root/tools/train.py" "$config" --launcher pytorch "$@"
