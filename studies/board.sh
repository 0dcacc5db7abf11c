#!/usr/bin/env bash
# The reference board, block by block: every command keeps what is finished, so the script may be stopped at any time
# and goes on where it was. Each block can be published alone.
#
#     nice bash studies/board.sh WORKSPACE DATA_ROOT [WORKERS]
#     rbp publish --workspace WORKSPACE
set -euo pipefail
workspace=$1 data=$2 workers=${3:-2}

main=unregularized,thresholded
controls=decorrelated,shuffled
others=pixel,statistics,blur,noise-trained,adversarial,input-gradient
neural=neural,shuffled-neural,pixel,shuffled

run() {
    rbp run --workspace "$workspace" --data-root "$data" --workers "$workers" --seeds 7 "$@"
}

run --on digits --recipe "$main" --recipe "$controls" --recipe "$others"
run --on mnist --size reduced --recipe "$main"
run --on mnist --size reduced --recipe "$controls"
run --on mnist --size reduced --recipe "$others"
run --on mnist:fashionmnist --size reduced --recipe "$main" --recipe "$controls"
run --on fashionmnist --size reduced --recipe "$main" --recipe "$controls"
run --on fashionmnist:mnist --size reduced --recipe "$main" --recipe "$controls"
run --on cifar10:natural --size reduced --recipe "$main" --recipe "$controls"
run --on cifar10 --size reduced --recipe "$main" --recipe "$controls"
run --on digits:kriegeskorte92 --recipe unregularized --recipe "$neural"
run --on cifar10:v4 --size reduced --recipe unregularized --recipe "$neural"
for suite in whitebox corruptions; do  # On a third of the seeds.
    for task in digits mnist; do
        size=full
        [ "$task" = digits ] || size=reduced
        rbp run --workspace "$workspace" --data-root "$data" --workers "$workers" --seeds 3 --suite "$suite" \
            --on "$task" --size "$size" --recipe "$main" --recipe "$controls"
    done
done
run --on digits --recipe all
