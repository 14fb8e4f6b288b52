// From an alert to a person: alerts, channels, on-call and their APIs joined as the application joins them, over real HTTP to fakes.

import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { type Alerts, createAlerts } from '../../src/alerts/alerts.ts'
import { readAlertsConfig } from '../../src/alerts/config.ts'
import { createAlertmanagerApi } from '../../src/api/alertmanager/alertmanager-api.ts'
import { createOncallApi } from '../../src/api/oncall/oncall-api.ts'
import { secretSchema } from '../../src/lib/config.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { memoryRowLog } from '../../src/lib/row-log.ts'
import { instant } from '../../src/lib/time.ts'
import { readYaml } from '../../src/lib/yaml.ts'
import { channelKinds, createChannels, globalHttpSchema, globalKeys } from '../../src/notify/channels.ts'
import { ackKeyFile, createAckSigner } from '../../src/oncall/ack-link.ts'
import { oncallKind, oncallSchema } from '../../src/oncall/config.ts'
import { createOncall, type Oncall } from '../../src/oncall/oncall.ts'
import { FakeClock } from './clock.ts'
import { memoryLedger } from './memory-ledger.ts'
import { fakeMetrics } from './metrics.ts'

export interface HookCall {
  readonly path: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever was posted
  readonly body: any
}

/** A receiver of webhooks; `hang` makes it swallow calls. */
export const startHook = async () => {
  const calls: HookCall[] = []
  const behave = { status: 200, hang: false }
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    calls.push({ path: request.url ?? '', body: JSON.parse(Buffer.concat(parts).toString()) })
    if (!behave.hang) response.writeHead(behave.status).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { calls, behave, url, close }
}

export class PageHouse {
  readonly ledger = memoryLedger()
  readonly alertRows = memoryRowLog()
  readonly oncallRows = memoryRowLog()
  readonly metrics = fakeMetrics()
  readonly dir = mkdtempSync(join(tmpdir(), 'page-'))
  readonly http = createHttp()
  readonly #texts: { alertmanager: string; oncall: string }
  clock = new FakeClock()
  alerts!: Alerts
  oncall!: Oncall
  api!: Hono
  constructor(texts: { alertmanager: string; oncall: string }) {
    this.#texts = texts
  }

  async start(): Promise<this> {
    const { clock, metrics } = this
    const log = silentLogger()
    const oncallConfig = readYaml(oncallSchema(secretSchema({})), this.#texts.oncall, 'oncall.yaml')
    const kinds = [...channelKinds, oncallKind]
    const config = readAlertsConfig(this.#texts.alertmanager, 'am.yml', {
      kinds,
      env: {},
      http: globalHttpSchema,
      globals: globalKeys,
    })
    let dead = false
    this.#die = () => {
      dead = true
    }
    // What a killed process would send after its death is never sent.
    const send: typeof this.http.send = (request) => (dead ? new Promise(() => {}) : this.http.send(request))
    const channels = createChannels({ globals: config.globals, send, clock, log, metrics })
    const oncall = createOncall({
      config: oncallConfig,
      pagersFor: (user) => user.notify.map((target, i) => channels.pager(user.id, i, target)),
      signer: createAckSigner(ackKeyFile(join(this.dir, 'ack.key'))),
      publicURL: () => 'http://airboss',
      ...{ rows: this.oncallRows, clock, log, metrics },
    })
    const alerts = createAlerts({
      config,
      notifiers: (receiver) =>
        receiver.entries.map((entry) => ({
          name: `${entry.kind}[${entry.index}]`,
          sendResolved: entry.sendResolved,
          notifier:
            entry.kind === 'oncall'
              ? oncall.notifier((entry.config as { policy: string }).policy)
              : channels.notifier(receiver.name, entry),
        })),
      ...{
        ledger: this.ledger,
        rows: this.alertRows,
        clock,
        log,
        metrics,
        externalURL: () => 'http://airboss',
      },
    })
    await oncall.start()
    await alerts.start()
    const actorOf = () => ({ id: 'user:test', kind: 'user' }) as const
    this.alerts = alerts
    this.oncall = oncall
    this.api = new Hono()
      .route('/', createAlertmanagerApi({ alerts, clock, log, actorOf, version: '0.1.0' }))
      .route('/', createOncallApi({ oncall, log, actorOf }))
    return this
  }
  #die = (): void => undefined

  /** As kill -9, then a start `downFor` later. */
  async kill(downFor = 0): Promise<void> {
    this.#die()
    this.clock = new FakeClock(this.clock.now() + downFor)
    await this.start()
  }
  async fire(labels: Record<string, string>, firing = true): Promise<void> {
    const now = this.clock.now()
    const alert = {
      labels: { alertname: 'Hot', ...labels },
      annotations: { summary: 'it is hot' },
      startsAt: instant(firing ? now : now - 1000),
      endsAt: instant(firing ? now + 86_400_000 : now),
      generatorURL: 'http://airboss/g',
    }
    await this.alerts.push([alert], new AbortController().signal)
  }
  async close(): Promise<void> {
    this.#die()
    await this.http.close()
  }
}
