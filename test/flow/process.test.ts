// Stories of the real process: it is killed, stalled, misconfigured and started again; nothing acknowledged is lost, and pages go out.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { type Product, type ProductOptions, runProduct, startProduct } from '../kit/product.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'
import { startWebhookSink, type WebhookSink } from '../kit/webhook-sink.ts'

// Real processes on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
const start = async (options?: ProductOptions): Promise<Product> => {
  const product = await startProduct(options)
  cleanups.push(product.dispose)
  return product
}
const sink = async (): Promise<WebhookSink> => {
  const made = await startWebhookSink()
  cleanups.push(made.close)
  return made
}
/** Sends a value now and each second, so that it stays fresh; gives a function to change it. */
const keepSending = (
  product: () => Product,
  name: string,
  first: number,
): ((value: number) => Promise<void>) => {
  let value = first
  const send = async (): Promise<void> =>
    product().remoteWrite([{ labels: { __name__: name }, samples: [[value, Date.now()]] }])
  const timer = setInterval(() => void send().catch(() => {}), 1000)
  cleanups.push(async () => clearInterval(timer))
  return (next) => {
    value = next
    return send()
  }
}

const quiet = 'rule_files: []\nhost: { enabled: false }\n'
const rules = `
groups:
  - name: g
    interval: 1s
    rules:
      - alert: Hot
        expr: heat > 90
        labels: { severity: critical }
        annotations: { summary: 'heat is {{ $value }}' }
`
const paging = (
  users: Readonly<Record<string, string>>,
  steps: string,
  more = '',
): Record<string, string> => ({
  'rules.yaml': rules,
  'airboss.yaml': `
global: { evaluation_interval: 1s }
rule_files: [rules.yaml]
alertmanager: alertmanager.yaml
host: { enabled: false }
oncall:
  users: { ${Object.entries(users)
    .map(([name, url]) => `${name}: { notify: [{ webhook: '${url}' }] }`)
    .join(', ')} }
  policies: { day: { steps: ${steps} } }
${more}`,
  'alertmanager.yaml': `
route: { receiver: people, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers: [{ name: people, oncall_configs: [{ policy: day }] }]
`,
})
/** The signed link of a page, on the address that the product has after another start. */
const ackPath = (url: string): string => new URL(url).pathname

it('leaves nothing behind when its main process alone is killed, and has the data when it starts again', async () => {
  const first = await start({ files: { 'airboss.yaml': quiet } })
  const now = Date.now()
  await first.remoteWrite([
    {
      labels: { __name__: 'kept', a: 'x' },
      samples: [
        [7, now - 1000],
        [8, now],
      ],
    },
  ])
  expect(first.enginePid()).not.toBeNull()
  expect(first.pids()).toHaveLength(2)
  await first.stop('SIGKILL')
  await until('all of its processes to end', () => first.pids().length === 0, 10_000)

  const again = await start({ dir: first.dir })
  expect(await again.value('kept', now)).toBe(8)
  expect(await again.value('count_over_time(kept[5m])', now)).toBe(2)
})

it('ends all of its processes and exits 0 when it is asked to', async () => {
  const product = await start({ files: { 'airboss.yaml': quiet } })
  expect(await product.stop('SIGTERM')).toBe(0)
  expect(product.pids()).toEqual([])
})

it('starts its engine again when that is killed, and goes on taking and answering meanwhile', async () => {
  const product = await start({ files: { 'airboss.yaml': quiet } })
  const before = product.enginePid()!
  process.kill(before, 'SIGKILL')
  const now = Date.now()
  await product.remoteWrite([{ labels: { __name__: 'meanwhile' }, samples: [[1, now]] }])
  expect(await product.value('meanwhile', now)).toBe(1)
  await until('another engine', () => (product.enginePid() ?? before) !== before, 20_000)
  const status = async () =>
    (await (await product.fetch('/api/ops/v1/status')).json()) as { store: { up: boolean } }
  await until('the store to answer', async () => (await status()).store.up, 20_000)
  expect(await product.value('count_over_time(meanwhile[1h])', now)).toBe(1)
})

