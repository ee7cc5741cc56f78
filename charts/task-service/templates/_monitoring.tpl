{{- /* What the rules in alerts/ are made of. */ -}}

{{- /* The label `job` of this release's series: the release's name, or the service's full name where that is another than
       the default, as it is for a second copy of this chart in one release (`alias`). */ -}}
{{- define "task-service.job" -}}
{{- $fullname := include "task-service.fullname" . -}}
{{- ternary .Release.Name $fullname (eq $fullname (printf "%s-task-service" .Release.Name)) }}
{{- end }}

{{- /* Which series are this release's: the monitors set their `job`. */ -}}
{{- define "task-service.series" -}}
{{- .Values.monitoring.selector | default (printf "namespace=%q, job=%q" .Release.Namespace (include "task-service.job" .)) }}
{{- end }}

{{- /* A duration such as "5m" in seconds, scaled: {{ include "task-service.seconds" (list . "5m") }} */ -}}
{{- define "task-service.seconds" -}}
{{- $root := first . -}}
{{- $length := last . -}}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[smhd]$" $length) -}}
{{- printf "%g" (mulf (regexFind "^[0-9]+" $length | float64) $unit (float64 $root.Values.monitoring.slo.windowScale)) }}
{{- end }}

{{- /* The same as Prometheus writes it. */ -}}
{{- define "task-service.window" -}}
{{- $root := first . -}}
{{- if eq (float64 $root.Values.monitoring.slo.windowScale) 1.0 }}{{ last . }}
{{- else }}{{ printf "%.0fms" (mulf (include "task-service.seconds" . | float64) 1000.0) }}
{{- end }}
{{- end }}

{{- /* Share of requests that may be bad, from an objective in percent. */ -}}
{{- define "task-service.budget" -}}
{{- printf "%.6g" (divf (subf 100.0 (float64 .)) 100.0) }}
{{- end }}

{{- /* Bound of the latency objective as the histogram spells it: 0.3, 1.0 */ -}}
{{- define "task-service.latencyBound" -}}
{{- $seconds := .Values.monitoring.slo.latency.thresholdSeconds | float64 -}}
{{- if eq $seconds (floor $seconds) }}{{ printf "%.1f" $seconds }}{{ else }}{{ printf "%g" $seconds }}{{ end }}
{{- end }}

{{- /* Annotations of an alert: its runbook is named like it. */ -}}
{{- define "task-service.runbook" -}}
runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" (first .).Values.monitoring.prometheusRule.runbookUrl) (last .) | quote }}
{{- end }}

{{- /* One pair of windows: (long, short, share of the budget, hours of the long one). The short one makes the alert clear
       soon; the last line, bad requests in one hour or six, keeps a handful at night from waking somebody. */ -}}
{{- define "task-service.burns" -}}
{{- $root := first . -}}
{{- $pair := last . -}}
{{- $long := first $pair -}}
{{- $slo := printf "{%s}" (include "task-service.series" $root) -}}
{{- $factor := printf "%.4g" (divf (mulf (index $pair 2) 24.0 (float64 $root.Values.monitoring.slo.days)) (index $pair 3)) -}}
{{- $counted := ternary "1h" "6h" (eq $long "1h") -}}
(
  job:slo_burn_rate:{{ $long }}{{ $slo }} > {{ $factor }}
  and job:slo_burn_rate:{{ index $pair 1 }}{{ $slo }} > {{ $factor }}
  and job:slo_errors:rate{{ $counted }}{{ $slo }} * {{ include "task-service.seconds" (list $root $counted) }} >= {{ int64 $root.Values.monitoring.slo.minimumErrors }}
)
{{- end }}
