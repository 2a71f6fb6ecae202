#!/usr/bin/env bash
# Whether what is in deploy/ is sound, with whatever tools this machine has: each that is missing is named and skipped.
#
#   bash tests/deploy.sh
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "deploy: $1 is not installed: $2 is not checked" >&2; }

# The systemd unit: no mistake in it, and little that it may do.
if command -v systemd-analyze >/dev/null && systemd-analyze security --help 2>/dev/null | grep -q offline; then
    unit=deploy/systemd/commission-bridge.service
    # 15 of 100 at most; systemd's own services have 60 to 96.
    systemd-analyze security --offline=true --threshold=15 "$unit" >/dev/null \
        || { systemd-analyze security --offline=true "$unit" | tail -n 1; exit 1; }
    mistakes=$(systemd-analyze verify "$unit" 2>&1 | grep commission-bridge.service | grep -v 'is not executable' || true)
    [ -z "$mistakes" ] || { echo "$mistakes" >&2; exit 1; }
else
    skip systemd-analyze "the systemd unit"
fi

# Kubernetes: they can be put together, and each has the fields of its kind.
if command -v kubectl >/dev/null; then
    kubectl kustomize deploy/kubernetes >/dev/null
else
    skip kubectl "whether the Kubernetes manifests go together"
fi
if command -v "${KUBERNETES_VALIDATE:-kubernetes-validate}" >/dev/null; then
    for manifest in deploy/kubernetes/*.yaml; do
        [ "$(basename "$manifest")" = kustomization.yaml ] || "${KUBERNETES_VALIDATE:-kubernetes-validate}" --strict --quiet "$manifest"
    done
else
    skip "kubernetes-validate (pip install kubernetes-validate)" "the Kubernetes manifests' schema"
fi

# Prometheus: rules and their own tests. That the metrics exist, a test of the program says.
if command -v "${PROMTOOL:-promtool}" >/dev/null; then
    "${PROMTOOL:-promtool}" check rules deploy/prometheus/alerts.yml >/dev/null
    (cd deploy/prometheus && "${PROMTOOL:-promtool}" test rules alerts.test.yml >/dev/null)
else
    skip promtool "the alert rules"
fi

if docker compose version >/dev/null 2>&1; then
    docker compose --file deploy/compose.yaml config --quiet
else
    skip "docker compose" "the compose file"
fi
if command -v hadolint >/dev/null; then hadolint deploy/Dockerfile; fi
echo "deploy: sound"