it('pages within seconds while the engine is stopped, and takes an acknowledgement by signed link', async () => {
  const phone = await sink()
  const product = await start({
    files: paging(
      { mara: `${phone.url}/mara`, jo: `${phone.url}/jo` },
      '[{ users: [mara] }, { after: 8s, users: [jo] }]',
    ),
  })
  const engine = product.enginePid()!
  process.kill(engine, 'SIGSTOP')
  cleanups.push(async () => process.kill(engine, 'SIGCONT'))
  const began = Date.now()
  await keepSending(() => product, 'heat', 95)(95)

  const page = await until('the page', () => phone.got.find((g) => g.path === '/mara'), 15_000)
  expect(page.at - began).toBeLessThan(6000)
  expect(page.body).toMatchObject({ status: 'firing' })
  expect(page.body.ack_url).toContain('/oncall/ack/')

  // Looking does not acknowledge; the button does.
  const link: string = page.body.ack_url
  expect(link).toMatch(`${product.http}/oncall/ack/`)
  expect(await (await fetch(link)).text()).toContain('Nobody has acknowledged it yet')
  const asked = Date.now()
  const answer = await fetch(link, { method: 'POST' })
  expect(answer.status).toBe(200)
  expect(await answer.text()).toContain('Acknowledged by user:mara')
  expect(Date.now() - asked).toBeLessThan(2000)

  // The second step would have come after eight seconds.
  await new Promise((done) => setTimeout(done, Math.max(0, page.at + 9500 - Date.now())))
  expect(phone.got.filter((g) => g.path === '/jo')).toEqual([])
})

it('goes through the steps over a kill -9, once each, until somebody acknowledges; then it is quiet', async () => {
  const phone = await sink()
  const files = paging(
    { mara: `${phone.url}/mara`, jo: `${phone.url}/jo` },
    '[{ users: [mara] }, { after: 6s, users: [jo] }, { after: 5s, users: [mara] }]',
  )
  let product = await start({ files })
  const heat = keepSending(() => product, 'heat', 95)
  await heat(95)
  const first = await until('the page to mara', () => phone.got.find((g) => g.path === '/mara'), 15_000)

  // A kill between the delivery and its record would deliver the same page again, under the same id.
  await until('the page to be on record', async () => {
    const { escalations } = (await (await product.fetch('/api/ops/v1/escalations')).json()) as {
      escalations: { pages: { state: string }[] }[]
    }
    return escalations[0]?.pages[0]?.state === 'sent'
  })
  product.signal('SIGKILL', 'all')
  await until('the end of everything', () => product.pids().length === 0, 10_000)
  product = await start({ dir: product.dir })
  const second = await until('the page to jo', () => phone.got.find((g) => g.path === '/jo'), 20_000)
  expect(second.at - first.at).toBeGreaterThan(5500)
  expect(phone.got.filter((g) => g.path === '/mara')).toHaveLength(1)

  // A link from before the kill works after it.
  const answer = await product.fetch(ackPath(first.body.ack_url), { method: 'POST' })
  expect(await answer.text()).toContain('Acknowledged by user:mara')
  await new Promise((done) => setTimeout(done, 7000))
  expect(phone.got.map((g) => g.path)).toEqual(['/mara', '/jo'])

  // When it is over, those who were paged are told, once each.
  await heat(10)
  await until(
    'both to hear that it is over',
    () => phone.got.filter((g) => g.body.status === 'resolved').length >= 2,
    15_000,
  )
  expect(
    phone.got
      .filter((g) => g.body.status === 'resolved')
      .map((g) => g.path)
      .sort(),
  ).toEqual(['/jo', '/mara'])
})

it('keeps the running configuration when the new one is broken, and says where and how to mend it', async () => {
  const hook = await sink()
  const good = {
    'rules.yaml': rules,
    'airboss.yaml': 'rule_files: [rules.yaml]\nalertmanager: alertmanager.yaml\nhost: { enabled: false }\n',
    'alertmanager.yaml': `route: { receiver: r, group_wait: 0s, group_interval: 1s }\nreceivers: [{ name: r, webhook_configs: [{ url: '${hook.url}/hook' }] }]\n`,
  }
  const product = await start({ files: good })
  const reload = (): Promise<Response> => product.fetch('/-/reload', { method: 'POST' })
  const broken: [string, string, RegExp][] = [
    [
      'airboss.yaml',
      `${good['airboss.yaml']}global:\n  evaluation_intervall: 1s\n`,
      /airboss\.yaml:5: global\.evaluation_intervall: unknown key/,
    ],
    ['airboss.yaml', 'rule_files: [rules.yaml\n', /airboss\.yaml:\d+:/],
    ['rules.yaml', rules.replace('heat > 90', 'heat >'), /rules\.yaml:7: /],
    ['rules.yaml', rules.replace('{{ $value }}', '{{ $value'), /rules\.yaml:\d+: /],
    [
      'alertmanager.yaml',
      good['alertmanager.yaml'].replace('receiver: r,', 'receiver: nobody,'),
      /alertmanager\.yaml:1: .*nobody/,
    ],
  ]
  for (const [file, text, says] of broken) {
    product.write(file, text)
    const answer = await reload()
    expect(answer.status).toBe(400)
    expect(await answer.text()).toMatch(says)
    const heard = product.said().length
    product.signal('SIGHUP')
    await until(`the log to say ${says}`, () => says.test(product.said().slice(heard)), 5000)
    expect((await product.fetch('/-/healthy')).status).toBe(200)
    product.write(file, good[file as keyof typeof good])
  }
  const last = async () => {
    const status = (await (await product.fetch('/api/ops/v1/status')).json()) as {
      reload: { ok: boolean; why: string }
    }
    return status.reload
  }
  expect(await last()).toMatchObject({ ok: false, why: expect.stringContaining('nobody') })

  // The old rules and routes went on all the while.
  await keepSending(() => product, 'heat', 95)(95)
  await until('the old rule to fire', () => hook.got.find((g) => g.body.status === 'firing'), 10_000)
  const heard = product.said().length
  product.signal('SIGHUP')
  await until(
    'the mended one to be taken',
    () => product.said().slice(heard).includes('configuration reloaded'),
    5000,
  )
  expect(await last()).toMatchObject({ ok: true, why: '' })
})

