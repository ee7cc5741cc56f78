{{- /* Names and labels; nothing else. */ -}}

{{- define "task-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 40 characters, so that every suffix below fits into the 63 of a label. */ -}}
{{- define "task-service.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "task-service.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "task-service.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* The label `component` tells the service's pods (api) from the migration's and the database's. */ -}}
{{- define "task-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "task-service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "task-service.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "task-service.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: task-service
app.kubernetes.io/managed-by: {{ .Release.Service }}
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

{{- /* The Secrets' names: the user's own, or those that this chart makes. */ -}}
{{- define "task-service.databaseSecret" -}}
{{- if .Values.database.embedded }}{{ include "task-service.fullname" . }}-embedded
{{- else if .Values.externalSecret.enabled }}{{ include "task-service.fullname" . }}-external
{{- else }}{{ .Values.database.existingSecret }}
{{- end }}
{{- end }}

{{- define "task-service.migrationSecret" -}}
{{- if .Values.migrations.database.existingSecret }}{{ .Values.migrations.database.existingSecret }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.migrationUrl }}{{ include "task-service.fullname" . }}-external
{{- end }}
{{- end }}

{{- define "task-service.authSecret" -}}
{{- if .Values.auth.existingSecret }}{{ .Values.auth.existingSecret }}
{{- else if and .Values.externalSecret.enabled .Values.externalSecret.remote.authSecret }}{{ include "task-service.fullname" . }}-external
{{- else if and .Values.database.embedded (not .Values.auth.betterAuthUrl) }}{{ include "task-service.fullname" . }}-embedded
{{- end }}
{{- end }}
