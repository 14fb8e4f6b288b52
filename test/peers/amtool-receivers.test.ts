// A real Alertmanager and we are posted the same alerts under the same Slack and email receivers: what arrives must be the same.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type FakeSlack, startFakeSlack } from '../kit/fake-slack.ts'
import { type MailServer, startMailServer } from '../kit/mail-server.ts'
import { PageHouse } from '../kit/page-house.ts'
import { until } from '../kit/until.ts'

const login = { user: 'boss', password: 'pass word' }

describe.skipIf(!allThere('prometheus-alertmanager', 'amtool'))('Slack and email', () => {
  const dir = mkdtempSync(join(tmpdir(), 'peer-'))
  let theirs: Peer
  let house: PageHouse
  let slack: FakeSlack
  let mail: MailServer
  const text = (whose: string) => `
global:
  slack_api_url: '${slack.url}/services/${whose}'
  smtp_smarthost: 'localhost:${mail.port}'
  smtp_from: 'Boss <${whose}@example.com>'
  smtp_hello: ${whose}.example.com
  smtp_auth_username: ${login.user}
  smtp_auth_password: ${login.password}
route: { receiver: s, group_by: [alertname], group_wait: 1s, group_interval: 1s, routes: [{ receiver: e, continue: true }, { receiver: s }] }
receivers:
  - name: s
    slack_configs:
      - send_resolved: true
        channel: '#{{ .CommonLabels.team }}'
        username: Boss
        title_link: 'http://x/{{ .Receiver | urlquery }}'
        fallback: '{{ template "slack.default.title" . }}'
        text: '{{ range .Alerts }}{{ .Labels.instance }}: {{ .Annotations.summary }}{{ "\\n" }}{{ end }}'
        pretext: '{{ .CommonAnnotations.SortedPairs.Values | join "; " }}'
        footer: '{{ .Status | title }}'
        short_fields: true
        link_names: true
        icon_emoji: ':fire:'
        image_url: http://i
        thumb_url: http://t
        callback_id: '{{ .GroupLabels.alertname }}'
        fields: [{ title: Team, value: '{{ .CommonLabels.team }}' }, { title: N, value: '{{ len .Alerts }}', short: false }]
        actions:
          - { type: button, text: Runbook, url: 'http://r/{{ .GroupLabels.alertname }}', style: primary }
          - { type: button, text: Ack, name: ack, value: '{{ .Receiver }}', confirm: { title: Sure, text: 'Really?', ok_text: 'Yes', dismiss_text: 'No' } }
  - name: e
    email_configs:
      - send_resolved: true
        to: 'Ops <ops@example.com>, night@example.com'
        tls_config: { insecure_skip_verify: true }
        headers: { X-Team: '{{ .CommonLabels.team }} é', reply-to: nobody@example.com }
        text: '{{ range .Alerts }}{{ .Status }} {{ .Labels.instance }} ü "{{ .Annotations.summary }}"{{ "\\n" }}{{ end }}'
        html: '<ul class="{{ .CommonLabels.team }}">{{ range .Alerts }}<li><a href="{{ .GeneratorURL }}">{{ .Labels.instance }}</a> {{ .Annotations.summary }}</li>{{ end }}</ul>'
`
  beforeAll(async () => {
    slack = await startFakeSlack()
    mail = await startMailServer({ know: login, authMethods: ['PLAIN'] })
    writeFileSync(join(dir, 'am.yml'), text('theirs'))
    const url = `http://127.0.0.1:${await freePort()}`
    const flags = [`--config.file=${dir}/am.yml`, `--storage.path=${dir}/data`, '--cluster.listen-address=']
    theirs = await startPeer(
      'prometheus-alertmanager',
      [...flags, `--web.listen-address=${new URL(url).host}`],
      url,
      '/-/ready',
    )
    house = new PageHouse({ alertmanager: text('ours'), oncall: '' })
    house.clock.jump(Date.now())
    await house.start()
  })
  afterAll(async () => {
    await theirs?.stop()
    await house?.close()
    await slack?.close()
    await mail?.close()
    rmSync(dir, { recursive: true, force: true })
  })

  const post = async (alerts: object[]): Promise<void> => {
    const request = {
      method: 'POST',
      body: JSON.stringify(alerts),
      headers: { 'content-type': 'application/json' },
    }
    expect((await fetch(`${theirs.url}/api/v2/alerts`, request)).status).toBe(200)
    expect((await house.api.request('/api/v2/alerts', request)).status).toBe(200)
  }
  const messages = (whose: string) =>
    slack.calls
      .filter((c) => c.path.endsWith(whose))
      .map((c) => JSON.stringify(c.message.attachments) + JSON.stringify({ ...c.message, attachments: 0 }))
  const mails = (whose: string) =>
    mail.mails
      .filter((m) => m.from === `${whose}@example.com`)
      .map((m) => {
        // Each writes its own of these; that they are there is looked at apart.
        const { date: _, 'message-id': __, 'content-type': type, from, ...headers } = m.headers
        return {
          ...headers,
          type: type!.split(';')[0],
          from: from!.replace(`${whose}@`, ''),
          to: m.to,
          login: m.login,
          secure: m.secure,
          hello: m.hello.replace(whose, ''),
          parts: m.parts,
        }
      })
  const ordered = (values: readonly unknown[]): unknown[] =>
    values.map((v) => (typeof v === 'string' ? sorted(v) : v))
  /** The order of keys is no part of what is said. */
  const sorted = (said: string): unknown => {
    const at = said.lastIndexOf('{"')
    return [JSON.parse(said.slice(0, at)), JSON.parse(said.slice(at))]
  }
  const both = async (count: number): Promise<void> => {
    await until(
      `${count} of each`,
      async () => {
        await house.clock.advance(50)
        await new Promise((r) => setTimeout(r, 40))
        return [messages, mails].every((of) => of('theirs').length >= count && of('ours').length >= count)
      },
      20_000,
    )
    expect(ordered(messages('ours'))).toEqual(ordered(messages('theirs')))
    expect(mails('ours')).toEqual(mails('theirs'))
  }

  test('the same messages and mails', async () => {
    const startsAt = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString()
    const alerts = ['a', 'b'].map((instance) => ({
      labels: { alertname: 'Hot', team: 'red', instance },
      annotations: { summary: `it's <hot> & "loud" on ${instance}`, same: 'x' },
      startsAt,
      generatorURL: 'http://g/x?y=1&z',
    }))
    await post(alerts)
    await both(1)
    await post(alerts.map((a) => ({ ...a, endsAt: new Date().toISOString() })))
    await both(2)
    expect(slack.refused).toEqual([])
    for (const m of mail.mails) {
      expect(m.headers['message-id']).toMatch(/^<[^@>]+@[^>]+>$/)
      expect(Date.parse(m.headers['date']!)).toBeGreaterThan(0)
    }
  })

  test('amtool accepts the file', () => {
    const said = spawnSync('amtool', ['check-config', join(dir, 'am.yml')], { encoding: 'utf8' })
    expect(said.stdout + said.stderr).toContain('SUCCESS')
    expect(said.status).toBe(0)
  })
})
