{{- define "spandrel.name" -}}
{{- if contains "spandrel" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-spandrel" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "spandrel.account" -}}
{{- .Values.serviceAccount.name | default (ternary (include "spandrel.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "spandrel.selector" -}}
app.kubernetes.io/name: spandrel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spandrel.labels" -}}
{{ include "spandrel.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
