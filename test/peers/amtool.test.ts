// Debian's amtool against our Alertmanager API.
import { execFile, execFileSync } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PageHouse } from '../kit/page-house.ts'

const found = (() => {
  try {
    execFileSync('amtool', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('amtool is not installed, its tests are SKIPPED: apt-get install prometheus-alertmanager')
    return false
  }
})()

const text = `
route:
  receiver: ops
  group_by: [alertname]
  routes: [{ matchers: [team="ai"], receiver: ai }]
receivers: [{ name: ops, webhook_configs: [{ url: 'http://127.0.0.1:9/secret' }] }, { name: ai }]
`

describe.skipIf(!found)('amtool', () => {
  const house = new PageHouse({ alertmanager: text, oncall: '' })
  let server: ReturnType<typeof serve>
  let url = ''
  const amtool = async (...args: string[]): Promise<string> => {
    // The house's clock follows amtool's.
    house.clock.jump(Date.now() + 1000)
    const { stdout } = await promisify(execFile)('amtool', [`--alertmanager.url=${url}`, ...args])
    return stdout
  }
  beforeAll(async () => {
    // amtool gives real times: the house must live in the present.
    house.clock.jump(Date.now())
    await house.start()
    server = serve({ fetch: (request) => house.api.fetch(request), port: 0, hostname: '127.0.0.1' })
    await new Promise<void>((resolve) => server.once('listening', () => resolve()))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.close()
    await house.close()
  })

  test('adds and queries alerts', async () => {
    await amtool('alert', 'add', 'alertname=Hot', 'team=ai', 'unit=a', '--annotation=summary=it is hot')
    await amtool('alert', 'add', 'alertname=Cold', 'unit=b')
    const all = JSON.parse(await amtool('alert', 'query', '-o', 'json'))
    expect(all.map((a: { labels: { alertname: string } }) => a.labels.alertname).sort()).toEqual([
      'Cold',
      'Hot',
    ])
    const hot = JSON.parse(await amtool('alert', 'query', '-o', 'json', 'unit=~a|c'))
    expect(hot).toMatchObject([{ receivers: [{ name: 'ai' }], status: { state: 'active' } }])
    expect(JSON.parse(await amtool('alert', 'query', '-o', 'json', '--receiver=ops'))).toHaveLength(1)
  })

  test('adds, queries, updates and expires silences', async () => {
    const id = (
      await amtool(
        'silence',
        'add',
        '--author=mara',
        '--comment=maintenance',
        '--duration=1h',
        'alertname=Hot',
      )
    ).trim()
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(JSON.parse(await amtool('silence', 'query', '-o', 'json', 'alertname=Hot'))).toMatchObject([
      { id, createdBy: 'mara', comment: 'maintenance', status: { state: 'active' } },
    ])
    expect(JSON.parse(await amtool('alert', 'query', '-o', 'json'))).toHaveLength(1)
    const silenced = JSON.parse(await amtool('alert', 'query', '-o', 'json', '--silenced'))
    expect(
      silenced.find((a: { status: { silencedBy: string[] } }) => a.status.silencedBy.includes(id)),
    ).toBeTruthy()
    expect(await amtool('silence', 'update', '--duration=2h', id)).toContain('mara')
    const [current] = JSON.parse(await amtool('silence', 'query', '-o', 'json'))
    await amtool('silence', 'expire', current.id)
    expect(house.alerts.silence(current.id)!.state).toBe('expired')
    expect(JSON.parse(await amtool('alert', 'query', '-o', 'json'))).toHaveLength(2)
  })

  test('shows the configuration without its secrets, and tests routes by it', async () => {
    const shown = await amtool('config', 'show')
    expect(shown).toContain('receiver: ops')
    expect(shown).not.toContain('127.0.0.1:9')
    expect(await amtool('config', 'routes', 'test', 'team=ai')).toContain('ai')
  })

  test('a silence that is wrong is refused in words', async () => {
    const bad = amtool(
      'silence',
      'add',
      '--author=x',
      '--comment=y',
      '--start=2020-01-01T00:00:00Z',
      '--end=2020-01-02T00:00:00Z',
      'a=b',
    )
    await expect(bad).rejects.toThrow(/endsAt|past|future/)
  })
})
