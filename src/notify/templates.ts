// Templates of notifications: Alertmanager's data and functions over Go's template language, with default texts of our own.
import { AppError } from '../lib/errors.ts'
import { type GoTime, goTime } from '../lib/template/go-time.ts'
import { createTemplateSet, type Functions, type Template, Verbatim } from '../lib/template/template.ts'
import { textFunctions } from '../lib/template/text-functions.ts'
import { type Instant, instant } from '../lib/time.ts'
import type { Notification, NotifiedAlert } from '../model/alert.ts'
import { emailTemplates } from './email-template.ts'
import { escapeHtml } from './html.ts'

type Set = Readonly<Record<string, string>>

/** Go's zero time: what a template sees as the end of an alert that fires. */
const zeroTime = instant(-62_135_596_800_000)

/** Methods beside the values: not counted by `len`, not seen by `range`. */
const withMethods = <T extends object>(
  value: T,
  methods: Readonly<Record<string, (...args: never[]) => unknown>>,
): T => {
  for (const [name, method] of Object.entries(methods))
    if (!Object.hasOwn(value, name)) Object.defineProperty(value, name, { value: method })
  return value
}

const pairList = (pairs: { Name: string; Value: string }[]) =>
  withMethods(pairs, { Names: () => pairs.map((p) => p.Name), Values: () => pairs.map((p) => p.Value) })

/** A label set with Alertmanager's methods; the labels themselves are its fields. */
const kv = (set: Set): Record<string, unknown> => {
  const sorted = () => {
    const names = Object.keys(set).sort()
    // The alert's name comes first, as people read it.
    const ordered = names.includes('alertname')
      ? ['alertname', ...names.filter((n) => n !== 'alertname')]
      : names
    return pairList(ordered.map((Name) => ({ Name, Value: set[Name]! })))
  }
  return withMethods<Record<string, unknown>>(
    { ...set },
    {
      SortedPairs: sorted,
      Remove: (names: readonly string[]) =>
        kv(Object.fromEntries(Object.entries(set).filter(([n]) => !names.includes(n)))),
      Names: () => sorted().map((p) => p.Name),
      Values: () => sorted().map((p) => p.Value),
    },
  )
}

const alertData = (alert: NotifiedAlert): Record<string, unknown> => ({
  Status: alert.status,
  Labels: kv(alert.labels),
  Annotations: kv(alert.annotations),
  StartsAt: goTime(alert.startsAt),
  EndsAt: goTime(alert.status === 'resolved' ? alert.endsAt : zeroTime),
  GeneratorURL: alert.generatorURL,
  Fingerprint: alert.fingerprint,
})

/** What the dot is: the same names as in Alertmanager. `.Alerts.Firing` and `.Alerts.Resolved` stand beside the list itself. */
export const templateData = (n: Notification): Record<string, unknown> => {
  const all = n.alerts.map(alertData)
  const alerts = withMethods(all, {
    Firing: () => all.filter((a) => a['Status'] === 'firing'),
    Resolved: () => all.filter((a) => a['Status'] === 'resolved'),
  })
  return {
    Receiver: n.receiver,
    Status: n.status,
    Alerts: alerts,
    GroupLabels: kv(n.groupLabels),
    CommonLabels: kv(n.commonLabels),
    CommonAnnotations: kv(n.commonAnnotations),
    ExternalURL: n.externalURL,
    GroupKey: n.groupKey,
    TruncatedAlerts: BigInt(n.truncatedAlerts),
    NotificationReason: n.reason,
    RouteLabels: kv(n.routeLabels),
  }
}

const functions = (now: () => Instant): Functions => {
  return {
    ...textFunctions,
    trimSpace: (text: string) => text.trim(),
    join: (separator: string, list: readonly unknown[]) => list.map(String).join(separator),
    stringSlice: (...texts: string[]) => texts,
    // In plain text nothing is escaped; the HTML set has its own two.
    safeHtml: (text: string) => text,
    safeUrl: (text: string) => text,
    urlUnescape: (text: string) => decodeURIComponent(text.replaceAll('+', ' ')),
    since: (time: GoTime) => (goTime(now())['Sub'] as (t: GoTime) => unknown)(time),
    humanizeDuration: (seconds: number | string) => humanizeDuration(Number(seconds)),
    date: (layout: string, time: GoTime) => (time['Format'] as (l: string) => string)(layout),
    tz: (zone: string, time: GoTime) => (time['In'] as (z: string) => unknown)(zone),
    toJson: (value: unknown) =>
      JSON.stringify(value, (_, v: unknown) =>
        typeof v === 'bigint' ? Number(v) : typeof v === 'function' ? undefined : v,
      ),
  }
}

