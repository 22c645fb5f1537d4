{{- define "scepsy.gateway" -}}
{{ printf "%s-gateway" (.Release.Name | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- define "scepsy.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "scepsy.gateway" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "scepsy.routes" -}}
{{ default (printf "%s-routes" .Values.deployment) .Values.routes }}
{{- end }}

{{- define "scepsy.claim" -}}
{{ default (printf "%s-traces" (include "scepsy.gateway" .)) .Values.traces.existingClaim }}
{{- end }}

{{- define "scepsy.secret" -}}
{{ default (printf "%s-keys" (include "scepsy.gateway" .)) .Values.keys.existingSecret }}
{{- end }}

{{- define "scepsy.admin" -}}
{{ default (printf "%s-admin" (include "scepsy.gateway" .)) .Values.admin.existingSecret }}
{{- end }}

{{- define "scepsy.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{/* Selects the gateway's pods. The engines' NetworkPolicy lets pods with the last two labels in. */}}
{{- define "scepsy.selector" -}}
app.kubernetes.io/name: scepsy
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: gateway
app.kubernetes.io/part-of: scepsy
{{- end }}

{{- define "scepsy.labels" -}}
{{ include "scepsy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}
