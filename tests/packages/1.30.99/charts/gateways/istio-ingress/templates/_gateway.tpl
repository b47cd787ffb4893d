{{/* The section of the gateway, by the name of its chart: all that ingress and egress differ in. */}}
{{- define "gateway" -}}
{{- index .Values.gateways (print .Chart.Name "gateway") | toJson }}
{{- end }}

{{- define "gateway.labels" -}}
{{- toYaml (include "gateway" . | fromJson).labels }}
istio.io/rev: {{ include "istio.revision" . | quote }}
{{ include "istio.labels" . }}
{{- end }}
