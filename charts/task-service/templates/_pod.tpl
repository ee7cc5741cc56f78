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

{{- /* The Deployment's number of pods; empty: the field is omitted. An autoscaler owns the number, so the live number is kept.
       Kubernetes resets an omitted field to 1 while Helm is its only owner: until the autoscaler first scales, and always
       without server-side apply. Without a cluster (`helm template`, GitOps) there is no live number. */ -}}
{{- define "task-service.replicas" -}}
{{- $fullname := include "task-service.fullname" . -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace $fullname -}}
{{- $autoscaler := lookup "autoscaling/v2" "HorizontalPodAutoscaler" .Release.Namespace $fullname -}}
{{- $applied := false -}}
{{- $shared := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- if and (eq .operation "Apply") (eq .manager "helm") }}{{ $applied = true }}
{{- else if dig "f:spec" "f:replicas" false (.fieldsV1 | default dict) | kindIs "map" }}{{ $shared = true }}{{ end -}}
{{- end -}}
{{- if and $live .Values.autoscaling.enabled $applied $shared -}}
{{- else if and $live (or .Values.autoscaling.enabled $autoscaler) -}}
{{- int $live.spec.replicas -}}
{{- else if not .Values.autoscaling.enabled -}}
{{- .Values.replicas -}}
{{- end -}}
{{- end }}
