// Charges machines to the agents that use them, window by window; what nobody uses is shown apart.
import { type Clock, every } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { hash64 } from '../lib/hash.ts'
import type { Logger } from '../lib/log.ts'
import { duration, hour, type Instant, instant } from '../lib/time.ts'
import { type CostRow, sampleBatch } from '../model/batch.ts'
import { type Labels, labelOf } from '../model/labels.ts'
import { valueTest } from '../model/matcher.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { InfrastructureConfig } from './prices-config.ts'

interface InfrastructureDeps {
  readonly config: InfrastructureConfig
  readonly querier: Querier
  /** A sink that counts `batch.costs` once by id. */
  readonly sink: Sink
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

type Resource = 'cpu' | 'memory' | 'gpu' | 'egress' | 'storage'
type Rate = InfrastructureConfig['rates'][number]

/** The price of each resource, what one of it is called, and how many of that a value over one hour is. */
const resources: Readonly<Record<Resource, { key: keyof Rate; unit: string; perHour: number }>> = {
  cpu: { key: 'cpu_core_hour', unit: 'Core-Hours', perHour: 1 },
  memory: { key: 'memory_gib_hour', unit: 'GiB-Hours', perHour: 1 },
  gpu: { key: 'gpu_hour', unit: 'GPU-Hours', perHour: 1 },
  egress: { key: 'egress_gb', unit: 'GB', perHour: 3600 },
  // As clouds reckon: a month has 730 hours.
  storage: { key: 'storage_gib_month', unit: 'GiB-Months', perHour: 1 / 730 },
}

export interface Measured {
  readonly labels: Labels
  readonly value: number
}

const rateOf = (rates: readonly Rate[], labels: Labels): Rate | undefined =>
  rates.find((rate) => rate.match.every((m) => valueTest(m)(labelOf(labels, m.name))))

interface Charge {
  readonly agent: string
  readonly quantity: number
  readonly usd: number
}

/**
 * What each agent is charged for a window of so many hours, and under '' what of the machines nobody used: workload and idle together are what
 * the machines cost.
 */
export const chargesOf = (
  resource: Resource,
  rates: readonly Rate[],
  used: readonly Measured[],
  has: readonly Measured[],
  hours: number,
): readonly Charge[] => {
  const { key, perHour } = resources[resource]
  const priced = ({ labels, value }: Measured): { quantity: number; usd: number } | null => {
    const each = rateOf(rates, labels)?.[key]
    if (typeof each !== 'number' || !(value > 0) || !Number.isFinite(value)) return null
    const quantity = value * perHour * hours
    return { quantity, usd: quantity * each }
  }
  const sums = new Map<string, { quantity: number; usd: number }>()
  const add = (agent: string, { quantity, usd }: { quantity: number; usd: number }): void => {
    const sum = sums.get(agent) ?? { quantity: 0, usd: 0 }
    sums.set(agent, { quantity: sum.quantity + quantity, usd: sum.usd + usd })
  }
  const busy = { quantity: 0, usd: 0 }
  for (const m of used) {
    const cost = priced(m)
    if (!cost) continue
    add(labelOf(m.labels, 'agent') || labelOf(m.labels, 'namespace') || 'unallocated', cost)
    busy.quantity += cost.quantity
    busy.usd += cost.usd
  }
  const whole = { quantity: 0, usd: 0 }
  for (const m of has) {
    const cost = priced(m)
    whole.quantity += cost?.quantity ?? 0
    whole.usd += cost?.usd ?? 0
  }
  if (whole.usd > busy.usd)
    add('', { quantity: Math.max(0, whole.quantity - busy.quantity), usd: whole.usd - busy.usd })
  return [...sums].map(([agent, sum]) => ({ agent, ...sum }))
}

const names = Object.keys(resources) as Resource[]
/** Windows missed while Airboss was away are made up for, as long as queries reach back. */
const catchUp = hour
const patience = duration(30_000)
/** So long after a window its series are there. */
const settle = duration(30_000)

class Infrastructure implements Service {
  readonly #deps: InfrastructureDeps
  readonly #stop = new AbortController()
  readonly #failures
  #doneTo: Instant

  constructor(deps: InfrastructureDeps) {
    const { config, clock, metrics } = deps
    this.#deps = deps
    this.#doneTo = instant(Math.floor((clock.now() - catchUp) / config.interval) * config.interval)
    this.#failures = metrics.counter(
      'airboss_infrastructure_failures_total',
      'Windows of infrastructure costs that could not be reckoned; they are tried again.',
      ['resource'],
    )
  }

  start(): Promise<void> {
    const { config, clock, log } = this.#deps
    if (config.rates.length > 0)
      every(clock, duration(Math.min(config.interval, 60_000)), (now) => this.#look(now), {
        signal: this.#stop.signal,
        failed: (error) => log.warn({ why: messageOf(error) }, 'infrastructure costs not reckoned'),
      })
    return Promise.resolve()
  }

  drain(): Promise<void> {
    this.#stop.abort()
    return Promise.resolve()
  }

  async #look(now: Instant): Promise<void> {
    const { config, clock } = this.#deps
    this.#doneTo = instant(
      Math.max(this.#doneTo, Math.floor((now - catchUp) / config.interval) * config.interval),
    )
    while (this.#doneTo + config.interval + settle <= now) {
      const endAt = instant(this.#doneTo + config.interval)
      const signal = clock.timeout(patience, this.#stop.signal)
      const rows: CostRow[] = []
      for (const resource of names) rows.push(...(await this.#window(resource, endAt, signal)))
      if (rows.length > 0) await this.#deps.sink.push({ ...sampleBatch([], [], []), costs: rows }, signal)
      this.#doneTo = endAt
    }
  }

  async #window(resource: Resource, endAt: Instant, signal: AbortSignal): Promise<CostRow[]> {
    const { config, querier } = this.#deps
    const { key, unit } = resources[resource]
    if (!config.rates.some((rate) => typeof rate[key] === 'number')) return []
    const ask = async (expr: string): Promise<Measured[]> => {
      if (expr === '') return []
      const { value } = await querier.instant(expr, endAt, signal)
      if (value.kind !== 'vector') return []
      return value.labels.map((labels, i) => ({ labels, value: value.values[i]! }))
    }
    try {
      const [used, has] = await Promise.all([ask(config[resource].used), ask(config[resource].has)])
      const hours = config.interval / hour
      return chargesOf(resource, config.rates, used, has, hours).map((c) =>
        this.#row(resource, unit, c, endAt),
      )
    } catch (error) {
      this.#failures.add(1, { resource })
      throw error
    }
  }

  #row(resource: Resource, unit: string, { agent, quantity, usd }: Charge, endAt: Instant): CostRow {
    const { config } = this.#deps
    const idle = agent === ''
    return {
      // Once for each window, whoever reckons it and how often.
      id: `infra:${resource}:${agent}:${endAt}`,
      at: instant(endAt - config.interval),
      agent,
      version: '',
      model: '',
      provider: config.provider,
      service: idle ? 'infrastructure-idle' : 'infrastructure',
      owner: '',
      usd,
      quantity,
      unit,
      priceVersion: `own@${hash64([JSON.stringify(config.rates)])}`,
      attributes: { sku: resource, resource },
    }
  }
}

/** Does nothing where no rates are configured. */
export const createInfrastructure = (deps: InfrastructureDeps): Service => new Infrastructure(deps)
