{{- /* Helpers of the rules in alerts/. */ -}}

{{- /* The label `job` of this release's series: the release name, or the full name if it is not the default one,
       such as for a second copy of this chart in one release (`alias`). */ -}}
{{- define "task-service.job" -}}
{{- $fullname := include "task-service.fullname" . -}}
{{- ternary .Release.Name $fullname (eq $fullname (printf "%s-task-service" .Release.Name)) }}
{{- end }}

{{- /* Label matchers of this release's series. The monitors set `job`. */ -}}
{{- define "task-service.series" -}}
{{- .Values.monitoring.selector | default (printf "namespace=%q, job=%q" .Release.Namespace (include "task-service.job" .)) }}
{{- end }}

{{- /* Label matchers of the frontend's series. */ -}}
{{- define "task-service.frontendSeries" -}}
{{- .Values.monitoring.frontendSelector | default (printf "namespace=%q, job=%q" .Release.Namespace (print (include "task-service.job" .) "-web")) }}
{{- end }}

{{- /* Converts a duration such as "5m" to seconds, scaled: {{ include "task-service.seconds" (list . "5m") }} */ -}}
{{- define "task-service.seconds" -}}
{{- $root := first . -}}
{{- $length := last . -}}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[smhd]$" $length) -}}
{{- printf "%g" (mulf (regexFind "^[0-9]+" $length | float64) $unit (float64 $root.Values.monitoring.slo.windowScale)) }}
{{- end }}

{{- /* The scaled duration in Prometheus syntax. */ -}}
{{- define "task-service.window" -}}
{{- $root := first . -}}
{{- if eq (float64 $root.Values.monitoring.slo.windowScale) 1.0 }}{{ last . }}
{{- else }}{{ printf "%.0fms" (mulf (include "task-service.seconds" . | float64) 1000.0) }}
{{- end }}
{{- end }}

{{- /* Fraction of requests that may be bad, from an objective in percent. */ -}}
{{- define "task-service.budget" -}}
{{- printf "%.6g" (divf (subf 100.0 (float64 .)) 100.0) }}
{{- end }}

{{- /* The latency threshold as the label `le` of the histogram: 0.3, 1.0 */ -}}
{{- define "task-service.latencyBound" -}}
{{- $seconds := .Values.monitoring.slo.latency.thresholdSeconds | float64 -}}
{{- if eq $seconds (floor $seconds) }}{{ printf "%.1f" $seconds }}{{ else }}{{ printf "%g" $seconds }}{{ end }}
{{- end }}

{{- /* The alert's runbook_url: the runbook has the name of the alert. */ -}}
{{- define "task-service.runbook" -}}
runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" (first .).Values.monitoring.prometheusRule.runbookUrl) (last .) | quote }}
{{- end }}

{{- /* One pair of windows: (long, short, fraction of the budget, hours of the long window). The short window makes the alert
       clear soon. The last condition, bad requests in 1 h or 6 h, suppresses alerts at low traffic. */ -}}
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
