// Receive: every source, all into one sink.
import { messageOf } from '../lib/errors.ts'
import type { HttpResponse, HttpSend } from '../lib/http.ts'
import { createInFlight, type InFlight } from '../lib/in-flight.ts'
import { type Duration, duration } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { NewSpans } from '../model/new-spans.ts'
import type { HttpHandler } from '../model/ports/http-handler.ts'
import type { Service } from '../model/ports/service.ts'
import type { Wanted } from '../model/span-rows.ts'
import { createCosts } from '../receive/costs/receiver.ts'
import type { createEvents } from '../receive/events/receiver.ts'
import type { FocusOptions } from '../receive/focus/decode.ts'
import { createFocusImport, type FocusDeps, type FocusImport } from '../receive/focus/receiver.ts'
import { createHostReceiver } from '../receive/host/receiver.ts'
import type { DeltaState } from '../receive/otlp/delta.ts'
import { createOtlpIngest } from '../receive/otlp/ingest.ts'
import { createOtlpGrpc } from '../receive/otlp/receiver-grpc.ts'
import { createOtlpHttp } from '../receive/otlp/receiver-http.ts'
import { createSignalIngest } from '../receive/otlp/signal-ingest.ts'
import { createRemoteWrite } from '../receive/remote-write/receiver.ts'
import { type ScrapeConfig, scrapeConfigsSchema } from '../receive/scrape/config.ts'
import { createScraper, type Scraper } from '../receive/scrape/receiver.ts'
import type { Config } from './config-schema.ts'
import type { Context } from './context.ts'
import type { Keep } from './wire-keep.ts'
import type { Money } from './wire-money.ts'

const mostInFlight = 512 << 20
/** Bytes of bodies that are on their way in or were not answered yet, over all HTTP doors. */
const mostBodies = 512 << 20

export interface Receive extends Service {
  readonly remoteWrite: HttpHandler
  readonly otlpHttp: HttpHandler
  readonly otlpGrpc: Service & { address(): string }
  readonly costs: HttpHandler
  readonly bills: FocusImport
  readonly scraper: Scraper
  /** Room for request bodies, finished or not. */
  readonly bodies: InFlight
  apply(config: Config): Promise<void>
}

export type Events = ReturnType<typeof createEvents>

interface Parts {
  readonly newSpans: NewSpans
  /** Which attributes of spans are reckoned with. */
  readonly wanted: Wanted
  readonly money: Pick<Money, 'sink' | 'prices'>
  readonly keep: Pick<Keep, 'store'>
  readonly delta: DeltaState
  readonly authenticate: (headers: Readonly<Record<string, string | undefined>>) => Actor | null
}

const ownHost = 'airboss'

/** The job that collects Airboss's own metrics, as any other target, without going over the network. */
const ownJob = (interval: Duration): ScrapeConfig =>
  scrapeConfigsSchema({}).parse([
    {
      job_name: ownHost,
      scrape_interval: `${interval}ms`,
      static_configs: [{ targets: [`${ownHost}:80`], labels: { instance: ownHost } }],
    },
  ])[0]!

const withOwn =
  ({ metrics, send }: Context): HttpSend =>
  async (request) => {
    if (new URL(request.url).hostname !== ownHost) return send(request)
    const body = Buffer.from(await metrics.text())
    return { status: 200, headers: { 'content-type': metrics.contentType }, body } satisfies HttpResponse
  }

const globalOf = ({ global }: Config) => ({
  scrape_interval: global.scrape_interval,
  scrape_timeout: global.scrape_timeout ?? duration(Math.min(10_000, global.scrape_interval)),
})

const billOptions = ({ costs }: Config): FocusOptions => ({
  tags: costs.tags,
  cost: costs.column,
  currencies: costs.currencies,
})

export const wireReceive = (context: Context, parts: Parts): Receive => {
  const { money, keep, delta, newSpans, wanted, authenticate } = parts
  const { sink, prices } = money
  const known: FocusDeps['known'] = (ids, signal) => keep.store.money.known(ids, signal)
  const { settings, table, limits, clock, metrics } = context
  const { config } = settings
  const log = context.log.child({ room: 'receive' })
  const inFlight = createInFlight(mostInFlight)
  const common = { table, sink, limits, clock, log, metrics }
  const from = (protocol: string) => ({ ...common, limits: { ...limits, protocol } })
  const ingest = createOtlpIngest({ ...from('otlp'), config: config.otlp, delta })
  const { retention, max_ahead: maxAhead } = config.storage
  const items = createSignalIngest({
    ...common,
    config: config.otlp,
    maxAge: { traces: retention.traces, logs: retention.logs },
    maxAhead,
    wanted,
    accepted: (id) => newSpans.has(id),
  })
  const jobs = (from: Config): ScrapeConfig[] => [...from.scrape_configs, ownJob(from.self.interval)]
  const scraper = createScraper({
    ...from('scrape'),
    configs: jobs(config),
    ownJob: ownHost,
    global: globalOf(config),
    send: withOwn(context),
  })
  const host = config.host.enabled
    ? createHostReceiver({ ...from('host'), interval: config.host.interval })
    : null
  const otlpGrpc = createOtlpGrpc({
    ingest,
    items,
    listen: config.listen.otlp_grpc,
    authenticate,
    clock,
    log,
    inFlight,
  })
  const price: Parameters<typeof createCosts>[0]['price'] = (usage, model, provider, at) =>
    prices.request({ ...usage }, model, provider, at)
  return {
    remoteWrite: createRemoteWrite({ ...from('remote_write'), inFlight }),
    otlpHttp: createOtlpHttp({ ingest, items, log, inFlight }),
    otlpGrpc,
    costs: createCosts({ sink, limits, price, clock, log, metrics }),
    bills: createFocusImport({ sink, known, options: billOptions(config), clock, metrics }),
    scraper,
    bodies: createInFlight(mostBodies),
    apply: (next) => scraper.apply(jobs(next), globalOf(next)),
    start: async () => {
      await scraper.start()
      await host?.start()
    },
    drain: async () => {
      const ended = await Promise.allSettled([scraper.drain(), host?.drain(), otlpGrpc.drain()])
      for (const e of ended)
        if (e.status === 'rejected') log.warn({ why: messageOf(e.reason) }, 'receiver did not end cleanly')
    },
  }
}
