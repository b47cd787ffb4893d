{{/*
The name under which a control plane elsewhere is reached: istiod, unless a control plane here has taken that name.
*/}}
{{- define "base.remoteName" -}}
istiod
{{- with .Values.pilot }}{{ if .enabled }}-remote{{ end }}{{ end }}
{{- end }}

{{/* "true" where the control plane elsewhere is given by an IP address, not by a host name. */}}
{{- define "base.remoteIsIP" -}}
{{- if regexMatch "^([0-9]*\\.){3}[0-9]*$" .Values.global.remotePilotAddress }}true{{ end }}
{{- end }}
