// The default email: readable on a phone, in the dark, and in clients that know only tables and inline styles.

const font = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

/** Colours for clients that follow the dark; the inline ones are for the light and for clients that know neither. */
const style = `
:root { color-scheme: light dark; supported-color-schemes: light dark; }
a { text-decoration: none; }
@media (prefers-color-scheme: dark) {
  .page { background: #0f1419 !important; }
  .card { background: #1a2129 !important; border-color: #2d3843 !important; }
  .ink { color: #e8edf2 !important; }
  .soft { color: #9fb0c0 !important; }
  .chip { background: #253039 !important; color: #c9d5e0 !important; }
  .link { color: #7cc0ff !important; }
}
@media (max-width: 480px) {
  .page { padding: 0 !important; }
  .outer { padding: 12px 0 !important; }
  .card { border-radius: 0 !important; border-left: 0 !important; border-right: 0 !important; }
}`

/** `email.default.html` and `email.default.text`, under Alertmanager's names so that users' own files may replace them. */
export const emailTemplates = `
{{ define "__email_title" }}{{ if .Labels.alertname }}{{ .Labels.alertname }}{{ else }}Alert{{ end }}{{ end }}
{{ define "__email_chips" }}{{ range .Labels.SortedPairs }}{{ if ne .Name "alertname" }}<span class="chip" style="display:inline-block;margin:0 4px 4px 0;padding:2px 8px;border-radius:10px;background:#eef2f6;color:#3d4c5a;font-size:12px;line-height:18px;word-break:break-all">{{ .Name }}={{ .Value }}</span> {{ end }}{{ end }}{{ end }}
{{ define "__email_links" }}{{ if .Annotations.runbook_url }}<a class="link" href="{{ .Annotations.runbook_url }}" style="color:#0b63b0;font-weight:600">Runbook</a>&nbsp;&nbsp; {{ end }}{{ if .Annotations.dashboard_url }}<a class="link" href="{{ .Annotations.dashboard_url }}" style="color:#0b63b0;font-weight:600">Dashboard</a>&nbsp;&nbsp; {{ end }}{{ if .GeneratorURL }}<a class="link" href="{{ .GeneratorURL }}" style="color:#0b63b0;font-weight:600">Source</a>{{ end }}{{ end }}
{{ define "__email_alert" }}<tr><td style="padding:0 0 12px 0"><table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" style="background:#ffffff;border:1px solid #d9e0e7;border-left:4px solid {{ if eq .Status "firing" }}#d13438{{ else }}#1e8e4e{{ end }};border-radius:6px">
<tr><td style="padding:14px 16px;${font}">
<div style="font-size:12px;font-weight:700;letter-spacing:.04em;color:{{ if eq .Status "firing" }}#d13438{{ else }}#1e8e4e{{ end }}">{{ .Status | toUpper }}{{ if .Labels.severity }} &middot; {{ .Labels.severity }}{{ end }}</div>
<div class="ink" style="margin:2px 0 0 0;font-size:17px;line-height:24px;font-weight:700;color:#17212b">{{ template "__email_title" . }}</div>
{{ with .Annotations.summary }}<div class="ink" style="margin:4px 0 0 0;font-size:15px;line-height:22px;color:#17212b">{{ . }}</div>{{ end }}
{{ with .Annotations.description }}<div class="soft" style="margin:4px 0 0 0;font-size:14px;line-height:21px;color:#566573;white-space:pre-line">{{ . }}</div>{{ end }}
<div style="margin:10px 0 0 0">{{ template "__email_chips" . }}</div>
{{ range .Annotations.SortedPairs }}{{ if not (or (eq .Name "summary") (eq .Name "description") (eq .Name "runbook_url") (eq .Name "dashboard_url")) }}<div class="soft" style="margin:4px 0 0 0;font-size:13px;line-height:19px;color:#566573;word-break:break-word"><b>{{ .Name }}</b> {{ .Value }}</div>{{ end }}{{ end }}
<div class="soft" style="margin:10px 0 0 0;font-size:12px;line-height:18px;color:#566573">since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05" }} UTC{{ if eq .Status "resolved" }}, until {{ .EndsAt.UTC.Format "2006-01-02 15:04:05" }} UTC{{ end }}</div>
<div style="margin:8px 0 0 0;font-size:13px;line-height:20px">{{ template "__email_links" . }}</div>
</td></tr></table></td></tr>{{ end }}
{{ define "email.default.html" }}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark"><title>{{ template "email.default.subject" . }}</title><style>${style}</style></head>
<body class="page" style="margin:0;padding:0 8px;background:#f3f6f9">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" class="outer" style="padding:20px 0">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px;text-align:left">
<tr><td style="padding:0 16px 14px 16px;${font}">
<div class="ink" style="font-size:20px;line-height:28px;font-weight:700;color:#17212b">{{ if eq .Status "firing" }}{{ .Alerts.Firing | len }} firing{{ if gt (len .Alerts.Resolved) 0 }}, {{ .Alerts.Resolved | len }} resolved{{ end }}{{ else }}All {{ .Alerts.Resolved | len }} resolved{{ end }}</div>
<div class="soft" style="font-size:14px;line-height:20px;color:#566573">{{ if .GroupLabels.SortedPairs }}{{ range $i, $p := .GroupLabels.SortedPairs }}{{ if $i }}, {{ end }}{{ $p.Name }}={{ $p.Value }}{{ end }}{{ else }}all alerts of this receiver{{ end }}</div>
</td></tr>
{{ range .Alerts.Firing }}{{ template "__email_alert" . }}{{ end }}
{{ range .Alerts.Resolved }}{{ template "__email_alert" . }}{{ end }}
{{ if gt .TruncatedAlerts 0 }}<tr><td class="soft" style="padding:0 16px 12px 16px;${font};font-size:13px;color:#566573">and {{ .TruncatedAlerts }} more</td></tr>{{ end }}
<tr><td class="soft" style="padding:4px 16px;${font};font-size:12px;line-height:18px;color:#566573">Sent to {{ .Receiver }} by <a class="link" href="{{ template "__alerturl" . }}" style="color:#0b63b0">Airboss</a></td></tr>
</table></td></tr></table></body></html>
{{ end }}
{{ define "__email_text_alert" }}{{ .Status | toUpper }} {{ template "__email_title" . }}
{{ with .Annotations.summary }}  {{ . }}
{{ end }}{{ with .Annotations.description }}  {{ . }}
{{ end }}{{ range .Labels.SortedPairs }}{{ if ne .Name "alertname" }}  {{ .Name }} = {{ .Value }}
{{ end }}{{ end }}{{ range .Annotations.SortedPairs }}{{ if not (or (eq .Name "summary") (eq .Name "description")) }}  {{ .Name }}: {{ .Value }}
{{ end }}{{ end }}  since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05" }} UTC{{ if eq .Status "resolved" }}, until {{ .EndsAt.UTC.Format "2006-01-02 15:04:05" }} UTC{{ end }}
{{ if .GeneratorURL }}  {{ .GeneratorURL }}
{{ end }}
{{ end }}
{{ define "email.default.text" }}{{ template "email.default.subject" . }}

{{ range .Alerts.Firing }}{{ template "__email_text_alert" . }}{{ end }}{{ range .Alerts.Resolved }}{{ template "__email_text_alert" . }}{{ end }}{{ if gt .TruncatedAlerts 0 }}and {{ .TruncatedAlerts }} more

{{ end }}Airboss: {{ template "__alerturl" . }}
{{ end }}
`
