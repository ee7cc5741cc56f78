{{- /* Names, labels and conversions. */ -}}

{{- define "task-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 40 characters, so that every suffix fits into the 63 of a label. A longer name is truncated and
       ends in a hash of the whole name, so that two long names stay different. */ -}}
{{- define "task-service.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "task-service.name" .) -}}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains (include "task-service.name" .) .Release.Name }}
{{- $name = .Release.Name -}}
{{- end }}
{{- if gt (len $name) 40 }}
{{- $name = printf "%s-%s" (trunc 31 $name | trimAll "-") (sha256sum $name | trunc 8) -}}
{{- end }}
{{- $name }}
{{- end }}

{{- /* The label `component` distinguishes the service's pods (api) from those of the migration and the database. */ -}}
{{- define "task-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "task-service.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* The image's tag or digest, as text and as a label. */ -}}
{{- define "task-service.version" -}}
{{- .Values.image.tag | default .Values.image.digest | default .Chart.AppVersion }}
{{- end }}

{{- /* Converts a text to a label value: at most 63 characters, a letter or digit at both ends. */ -}}
{{- define "task-service.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- define "task-service.labels" -}}
helm.sh/chart: {{ include "task-service.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
{{ include "task-service.selectorLabels" . }}
app.kubernetes.io/version: {{ include "task-service.labelValue" (include "task-service.version" .) | quote }}
app.kubernetes.io/part-of: task-service
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* An object's labels, merged with the user's labels, which take precedence:
       {{ include "task-service.labelsWith" (list . "api" .Values.…labels) }} */ -}}
{{- define "task-service.labelsWith" -}}
{{- $component := dict "app.kubernetes.io/component" (index . 1) -}}
{{- merge (dict) (index . 2) $component (include "task-service.labels" (index . 0) | fromYaml) | toYaml }}
{{- end }}

{{- define "task-service.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "task-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "task-service.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Names of the Secrets: the user's, or those that this chart creates. */ -}}
{{- define "task-service.databaseSecret" -}}
{{- if .Values.database.embedded.enabled }}{{ include "task-service.fullname" . }}-embedded
{{- else if .Values.externalSecret.enabled }}{{ include "task-service.fullname" . }}-external
{{- else }}{{ .Values.database.existingSecret }}
{{- end }}
{{- end }}

{{- define "task-service.databaseKey" -}}
{{- ternary "database-url" .Values.database.key (or .Values.database.embedded.enabled .Values.externalSecret.enabled) }}
{{- end }}

{{- define "task-service.migrationSecret" -}}
{{- if .Values.migrations.database.existingSecret }}{{ .Values.migrations.database.existingSecret }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.migrationUrl }}{{ include "task-service.fullname" . }}-external
{{- end }}
{{- end }}

{{- define "task-service.authSecret" -}}
{{- if .Values.auth.existingSecret }}{{ .Values.auth.existingSecret }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.authSecret }}{{ include "task-service.fullname" . }}-external
{{- else if and .Values.database.embedded.enabled (not .Values.auth.betterAuthUrl) }}{{ include "task-service.fullname" . }}-embedded
{{- end }}
{{- end }}

{{- define "task-service.authKey" -}}
{{- ternary .Values.auth.key "auth-secret" (not (empty .Values.auth.existingSecret)) }}
{{- end }}

{{- /* Converts a text, number or boolean to text. Helm reads every number of a file as a float, which prints as 2.097152e+06. */ -}}
{{- define "task-service.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- /* The port of an http or https URL; empty for any other text. */ -}}
{{- define "task-service.portOf" -}}
{{- if regexMatch "^https?://[^/?#]" . }}
{{- (urlParse .).host | regexFind ":[0-9]+$" | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https:" .)) }}
{{- end }}
{{- end }}
