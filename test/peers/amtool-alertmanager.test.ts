// A real Alertmanager and we are posted the same alerts under the same configuration: the webhooks must say the same.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HookCall, PageHouse, startHook } from '../kit/page-house.ts'
import { until } from '../kit/until.ts'

const found = (() => {
  try {
    execFileSync('prometheus-alertmanager', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn(
      'Alertmanager is not installed, its tests are SKIPPED: apt-get install prometheus-alertmanager',
    )
    return false
  }
})()

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** The order of keys is no part of what is said. */
const sortedKeys = (_: string, value: unknown): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value

describe.skipIf(!found)('webhooks', () => {
  let theirs: ChildProcess
  let house: PageHouse
  let hook: Awaited<ReturnType<typeof startHook>>
  let url = ''
  beforeAll(async () => {
    hook = await startHook()
    const text = (path: string) => `
route:
  receiver: h
  group_by: [alertname, odd]
  group_wait: 1s
  group_interval: 1s
  routes: [{ matchers: ['severity=~"a|b"', 'x!="y"'], group_by: ['...'] }]
receivers: [{ name: h, webhook_configs: [{ url: '${hook.url}/${path}' }] }]
inhibit_rules: [{ source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [node] }]
`
    const dir = mkdtempSync(join(tmpdir(), 'peer-'))
    writeFileSync(join(dir, 'am.yml'), text('theirs'))
    url = `http://127.0.0.1:${await freePort()}`
    const flags = [`--config.file=${dir}/am.yml`, `--storage.path=${dir}/data`, '--cluster.listen-address=']
    theirs = spawn('prometheus-alertmanager', [...flags, `--web.listen-address=${new URL(url).host}`], {
      stdio: 'ignore',
    })
    house = new PageHouse({ alertmanager: text('ours'), oncall: '' })
    house.clock.jump(Date.now())
    await house.start()
    await until(
      'Alertmanager',
      () =>
        fetch(`${url}/-/ready`).then(
          (r) => r.ok,
          () => false,
        ),
      20_000,
    )
  })
  afterAll(async () => {
    theirs.kill()
    hook.close()
    await house.close()
  })

  const post = async (alerts: object[]): Promise<void> => {
    const request = {
      method: 'POST',
      body: JSON.stringify(alerts),
      headers: { 'content-type': 'application/json' },
    }
    expect((await fetch(`${url}/api/v2/alerts`, request)).status).toBe(200)
    expect((await house.api.request('/api/v2/alerts', request)).status).toBe(200)
  }
  const said = (path: string): string[] => {
    const plain = ({ body }: HookCall): string => {
      // Their fingerprint is another hash; these two keys are newer than this Alertmanager; the address is its own.
      const { externalURL: _, notification_reason: __, routeLabels: ___, ...rest } = body
      const alerts = rest.alerts.map(({ fingerprint: ____, ...a }: Record<string, string>) => ({
        ...a,
        startsAt: Date.parse(a['startsAt']!),
        endsAt: a['status'] === 'resolved' ? Date.parse(a['endsAt']!) : a['endsAt'],
      }))
      return JSON.stringify({ ...rest, alerts }, sortedKeys)
    }
    return hook.calls
      .filter((c) => c.path === `/${path}`)
      .map(plain)
      .sort()
  }
  const both = async (count: number): Promise<void> => {
    await until(
      `${count} notifications of each`,
      async () => {
        await house.clock.advance(50)
        await new Promise((r) => setTimeout(r, 40))
        return said('theirs').length >= count && said('ours').length >= count
      },
      15_000,
    )
    expect(said('ours')).toEqual(said('theirs'))
  }

  test('of firing, inhibited and resolved alerts in odd groups', async () => {
    const startsAt = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString()
    const alert = (labels: Record<string, string>, annotations = {}) => ({
      labels,
      annotations,
      startsAt,
      generatorURL: 'http://g/x?y=1&z',
    })
    const alerts = [
      alert({ alertname: 'Hot', odd: 'q"uo\\te ü\n', instance: 'b' }, { summary: 'same', only: '1' }),
      alert({ alertname: 'Hot', odd: 'q"uo\\te ü\n', instance: 'a' }, { summary: 'same' }),
      alert({ alertname: 'Sev', severity: 'a' }),
      alert({ alertname: 'Down', node: 'n' }),
      alert({ alertname: 'Slow', node: 'n' }),
    ]
    await post(alerts)
    await both(3)
    await post(alerts.slice(1, 4).map((a) => ({ ...a, endsAt: new Date().toISOString() })))
    // Hot has one left, Sev and Down are over, and with Down gone Slow comes through.
    await both(7)
  })
})
