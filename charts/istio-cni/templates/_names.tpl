{{- define "cni.labels" -}}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" | quote }}
operator.istio.io/component: Cni
{{- end }}

{{- define "cni.appLabels" -}}
app: istio-cni
{{ include "cni.labels" . }}
release: {{ .Release.Name }}
{{- end }}

{{- define "cni.image" -}}
{{- $global := .Values.global }}
{{- with .Values.cni }}
{{- if contains "/" .image }}
{{- .image }}
{{- else }}
{{- .hub | default $global.hub }}/{{ .image | default "install-cni" }}:{{ .tag | default $global.tag }}
{{- with .variant | default $global.variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cni.pullPolicy" -}}
{{- with .Values.cni.pullPolicy | default .Values.global.imagePullPolicy -}}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* The directory of plug-ins on the node; some platforms keep theirs elsewhere. */}}
{{- define "cni.binDir" -}}
{{- $usual := contains "-gke" .Capabilities.KubeVersion.GitVersion | ternary "/home/kubernetes/bin" "/opt/cni/bin" }}
{{- .Values.cni.cniBinDir | default $usual }}
{{- end }}
