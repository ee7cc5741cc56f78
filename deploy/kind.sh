#!/usr/bin/env bash
# Creates a kind cluster for `.ci/run`: an announced local registry (KEP-1755), metrics-server, an ingress
# controller, the CRDs of the Prometheus Operator and of the Gateway API, and the base images.
set -euo pipefail
cd "$(dirname "$0")"

registry=kind-registry
docker inspect "$registry" >/dev/null 2>&1 ||
  docker run --detach --restart=always --publish 127.0.0.1:5000:5000 --network bridge --name "$registry" registry:2
kind create cluster --config kind.yaml --wait 120s
docker network connect kind "$registry" 2>/dev/null || true
for node in $(kind get nodes); do
  docker exec "$node" mkdir -p /etc/containerd/certs.d/localhost:5000
  echo "[host.\"http://$registry:5000\"]" | docker exec -i "$node" tee /etc/containerd/certs.d/localhost:5000/hosts.toml >/dev/null
done
kubectl create configmap local-registry-hosting --namespace kube-public \
  --from-literal=localRegistryHosting.v1='host: "localhost:5000"'

releases=https://github.com
kubectl apply -f "$releases/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml"
kubectl patch deployment metrics-server --namespace kube-system --type json \
  --patch '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]'
kubectl apply -f "$releases/kubernetes-sigs/gateway-api/releases/latest/download/standard-install.yaml"
kubectl apply --server-side -f "$releases/prometheus-operator/prometheus-operator/releases/latest/download/stripped-down-crds.yaml"
helm upgrade --install traefik oci://ghcr.io/traefik/helm/traefik --namespace ingress --create-namespace --wait \
  --set ports.web.hostPort=80 --set ports.websecure.hostPort=443 --set service.type=ClusterIP

for image in python:3.13-slim postgres:18 prom/prometheus:v3.8.0 jaegertracing/all-in-one:1.76.0; do
  docker pull --quiet "$image"
done
docker tag prom/prometheus:v3.8.0 prom/prometheus
docker tag jaegertracing/all-in-one:1.76.0 jaegertracing/all-in-one
