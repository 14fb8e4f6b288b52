// Receive: every source, all into one sink.
import { messageOf } from '../lib/errors.ts'
import { createHttp, type HttpResponse, type HttpSend } from '../lib/http.ts'
import { createInFlight, type InFlight } from '../lib/in-flight.ts'
import type { Duration } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { NewSpans } from '../model/new-spans.ts'
import type { HttpHandler } from '../model/ports/http-handler.ts'
import type { Service } from '../model/ports/service.ts'
import type { Wanted } from '../model/span-rows.ts'
import type { Prices } from '../money/prices.ts'
import { createCgroupReader } from '../receive/containers/read-cgroups.ts'
import { createContainerReceiver } from '../receive/containers/receiver.ts'
import { createCosts } from '../receive/costs/receiver.ts'
import type { createEvents } from '../receive/events/receiver.ts'
import type { FocusOptions } from '../receive/focus/decode.ts'
import { createFocusImport, type FocusDeps, type FocusImport } from '../receive/focus/receiver.ts'
import { createHostReceiver } from '../receive/host/receiver.ts'
import { createKubernetesReceiver, type KubernetesReceiver } from '../receive/kubernetes/receiver.ts'
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
import { type InletParts, type Inlets, wireInlets } from './wire-inlets.ts'
import type { Kubernetes } from './wire-kubernetes.ts'

const mostInFlight = 512 << 20
/** Bytes of bodies that are on their way in or were not answered yet, over all HTTP doors. */
const mostBodies = 512 << 20

export interface Receive extends Service {
  readonly remoteWrite: HttpHandler
  readonly otlpHttp: HttpHandler
  readonly otlpGrpc: Service & { address(): string }
  readonly costs: HttpHandler
  readonly inlets: Inlets
  readonly bills: FocusImport
  readonly scraper: Scraper
  /** Null where no cluster is watched. */
  readonly kubernetes: KubernetesReceiver | null
  /** Room for request bodies, finished or not. */
  readonly bodies: InFlight
  apply(config: Config): Promise<void>
}

export type Events = ReturnType<typeof createEvents>

interface Parts extends InletParts {
  readonly newSpans: NewSpans
  /** Which attributes of spans are reckoned with. */
  readonly wanted: Wanted
  readonly prices: Prices
  /** Which rows of costs are stored. */
  readonly knownCosts: FocusDeps['known']
  readonly delta: DeltaState
  readonly authenticate: (headers: Readonly<Record<string, string | undefined>>) => Actor | null
  readonly kubernetes: Kubernetes | null
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

/** Spans and log records. */
const wireItems = (context: Context, { sink, newSpans, wanted }: Parts) => {
  const { settings, clock, metrics } = context
  const { storage, otlp } = settings.config
  return createSignalIngest({
    sink,
    clock,
    metrics,
    log: context.log.child({ room: 'receive' }),
    config: otlp,
    maxAge: { traces: storage.retention.traces, logs: storage.retention.logs },
    maxAhead: storage.max_ahead,
    wanted,
    accepted: (id) => newSpans.has(id),
  })
}

/** Those that look around by themselves: at this machine and its cluster. */
const watchersOf = ({ settings, ...context }: Context, { sink, kubernetes }: Parts) => {
  const { host, containers, kubernetes: cluster } = settings.config
  const { table, limits, clock, metrics } = context
  const log = context.log.child({ room: 'receive' })
  const from = (protocol: string) => ({ table, sink, clock, log, metrics, limits: { ...limits, protocol } })
  return {
    host: host.enabled ? createHostReceiver({ ...from('host'), interval: host.interval }) : null,
    containers: containers.enabled
      ? createContainerReceiver({
          ...from('containers'),
          config: containers,
          reader: createCgroupReader(containers.root),
        })
      : null,
    kubernetes:
      kubernetes && cluster?.watch
        ? createKubernetesReceiver({ ...from('kubernetes'), api: kubernetes.api, config: cluster })
        : null,
  }
}

const billOptions = ({ costs }: Config): FocusOptions => ({
  tags: costs.tags,
  cost: costs.column,
  currencies: costs.currencies,
})

export const wireReceive = (context: Context, parts: Parts): Receive => {
  const { sink, prices, knownCosts: known, delta, authenticate } = parts
  const { settings, table, limits, clock, metrics } = context
  const { config } = settings
  const log = context.log.child({ room: 'receive' })
  const inFlight = createInFlight(mostInFlight)
  const common = { table, sink, limits, clock, log, metrics }
  const from = (protocol: string) => ({ ...common, limits: { ...limits, protocol } })
  const ingest = createOtlpIngest({ ...from('otlp'), config: config.otlp, delta })
  const items = wireItems(context, parts)
  const jobs = (from: Config): ScrapeConfig[] => [...from.scrape_configs, ownJob(from.self.interval)]
  const scraper = createScraper({
    ...from('scrape'),
    configs: jobs(config),
    ownJob: ownHost,
    global: config.global,
    send: withOwn(context),
    connect: createHttp,
  })
  const { kubernetes, ...others } = watchersOf(context, parts)
  const watchers = [others.host, others.containers, kubernetes]
  const otlpGrpc = createOtlpGrpc({
    ingest,
    items,
    listen: config.listen.otlp_grpc,
    tracer: context.tracing,
    authenticate,
    clock,
    log,
    inFlight,
  })
  const inlets = wireInlets(context, parts)
  const price: Parameters<typeof createCosts>[0]['price'] = (usage, model, provider, at) =>
    prices.request({ ...usage }, model, provider, at)
  return {
    remoteWrite: createRemoteWrite({ ...from('remote_write'), inFlight }),
    otlpHttp: createOtlpHttp({ ingest, items, log, inFlight }),
    otlpGrpc,
    costs: createCosts({ sink, limits, price, clock, log, metrics }),
    inlets,
    bills: createFocusImport({ sink, known, options: billOptions(config), clock, metrics }),
    scraper,
    kubernetes,
    bodies: createInFlight(mostBodies),
    apply: (next) => {
      inlets.apply(next)
      return scraper.apply(jobs(next), next.global)
    },
    start: async () => {
      await inlets.start()
      await scraper.start()
      for (const watcher of watchers) await watcher?.start()
    },
    drain: async () => {
      const all = [inlets, scraper, otlpGrpc, ...watchers]
      const ended = await Promise.allSettled(all.map((service) => service?.drain()))
      for (const e of ended)
        if (e.status === 'rejected') log.warn({ why: messageOf(e.reason) }, 'receiver did not end cleanly')
    },
  }
}
