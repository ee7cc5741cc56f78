{{- /* Environment variables of the containers that run the service's image. */ -}}

{{- /* Variables of every container. */ -}}
{{- define "task-service.environment" -}}
- name: ENVIRONMENT
  value: {{ ternary "development" "production" .Values.database.embedded.enabled }}
- name: DATABASE_URL_FILE
  value: /etc/task-service/database-url
- name: DATABASE_POOLER
  value: {{ .Values.database.pooler | quote }}
{{- end }}

{{- /* Variables of the migration and of the purge. */ -}}
{{- define "task-service.directEnvironment" -}}
{{ include "task-service.environment" . }}
{{- if gt (len (include "task-service.directSecrets" . | fromYamlArray)) 1 }}
- name: DATABASE_SHARD_URLS_FILE
  value: /etc/task-service/shard-urls
{{- end }}
{{- end }}

{{- /* Variables of the service. */ -}}
{{- define "task-service.serviceEnvironment" -}}
{{ include "task-service.environment" . }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: DATABASE_POOL_PREWARM_SIZE
  value: {{ .Values.database.pool.prewarmSize | quote }}
- name: DATABASE_POOL_MAX_SIZE
  value: {{ .Values.database.pool.maxSize | quote }}
- name: READINESS_DATABASE_CHECK
  value: {{ .Values.database.readiness | quote }}
{{- if .Values.auth.betterAuthUrl }}
- name: BETTER_AUTH_URL
  value: {{ .Values.auth.betterAuthUrl | quote }}
{{- with include "task-service.frontendKeySet" . }}
- name: BETTER_AUTH_JWKS_URL
  value: {{ . | quote }}
{{- end }}
{{- else }}
- name: BETTER_AUTH_SECRET_FILE
  value: /etc/task-service/auth-secret
{{- end }}
- name: WORKERS
  value: {{ .Values.workers | quote }}
- name: MAX_REQUESTS
  value: {{ .Values.maxRequests | int64 | quote }}
- name: MAX_REQUESTS_JITTER
  value: {{ .Values.maxRequestsJitter | int64 | quote }}
- name: GRACEFUL_TIMEOUT_SECONDS
  value: {{ .Values.gracefulTimeoutSeconds | quote }}
- name: KEEP_ALIVE_SECONDS
  value: {{ .Values.keepAliveSeconds | quote }}
{{- with .Values.allowedOrigins }}
- name: ALLOWED_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.trustedProxies }}
- name: TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ include "task-service.text" $.Values.tracing.sampleRatio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  {{- /* The user's attributes come last: the last one of a key takes precedence. */}}
  {{- $attributes := printf "k8s.namespace.name=%s,k8s.deployment.name=%s,k8s.pod.name=$(POD_NAME)" $.Release.Namespace (include "task-service.fullname" $) }}
  value: {{ list $attributes (get $.Values.config "OTEL_RESOURCE_ATTRIBUTES") | compact | join "," | quote }}
{{- end }}
{{- end }}

{{- /* The user's variables: `config` and `extraEnv`. Every container of the image gets them, because certificates,
       proxies, time-outs and the log level apply to each. validate.yaml rejects a name that is set twice. */ -}}
{{- define "task-service.userEnvironment" -}}
{{- range $name, $value := .Values.config }}
{{- if not (and (eq $name "OTEL_RESOURCE_ATTRIBUTES") $.Values.tracing.endpoint) }}
- name: {{ $name | quote }}
  value: {{ include "task-service.text" $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