it('does not start on a broken configuration: it exits 2 and says where and how to mend it', async () => {
  const dir = tempDir()
  const config = join(dir, 'airboss.yaml')
  writeFileSync(config, 'host: { enabled: false }\nquery:\n  timeout: soon\nlisten: { http: nowhere }\n')
  const began = await runProduct(['serve', '--data', join(dir, 'data'), '--config', config])
  expect(began.code).toBe(2)
  expect(began.out).toBe('')
  expect(began.err).toMatch(/airboss\.yaml:3: query\.timeout: not a duration/)
  expect(began.err).toMatch(/airboss\.yaml:4: listen\.http: not an address; write it as host:port/)
  expect(existsSync(join(dir, 'data'))).toBe(false)
  const check = await runProduct(['check', '--config', config])
  expect(check).toMatchObject({ code: 2, err: began.err })
})

it('says so when its address is taken, and leaves nothing behind', async () => {
  const product = await start({ files: { 'airboss.yaml': quiet } })
  const free = ['--otlp-http', '--otlp-grpc', '--clickhouse'].flatMap((f) => [f, '127.0.0.1:0'])
  const listen = new URL(product.http).host
  const second = await runProduct([
    'serve',
    '--data',
    join(product.dir, 'other'),
    '--listen',
    listen,
    ...free,
  ])
  expect(second.code).toBe(1)
  expect(second.err).toContain(
    `http: cannot listen on ${listen}: EADDRINUSE; choose another address or stop what holds it`,
  )
})

it('takes no data directory that another one has', async () => {
  const product = await start({ files: { 'airboss.yaml': quiet } })
  const free = ['--listen', '--otlp-http', '--otlp-grpc', '--clickhouse'].flatMap((f) => [f, '127.0.0.1:0'])
  const began = Date.now()
  const second = await runProduct([
    'serve',
    '--data',
    product.dataDir,
    '--config',
    join(product.dir, 'airboss.yaml'),
    ...free,
  ])
  expect(second.code).toBe(1)
  expect(second.err).toContain(
    `airboss: ${product.dataDir} is in use by another Airboss; stop it, or give another --data`,
  )
  expect(Date.now() - began).toBeLessThan(10_000)
  expect((await product.fetch('/-/healthy')).status).toBe(200)
})

it('delivers to everybody else while one receiver hangs', async () => {
  const hanging = await sink()
  const healthy = await sink()
  hanging.answer = () => 'hang'
  const product = await start({
    files: {
      'rules.yaml': rules,
      'airboss.yaml': 'rule_files: [rules.yaml]\nalertmanager: alertmanager.yaml\nhost: { enabled: false }\n',
      'alertmanager.yaml': `
route:
  receiver: both
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes:
    - { receiver: stuck, continue: true }
    - { receiver: fine, continue: true }
    - { receiver: both }
receivers:
  - { name: stuck, webhook_configs: [{ url: '${hanging.url}/stuck' }] }
  - { name: fine, webhook_configs: [{ url: '${healthy.url}/fine' }] }
  - { name: both, webhook_configs: [{ url: '${hanging.url}/both' }, { url: '${healthy.url}/both' }] }
`,
    },
  })
  const heat = keepSending(() => product, 'heat', 95)
  await heat(95)
  const got = (path: string, status: string) =>
    healthy.got.find((g) => g.path === path && g.body.status === status)
  const began = Date.now()
  await until('both to fire', () => got('/fine', 'firing') && got('/both', 'firing'), 10_000)
  expect(Date.now() - began).toBeLessThan(6000)
  await until('the hanging one to be asked', () => hanging.got.length >= 2, 10_000)
  await heat(10)
  const ended = Date.now()
  await until('the resolution', () => got('/fine', 'resolved'), 15_000)
  expect(Date.now() - ended).toBeLessThan(8000)
})
