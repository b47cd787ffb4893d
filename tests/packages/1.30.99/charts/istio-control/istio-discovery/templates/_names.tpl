{{- define "istiod.name" -}}
istiod{{ include "istio.suffix" . }}
{{- end }}

{{/* The end of names of cluster-wide objects. */}}
{{- define "istiod.clusterSuffix" -}}
{{ include "istio.suffix" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "istiod.labels" -}}
app: istiod
istio.io/rev: {{ include "istio.revision" . | quote }}
{{ include "istio.labels" . }}
{{- end }}

{{- define "istiod.selector" -}}
{{- if include "istio.suffix" . -}}
app: istiod
istio.io/rev: {{ include "istio.revision" . | quote }}
{{- else -}}
istio: pilot
{{- end }}
{{- end }}

{{/* What ties an account to a role. Takes root, kind, role and name. */}}
{{- define "istiod.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Values.global.istioNamespace }}
  {{- end }}
  labels:
    {{- include "istiod.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .account | default (include "istiod.name" .root) }}
  namespace: {{ .root.Values.global.istioNamespace }}
{{- end }}
