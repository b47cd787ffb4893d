{{/* What every object says of where it comes from. */}}
{{- define "istio.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "istio.revision" -}}
{{ .Values.revision | default "default" }}
{{- end }}

{{/* The end of names of which each revision has its own. */}}
{{- define "istio.suffix" -}}
{{- with .Values.revision }}{{ if ne . "default" }}-{{ . }}{{ end }}{{ end }}
{{- end }}

{{/* Takes root and name; a name with a slash is the whole image. */}}
{{- define "istio.image" -}}
{{- $values := .root.Values }}
{{- if contains "/" .name }}{{ .name }}
{{- else }}{{ $values.hub | default $values.global.hub }}/{{ .name }}:{{ $values.tag | default $values.global.tag }}
{{- with $values.variant | default $values.global.variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}
