#!/usr/bin/env bash
# Times compiled models side by side with ONNX Runtime and others, with the driver of ../shared/peers (see its README for what it measures).
# Usage: benches/peers.sh MODEL[,MODEL...] [THREADS[,THREADS...]] [COMPETITORS]
# Needs $PERF_ROOT as ../shared/peers/setup.sh makes it (default target/peers). Results go to target/bench/results.json.
set -euo pipefail
cd "$(dirname "$0")/.."
models=${1:?usage: benches/peers.sh MODEL[,MODEL...] [THREADS] [COMPETITORS]}
threads=${2:-1}
competitors=${3:-ort}
root=${PERF_ROOT:-target/peers}
peers=${ONNXC_PEERS:-../shared/peers}
mkdir -p target/bench
cargo build --quiet --release --package onnxc
for model in ${models//,/ }; do
    target/release/onnxc bench "$root/models/$model.onnx" --build-only "target/bench/$model"
done
PERF_ROOT="$root" PERF_EXTRA='onnxc=target/bench/{model}' python3 "$peers/driver/perf.py" \
    --models "$models" --threads "$threads" --comps "$competitors,onnxc" --rounds "${ROUNDS:-7}" --ms "${MS:-150}" --out target/bench/results.json
