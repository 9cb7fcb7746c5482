#!/usr/bin/env bash
# On a machine with a GPU: the tests that need one, the speed of trainings, and a board on real GLUE, with its bundle.
#
#   MODEL=FOLDER GLUE=FOLDER OUT=FOLDER bash tests/bench/gpu_board.sh
#
# TASKS, SEEDS, JOBS, LEVELS and STRATEGIES change the board, and BOARD_S is its limit in seconds: what is done until
# then is bundled, and the same command goes on from there. TINY=1 tries all of it on a CPU, on very few examples.
set -uo pipefail
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
: "${MODEL:?a folder with a model}" "${GLUE:?a folder with GLUE}" "${OUT:?a folder for results}"
TASKS=${TASKS:-mrpc,stsb,cola,rte} SEEDS=${SEEDS:-5} JOBS=${JOBS:-8} BOARD_S=${BOARD_S:-3000} DEVICE=cuda
LEVELS=${LEVELS:-0.3,0.51,0.7599,0.8824}
IMP="imp[rate=0.3,of=remaining]"
STRATEGIES=${STRATEGIES:-"$IMP,magnitude,magnitude-init,random-pruning[of=$IMP],random-reinit[of=$IMP],gradual,movement,heads"}
LEARNING=(--lr 3e-5,1e-4,3e-4 --epochs 2,4 --warmup 0.1 --seeds 3)
LIMITS=()
if [[ -n ${TINY:-} ]]; then
    DEVICE=cpu TASKS=${TASKS%%,*} SEEDS=2 JOBS=2 LEVELS=0.51 STRATEGIES="$IMP,magnitude"
    LEARNING=(--lr 1e-4 --epochs 1 --warmup 0.1 --seeds 2) LIMITS=(--train-limit 64)
fi
mkdir -p "$OUT"
store=$OUT/store
common=(--model "$MODEL" --glue-dir "$GLUE" --tasks "$TASKS" --device "$DEVICE" --jobs "$JOBS" --store "$store")

step() { # step NAME COMMAND…: its output goes to NAME.log
    echo "== $1 (${SECONDS} s)"
    "${@:2}" >"$OUT/$1.log" 2>&1 || echo "   exit status $?"
    tail -n 3 "$OUT/$1.log"
}

cd "$(dirname "$0")"
step doctor prunebench doctor
if [[ -z ${TINY:-} ]]; then
    (cd ../.. && step tests timeout 90 python3 -m pytest -q -x -k "cuda or gpu" tests)
    step speed timeout 180 python3 gpu.py --model "$MODEL" --task "${TASKS%%,*}" --glue-dir "$GLUE" --jobs 1,8 --rounds 1 --epochs 1
fi
# The protocol is that of the dense model alone, by scores on a part of train.
[[ -f $OUT/protocol.toml ]] ||
    step calibrate prunebench calibrate "${common[@]}" "${LEARNING[@]}" "${LIMITS[@]}" --out "$OUT/protocol.toml"
step run timeout -s TERM "$BOARD_S" prunebench run "${common[@]}" --seeds "$SEEDS" --strategies "$STRATEGIES" \
    --sparsities "$LEVELS" --protocol "$OUT/protocol.toml"
step leaderboard prunebench leaderboard --store "$store" --out "$OUT/board"
step bundle prunebench bundle --store "$store" --out "$OUT/bundle.zip"
step verify prunebench verify "$OUT/bundle.zip" --glue-dir "$GLUE"
echo "== done: $OUT/board, $OUT/bundle.zip (${SECONDS} s)"
