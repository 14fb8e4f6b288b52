// A scraper over real HTTP with a sink to look into: what tests of scraping begin with.
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createSecureServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import { readYaml } from '../../src/lib/yaml.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import {
  defaultScrapeGlobal,
  type ScrapeGlobal,
  scrapeConfigsSchema,
} from '../../src/receive/scrape/config.ts'
import { createScraper, type Scraper, type ScraperDeps } from '../../src/receive/scrape/receiver.ts'
import { CollectingSink } from './collecting-sink.ts'
import { fakeMetrics } from './metrics.ts'

const listening = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server that goes with the test; its `host:port`. */
export const serve = (page: RequestListener): Promise<string> => listening(createServer(page))
export const serveTls = async (
  options: ServerOptions,
  page: RequestListener,
): Promise<{ address: string; server: ReturnType<typeof createSecureServer> }> => {
  const server = createSecureServer(options, page)
  return { address: await listening(server), server }
}

/** A page of metrics, text 0.0.4 where no other type is given. */
export const metricsPage =
  (body: (request: IncomingMessage) => string | Buffer, type = 'text/plain; version=0.0.4') =>
  (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('content-type', type)
    response.end(body(request))
  }

export interface Scraping {
  readonly scraper: Scraper
  readonly sink: CollectingSink
  readonly table: SeriesTable
  readonly metrics: ReturnType<typeof fakeMetrics>
  last(series: string): number | 'stale' | undefined
  apply(yaml: string, global?: Partial<ScrapeGlobal>): Promise<void>
}

export interface ScrapingOptions {
  /** Where relative paths are meant from. */
  readonly base?: string
  readonly env?: Readonly<Record<string, string>>
  readonly global?: Partial<ScrapeGlobal>
  readonly deps?: Partial<ScraperDeps>
}

/** Starts to scrape as `yaml`, a list of scrape_configs, says, every 200 ms where it does not; ends with the test. */
export const startScraping = async (yaml: string, options: ScrapingOptions = {}): Promise<Scraping> => {
  const configs = (text: string) =>
    readYaml(scrapeConfigsSchema(options.env ?? {}, options.base), text, 'airboss.yaml')
  const global = (more: Partial<ScrapeGlobal> = {}): ScrapeGlobal => ({
    ...defaultScrapeGlobal,
    scrape_interval: duration(200),
    scrape_timeout: duration(150),
    ...options.global,
    ...more,
  })
  const table = new SeriesTable(10_000)
  const sink = new CollectingSink(table)
  const metrics = fakeMetrics()
  const http = createHttp()
  const scraper = createScraper({
    configs: configs(yaml),
    global: global(),
    table,
    sink,
    limits: defaultAdmission,
    send: http.send,
    connect: createHttp,
    clock: systemClock,
    log: silentLogger(),
    metrics,
    settle: duration(50),
    ...options.deps,
  })
  onTestFinished(async () => {
    await scraper.drain()
    await http.close()
  })
  await scraper.start()
  return {
    scraper,
    sink,
    table,
    metrics,
    last: (series) => sink.last()[series],
    apply: (text, more) => scraper.apply(configs(text), global(more)),
  }
}
