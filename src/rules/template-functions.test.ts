import { expect, it } from 'vitest'
import { createTemplate } from '../lib/template/template.ts'
import { type Instant, instant } from '../lib/time.ts'
import { prometheusFunctions } from './template-functions.ts'

const functions = prometheusFunctions({
  now: instant(Date.UTC(2026, 0, 1)) as Instant,
  externalURL: 'http://airboss.example/base/',
  query: async () => [],
})
const render = (text: string, data: unknown = {}): Promise<string> =>
  createTemplate(text, 't', functions, { include: 'tmpl' }).renderAsync(data)

// Values of the functions as Prometheus's documentation and its own tests give them.
it.each([
  [
    '{{ humanize 0.0 }}:{{ humanize 1.0 }}:{{ humanize 1234567.0 }}:{{ humanize .12 }}:{{ humanize "1e-9" }}',
    '0:1:1.235M:120m:1n',
  ],
  [
    '{{ humanize1024 0.0 }}:{{ humanize1024 1.0 }}:{{ humanize1024 1048576.0 }}:{{ humanize1024 .12 }}',
    '0:1:1Mi:0.12',
  ],
  ['{{ humanize (-1500.0) }} {{ humanize "+Inf" }} {{ humanize "NaN" }}', '-1.5k +Inf NaN'],
  [
    '{{ range $v := .v }}{{ humanizeDuration $v }}|{{ end }}',
    '0s|1s|1m 0s|1h 0m 0s|1d 0h 0m 0s|1d 10h 17m 36s|-1m 1s|899us|1.234ms|12.35s|+Inf|',
  ],
  [
    '{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}:{{ 0.1234567 | humanizePercentage }}:{{ 1.2345678 | humanizePercentage }}',
    '-22.22%:0%:12.35%:123.5%',
  ],
  ['{{ 1435065584.128 | humanizeTimestamp }}', '2015-06-23 13:19:44.128 +0000 UTC'],
  ['{{ (1435065584.128 | toTime).Year }}', '2015'],
  ['{{ parseDuration "1h2m10ms" }}', '3720.01'],
  [
    '{{ stripPort "example.com:80" }} {{ stripPort "[::1]:80" }} {{ stripPort "127.0.0.1:80" }} {{ stripPort "host" }}',
    'example.com ::1 127.0.0.1 host',
  ],
  [
    '{{ stripDomain "web1.example.org:80" }} {{ stripDomain "10.0.0.1:80" }} {{ stripDomain "[::1]:80" }} {{ stripDomain "a.b" }}',
    'web1:80 10.0.0.1:80 [::1]:80 a',
  ],
  ['{{ graphLink "up > 1" }} {{ tableLink "up" }}', '/explore?expr=up%20%3E%201 /explore?expr=up&view=table'],
  ['{{ externalURL }} {{ pathPrefix }}', 'http://airboss.example/base/ /base'],
  [
    '{{ "a b" | title | toUpper | toLower }} {{ match "a.c" "xabcx" }} {{ reReplaceAll "(a)(b)" "$2$1" "ab" }} {{ "<b>" | safeHtml }}',
    'a b true ba <b>',
  ],
])('%s', async (text, expected) => {
  const v = [
    0,
    1,
    60,
    3600,
    86400,
    86400 + 10 * 3600 + 17 * 60 + 36,
    -61,
    0.000899,
    0.0012345,
    12.345,
    Number.POSITIVE_INFINITY,
  ]
  expect(await render(text, { v })).toBe(expected)
})

it.each([
  ['{{ humanize "one" }}', 'cannot read "one" as a number'],
  ['{{ parseDuration "5 minutes" }}', 'not a duration'],
  ['{{ toTime "NaN" }}', 'is no time'],
  ['{{ value "x" }}', 'one element of a query'],
])('refuses %s', async (text, why) => {
  await expect(render(text)).rejects.toThrow(why)
})
