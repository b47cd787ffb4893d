{{/* "true" if the address of the istiod elsewhere is an IP address, and no name. */}}
{{- define "address.isIP" -}}
{{- if regexMatch "^([0-9]*\\.){3}[0-9]*$" .Values.global.remotePilotAddress }}true{{ end }}
{{- end }}
