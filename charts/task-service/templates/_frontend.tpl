{{- /* The frontend of this project: its image, variables and secrets. */ -}}

{{- define "task-service.frontendName" -}}
{{- if .Values.frontend.enabled }}{{ include "task-service.fullname" . }}-web
{{- else }}{{ .Values.frontend.service.name }}
{{- end }}
{{- end }}

{{- define "task-service.frontendPaths" -}}
{{- ternary (append .Values.frontend.paths "/" | uniq) .Values.frontend.paths .Values.frontend.enabled | toJson }}
{{- end }}

{{- /* The key set inside the cluster: fetched from the public URL it would leave the cluster and come in again. */ -}}
{{- define "task-service.frontendKeySet" -}}
{{- if and .Values.frontend.enabled (not (include "task-service.variable" (list . "BETTER_AUTH_JWKS_URL"))) -}}
http://{{ include "task-service.frontendName" . }}:{{ .Values.frontend.service.port }}/api/auth/jwks
{{- end }}
{{- end }}

{{- define "task-service.frontendContainer" -}}
{{- $image := .Values.frontend.image -}}
image: {{ ternary (printf "%s@%s" $image.repository $image.digest) (printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion)) (not (empty $image.digest)) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end }}

{{- /* Secrets of the frontend's pods, for task-service.volumes. */ -}}
{{- define "task-service.frontendSecrets" -}}
{{- $database := list (include "task-service.databaseSecret" .) (include "task-service.databaseKey" .) "database-url" -}}
{{- with .Values.frontend.database.existingSecret }}{{ $database = list . $.Values.frontend.database.key "database-url" }}{{ end -}}
{{- $name := include "task-service.frontendSecret" . -}}
{{- $secrets := list $database (list $name (ternary .Values.frontend.key "frontend-secret" (not (empty .Values.frontend.existingSecret))) "frontend-secret") -}}
{{- with include "task-service.frontendSecretsKey" . }}{{ $secrets = append $secrets (list $name . "frontend-secrets") }}{{ end -}}
{{- $secrets | toJson }}
{{- end }}

{{- /* Key of the versioned secrets in that Secret; empty: there are none. */ -}}
{{- define "task-service.frontendSecretsKey" -}}
{{- if .Values.frontend.existingSecret }}{{ .Values.frontend.secretsKey }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.frontendSecrets }}frontend-secrets
{{- end }}
{{- end }}

{{- /* Name of the Secret of the sessions: the user's, or one that this chart creates. */ -}}
{{- define "task-service.frontendSecret" -}}
{{- if .Values.frontend.existingSecret }}{{ .Values.frontend.existingSecret }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.frontendSecret }}{{ include "task-service.fullname" . }}-external
{{- else if .Values.database.embedded.enabled }}{{ include "task-service.fullname" . }}-embedded
{{- end }}
{{- end }}

{{- /* Names of the user's variables of the frontend, as JSON. */ -}}
{{- define "task-service.frontendUserNames" -}}
{{- $names := keys .Values.frontend.config -}}
{{- range concat .Values.extraEnv .Values.frontend.extraEnv }}{{ $names = append $names .name }}{{ end -}}
{{- toJson $names }}
{{- end }}

{{- /* Without a route of this chart the page's server proxies /api, for example behind `kubectl port-forward`. */ -}}
{{- define "task-service.frontendApiUrl" -}}
{{- $names := include "task-service.frontendUserNames" . | fromJsonArray -}}
{{- if not (or .Values.ingress.enabled .Values.httpRoute.enabled (has "API_URL" $names) (has "API_URL_FILE" $names)) -}}
http://{{ include "task-service.fullname" . }}:{{ .Values.service.port }}
{{- end }}
{{- end }}

{{- define "task-service.frontendEnvironment" -}}
- name: ENVIRONMENT
  value: {{ ternary "development" "production" .Values.database.embedded.enabled }}
- name: PUBLIC_URL
  value: {{ .Values.auth.betterAuthUrl | quote }}
- name: DATABASE_URL_FILE
  value: /etc/task-service/database-url
- name: BETTER_AUTH_SECRET_FILE
  value: /etc/task-service/frontend-secret
{{- if include "task-service.frontendSecretsKey" . }}
- name: BETTER_AUTH_SECRETS_FILE
  value: /etc/task-service/frontend-secrets
{{- end }}
- name: DATABASE_POOL_MAX_SIZE
  value: {{ .Values.frontend.poolSize | quote }}
- name: SIGN_UP
  value: {{ ternary "on" "off" .Values.frontend.signUp | quote }}
- name: DRAIN_SECONDS
  value: {{ .Values.preStopSeconds | quote }}
- name: GRACEFUL_TIMEOUT_SECONDS
  value: {{ .Values.gracefulTimeoutSeconds | quote }}
{{- with .Values.trustedProxies }}
- name: TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- with include "task-service.frontendApiUrl" . }}
- name: API_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* The user's variables of the frontend: `frontend.config`, `extraEnv` and `frontend.extraEnv`. validate.yaml rejects a name that is set twice. */ -}}
{{- define "task-service.frontendUserEnvironment" -}}
{{- range $name, $value := .Values.frontend.config }}
- name: {{ $name | quote }}
  value: {{ include "task-service.text" $value | quote }}
{{- end }}
{{- with concat .Values.extraEnv .Values.frontend.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "task-service.frontendMigrationSpec" -}}
{{- $secrets := include "task-service.frontendSecrets" . | fromJsonArray -}}
{{- with include "task-service.migrationSecret" . }}
{{- /* The direct address and a role that may create tables. */ -}}
{{- $url := list . (ternary $.Values.migrations.database.key "migration-url" (not (empty $.Values.migrations.database.existingSecret))) "database-url" -}}
{{- $secrets = prepend (rest $secrets) $url -}}
{{- end -}}
activeDeadlineSeconds: {{ .Values.migrations.activeDeadlineSeconds }}
backoffLimit: {{ .Values.migrations.backoffLimit }}
podFailurePolicy:
  rules:
    # An eviction is not a failure of the migration.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
template:
  metadata:
    {{- include "task-service.podMetadata" (dict "root" . "component" "web-migration" "labels" .Values.migrations.podLabels "annotations" .Values.migrations.podAnnotations) | nindent 4 }}
  spec:
    restartPolicy: Never
    {{- include "task-service.podSpec" (list . (pick .Values.affinity "nodeAffinity")) | nindent 4 }}
    securityContext:
      {{- toYaml .Values.podSecurityContext | nindent 6 }}
    containers:
      - name: migrate
        {{- include "task-service.frontendContainer" . | nindent 8 }}
        args: [migrate]
        env:
          {{- print (include "task-service.frontendEnvironment" .) (include "task-service.frontendUserEnvironment" .) | nindent 10 }}
        resources:
          {{- toYaml .Values.migrations.resources | nindent 10 }}
        volumeMounts:
          {{- include "task-service.volumeMounts" . | nindent 10 }}
    volumes:
      {{- include "task-service.volumes" (list . $secrets) | nindent 6 }}
{{- end }}
