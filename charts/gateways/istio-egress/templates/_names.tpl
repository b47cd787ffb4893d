{{/* The key of the gateway's values, whatever the gateway's own name is. */}}
{{- define "gateway.key" -}}
istio-{{ include "gateway.direction" . }}gateway
{{- end }}

{{- define "gateway.account" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) -}}
{{ $gateway.name }}-service-account
{{- end }}

{{/* Labels that say where an object comes from. */}}
{{- define "gateway.origin" -}}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
{{ include "gateway.owner" . }}
{{- end }}

{{- define "gateway.owner" -}}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" | quote }}
operator.istio.io/component: {{ include "gateway.direction" . | title }}Gateways
{{- end }}

{{/* Labels that select the gateway's pods. */}}
{{- define "gateway.selector" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- range $name, $value := $gateway.labels }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "gateway.labels" -}}
{{- include "gateway.selector" . }}
{{ include "gateway.origin" . }}
release: {{ .Release.Name }}
{{- end }}

{{- define "gateway.image" -}}
{{- with .Values.global }}
{{- if contains "/" (.proxy.image | default "proxyv2") }}
{{- .proxy.image }}
{{- else }}
{{- .hub }}/{{ .proxy.image | default "proxyv2" }}:{{ .tag }}
{{- with .proxy.variant | default .variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