/** Seconds as Prometheus words them: `1d 2h 3m 4s`, `1.5s`, `20ms`. */
export const humanizeDuration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return String(seconds)
  const size = Math.abs(seconds)
  const sign = seconds < 0 ? '-' : ''
  if (size === 0) return '0s'
  if (size < 1) {
    const [factor, unit] = size >= 1e-3 ? [1e3, 'ms'] : size >= 1e-6 ? [1e6, 'us'] : [1e9, 'ns']
    return `${sign}${Number((size * (factor as number)).toPrecision(4))}${unit}`
  }
  if (size < 60) return `${sign}${Number(size.toPrecision(4))}s`
  const whole = Math.floor(size)
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const
  const first = parts.findIndex(([n]) => n > 0)
  return (
    sign +
    parts
      .slice(first)
      .map(([n, unit]) => `${n}${unit}`)
      .join(' ')
  )
}

/** Texts that a file may build on or redefine; they carry Alertmanager's names so that users' templates find them. */
export const defaultTemplates = `
{{ define "__subject" }}{{ if eq .Status "firing" }}FIRING {{ .Alerts.Firing | len }}{{ else }}RESOLVED{{ end }}: {{ if .GroupLabels.SortedPairs }}{{ .GroupLabels.Values | join " " }}{{ else }}{{ .CommonLabels.Values | join " " }}{{ end }}{{ if .CommonAnnotations.summary }}: {{ .CommonAnnotations.summary }}{{ else if .GroupLabels.SortedPairs }}{{ with .CommonLabels.Remove .GroupLabels.Names }}{{ if .SortedPairs }} ({{ .Values | join " " }}){{ end }}{{ end }}{{ end }}{{ end }}
{{ define "__alerturl" }}{{ .ExternalURL }}/alerts?receiver={{ .Receiver | urlquery }}{{ end }}
{{ define "__text_alert_list" }}{{ range . }}{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}
{{ range .Annotations.SortedPairs }}  {{ .Name }}: {{ .Value }}
{{ end }}  {{ .GeneratorURL }}
{{ end }}{{ end }}
{{ define "__bracketed" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }} {{ if gt (len .CommonLabels) (len .GroupLabels) }}({{ (.CommonLabels.Remove .GroupLabels.Names).Values | join " " }}){{ end }}{{ end }}
{{ define "slack.default.title" }}{{ template "__bracketed" . }}{{ end }}
{{ define "slack.default.titlelink" }}{{ template "__alerturl" . }}{{ end }}
{{ define "slack.default.username" }}Airboss{{ end }}
{{ define "slack.default.fallback" }}{{ template "slack.default.title" . }} | {{ template "slack.default.titlelink" . }}{{ end }}
{{ define "slack.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end }}
{{ define "slack.default.pretext" }}{{ end }}
{{ define "slack.default.text" }}{{ end }}
{{ define "slack.default.footer" }}{{ end }}
{{ define "slack.default.callbackid" }}{{ end }}
{{ define "slack.default.iconemoji" }}{{ end }}
{{ define "slack.default.iconurl" }}{{ end }}
{{ define "email.default.subject" }}{{ template "__bracketed" . }}{{ end }}
{{ define "pagerduty.default.client" }}Airboss{{ end }}
{{ define "pagerduty.default.clientURL" }}{{ template "__alerturl" . }}{{ end }}
{{ define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end }}
{{ define "pagerduty.default.instances" }}{{ template "__text_alert_list" . }}{{ end }}
`

export interface NotificationTemplates {
  /** Reads a template; throws `bad_data` with line and column. */
  compile(text: string, name: string): NotificationText
  /** The same for HTML: what the alerts say is escaped where it stands. */
  compileHtml(text: string, name: string): NotificationText
}
/** Renders for a notification; throws `bad_data` when a text cannot be made from it. */
export type NotificationText = (notification: Notification) => string

/** The default texts with the users' own files over them. `files` are name and text of each. */
export const createTemplates = (
  files: readonly { readonly name: string; readonly text: string }[],
  now: () => Instant,
): NotificationTemplates => {
  const own = functions(now)
  const plain = createTemplateSet(own, { missingKey: 'zero' })
  const safe = (text: string): Verbatim => new Verbatim(text)
  const html = createTemplateSet(
    { ...own, safeHtml: safe, safeUrl: safe },
    { missingKey: 'zero', escape: escapeHtml },
  )
  for (const set of [plain, html]) {
    set.add(defaultTemplates, 'default texts')
    set.add(emailTemplates, 'default email')
    for (const file of files) set.add(file.text, file.name)
  }
  const compile = (set: typeof plain, text: string, name: string): NotificationText => {
    // Most fields are plain words: they need no evaluation.
    if (!text.includes('{{')) return () => text
    const template: Template = set.compile(text, name)
    return (n) => template.render(templateData(n))
  }
  return {
    compile: (text, name) => compile(plain, text, name),
    compileHtml: (text, name) => compile(html, text, name),
  }
}

/** A template text checked when it is read from the configuration, with only its syntax known. */
export const templateProblem = (text: string): string | null => {
  try {
    createTemplates([], () => instant(0)).compile(text, 'template')
    return null
  } catch (error) {
    return error instanceof AppError ? error.message : String(error)
  }
}
