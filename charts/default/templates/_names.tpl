{{- define "default.revision" -}}
{{ .Values.revision | default "default" }}
{{- end }}

{{/* Where the API server finds a webhook of the revision. Takes root, url, or else namespace and path. */}}
{{- define "default.client" -}}
{{- if .url -}}
url: {{ .url | quote }}
{{- else -}}
service:
  name: istiod{{ with .root.Values.revision }}-{{ . }}{{ end }}
  namespace: {{ .namespace }}
  path: {{ .path }}
{{- end }}
{{- end }}
