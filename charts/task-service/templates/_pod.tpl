{{- /* Parts that all pods of the release share. tests/deploy/test_chart_pods.py lists every difference with its reason. */ -}}

{{- /* Labels and annotations of a pod: {{ include "task-service.podMetadata" (dict "root" . "component" "api" "annotations" …, "labels" …) }} */ -}}
{{- define "task-service.podMetadata" -}}
{{- $selector := merge (dict "app.kubernetes.io/component" .component) (include "task-service.selectorLabels" .root | fromYaml) -}}
labels:
  {{- merge $selector (.labels | default dict) .root.Values.podLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Fields of a pod's spec: {{ include "task-service.podSpec" (list . affinity) }}. podAffinity and podAntiAffinity
       apply to the service's pods only: a Job's pod might otherwise find no node. */ -}}
{{- define "task-service.podSpec" -}}
{{- $root := first . -}}
{{- $values := $root.Values -}}
serviceAccountName: {{ include "task-service.serviceAccountName" $root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $field, $value := dict "imagePullSecrets" $values.image.pullSecrets "nodeSelector" $values.nodeSelector "tolerations" $values.tolerations "affinity" (last .) "hostAliases" $values.hostAliases }}
{{- with $value }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Fields of a container that runs the service's image. */ -}}
{{- define "task-service.container" -}}
image: {{ include "task-service.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end }}

{{- define "task-service.volumeMounts" -}}
- name: secrets
  mountPath: /etc/task-service
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Volumes of a pod that runs the service's image: {{ include "task-service.volumes" (list . (list (list "secret" "key" "file") …)) }} */ -}}
{{- define "task-service.volumes" -}}
{{- $root := first . -}}
# Files instead of variables: a rotated secret is read without a restart.
- name: secrets
  projected:
    sources:
      {{- range last . }}
      - secret:
          name: {{ index . 0 | quote }}
          items:
            - key: {{ index . 1 | quote }}
              path: {{ index . 2 }}
      {{- else }} []
      {{- end }}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* For `volumes`: the URLs of migrations and of the purge, each as a list of secret, key and file. A direct address and a role that may
       change tables, if there is one. The service's own role needs no such permission. */ -}}
{{- define "task-service.directSecrets" -}}
{{- $secret := list (include "task-service.databaseSecret" .) (include "task-service.databaseKey" .) "database-url" -}}
{{- with include "task-service.migrationSecret" . }}
{{- $secret = list . (ternary $.Values.migrations.database.key "migration-url" (not (empty $.Values.migrations.database.existingSecret))) "database-url" -}}
{{- end -}}
{{- $secrets := list $secret -}}
{{- if .Values.migrations.shards.existingSecret -}}
{{- $secrets = append $secrets (list .Values.migrations.shards.existingSecret .Values.migrations.shards.key "shard-urls") -}}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.shardUrls -}}
{{- $secrets = append $secrets (list (printf "%s-external" (include "task-service.fullname" .)) "shard-urls" "shard-urls") -}}
{{- end -}}
{{- toJson $secrets }}
{{- end }}

{{- /* Spreads the pods of one component over zones and nodes: {{ include "task-service.topologySpread" (list . "api" constraints) }} */ -}}
{{- define "task-service.topologySpread" -}}
{{- $root := first . -}}
{{- $component := index . 1 -}}
{{- with last . }}
{{- toYaml . }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "task-service.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A Deployment's number of pods, from the values `replicas` and `autoscaling`: {{ include "task-service.replicas" (list . name values) }}
       Empty: the field is omitted. An autoscaler owns the number, so the live number is kept.
       Kubernetes resets an omitted field to 1 while Helm is its only owner: until the autoscaler first scales, and always
       without server-side apply. Without a cluster (`helm template`, GitOps) there is no live number. */ -}}
{{- define "task-service.replicas" -}}
{{- $namespace := (first .).Release.Namespace -}}
{{- $name := index . 1 -}}
{{- $values := last . -}}
{{- $live := lookup "apps/v1" "Deployment" $namespace $name -}}
{{- $autoscaler := lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace $name -}}
{{- $applied := false -}}
{{- $shared := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- if and (eq .operation "Apply") (eq .manager "helm") }}{{ $applied = true }}
{{- else if dig "f:spec" "f:replicas" false (.fieldsV1 | default dict) | kindIs "map" }}{{ $shared = true }}{{ end -}}
{{- end -}}
{{- if and $live $values.autoscaling.enabled $applied $shared -}}
{{- else if and $live (or $values.autoscaling.enabled $autoscaler) -}}
{{- int $live.spec.replicas -}}
{{- else if not $values.autoscaling.enabled -}}
{{- $values.replicas -}}
{{- end -}}
{{- end }}
