{{- /* Rules of the NetworkPolicies. A policy applies after Service translation, so every port is a pod port. */ -}}

{{- /* A rule with TCP ports: {{ include "task-service.egressTo" (list 80 3000) }} */ -}}
{{- define "task-service.egressTo" -}}
{{- $ports := list -}}
{{- range . }}{{ $ports = append $ports (int .) }}{{ end -}}
- ports:
    {{- range uniq $ports }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}

{{- /* Egress of every policy: DNS, and the user's extraEgress. */ -}}
{{- define "task-service.commonEgress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "task-service.databaseEgress" -}}
{{- include "task-service.egressTo" .Values.networkPolicy.databasePorts }}
{{- if .Values.database.embedded.enabled }}
  to:
    - podSelector:
        matchLabels:
          {{- include "task-service.selectorLabels" . | nindent 10 }}
          app.kubernetes.io/component: embedded-database
{{- end }}
{{- end }}

{{- /* A variable's value, from `config` or `extraEnv`: {{ include "task-service.variable" (list . "NAME") }} */ -}}
{{- define "task-service.variable" -}}
{{- $root := first . -}}
{{- $name := last . -}}
{{- if hasKey $root.Values.config $name }}{{ include "task-service.text" (get $root.Values.config $name) }}{{ end -}}
{{- range $root.Values.extraEnv }}{{ if eq .name $name }}{{ .value | default "" }}{{ end }}{{ end -}}
{{- end }}

{{- /* Egress to the frontend's key set. */ -}}
{{- define "task-service.frontendEgress" -}}
{{- $ports := list -}}
{{- range list .Values.auth.betterAuthUrl (include "task-service.variable" (list . "BETTER_AUTH_JWKS_URL")) (include "task-service.frontendKeySet" .) }}
{{- with include "task-service.portOf" . }}{{ $ports = append $ports . }}{{ end }}
{{- end }}
{{- with $ports }}
# The frontend's key set.
{{ include "task-service.egressTo" (concat . $.Values.networkPolicy.frontendPorts) }}
{{- end }}
{{- end }}

{{- define "task-service.collectorEgress" -}}
{{- $ports := list -}}
{{- range list .Values.tracing.endpoint (include "task-service.variable" (list . "OTEL_EXPORTER_OTLP_ENDPOINT")) (include "task-service.variable" (list . "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) }}
{{- with include "task-service.portOf" . }}{{ $ports = append $ports . }}{{ end }}
{{- end }}
{{- with $ports }}
# Traces.
{{ include "task-service.egressTo" (concat . $.Values.networkPolicy.collectorPorts) }}
{{- end }}
{{- end }}
